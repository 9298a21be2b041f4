package live

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/store"
	"stripchart/internal/wire"
)

// replica is a server on a log that others read as well. Its store outlives it.
type replica struct {
	t     testing.TB
	log   *fakeLog
	store *memStore

	mu   sync.RWMutex // guards hub against a restart
	hub  *Hub
	stop func()
}

func newReplica(t testing.TB, l *fakeLog) *replica {
	r := &replica{t: t, log: l, store: newMemStore()}
	r.start()
	return r
}

func (r *replica) start() {
	h, err := New(Options{Bus: &fakeBus{fakeLog: r.log}, Store: r.store, Transport: fakeTransport{}, DefaultSeries: `m{source="0"}`, Window: time.Hour, Replica: true})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := h.Run(ctx); err != nil {
			r.t.Errorf("run: %v", err)
		}
	})
	<-h.Ready()
	r.hub = h
	r.stop = func() {
		cancel()
		wg.Wait()
		h.Close()
	}
}

// restart ends the server and starts it again. After a kill the notes are those
// of up to five seconds ago; after a power loss the newest commits are gone too.
func (r *replica) restart(kill bool, lostCommits int, away time.Duration) {
	for !r.mu.TryLock() { // waiting for a mutex would hold up the bubble's time
		time.Sleep(time.Millisecond)
	}
	defer r.mu.Unlock()
	r.store.mu.Lock()
	notes := maps.Clone(r.store.notes)
	r.store.mu.Unlock()
	r.stop()
	if kill {
		r.store.notes = notes
	}
	r.store.damaged = lostCommits > 0
	r.store.forget(lostCommits)
	time.Sleep(away)
	r.start()
}

// forget drops the newest n commits.
func (s *memStore) forget(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.series {
		m.samples = slices.DeleteFunc(m.samples, func(x memSample) bool { return x.commit > s.commits-n })
		m.maxT = 0
		if len(m.samples) > 0 {
			m.maxT = m.samples[len(m.samples)-1].T
		}
	}
}

// publisher is a source that resends its newest batches when it is told to, in
// order, as one does after a reconnect.
type publisher struct {
	log    *fakeLog
	source int
	seq    uint64
	sent   []*bus.Batch
	want   *sharedTruth
}

type sharedTruth struct {
	mu sync.Mutex
	truth
}

func (p *publisher) next(rng *rand.Rand) *bus.Batch {
	p.seq++
	b := &bus.Batch{Source: fmt.Sprint(p.source), Seq: p.seq}
	now := ms()
	for n := range 3 {
		x := bus.Series{Labels: seriesLabels(p.source, n), Samples: []bus.Sample{{T: now, V: float64(p.seq)}}}
		if rng.IntN(10) == 0 { // late, perhaps a copy with another value
			x.Samples = slices.Insert(x.Samples, 0, bus.Sample{T: now - int64(rng.IntN(500)+1), V: rng.Float64()})
		}
		b.Series = append(b.Series, x)
	}
	p.sent = append(p.sent, b)
	return b
}

func (p *publisher) publish(b *bus.Batch) {
	_ = p.log.Publish(context.Background(), b)
	p.want.mu.Lock()
	defer p.want.mu.Unlock()
	for _, x := range b.Series {
		for _, y := range x.Samples {
			p.want.add(x.Labels, y.T, y.V)
		}
	}
}

// resend publishes the newest n batches again; merged into one, now and then.
func (p *publisher) resend(rng *rand.Rand, n int) {
	again := p.sent[max(0, len(p.sent)-n):]
	if len(again) > 1 && rng.IntN(3) == 0 {
		m := &bus.Batch{Source: again[0].Source, Seq: again[len(again)-1].Seq, Merged: uint64(len(again) - 1)}
		byKey := map[string]int{}
		for _, b := range again {
			for _, x := range b.Series {
				i, there := byKey[x.Labels.String()]
				if !there {
					i = len(m.Series)
					byKey[x.Labels.String()] = i
					m.Series = append(m.Series, bus.Series{Labels: x.Labels})
				}
				for _, y := range x.Samples {
					at, there := slices.BinarySearchFunc(m.Series[i].Samples, y.T, func(a bus.Sample, t int64) int { return int(a.T - t) })
					if !there {
						m.Series[i].Samples = slices.Insert(m.Series[i].Samples, at, y)
					}
				}
			}
		}
		again = []*bus.Batch{m}
	}
	for _, b := range again {
		_ = p.log.Publish(context.Background(), b)
	}
}

// roam is the life of a page that goes from one server to the other.
func roam(t testing.TB, rs []*replica, rng *rand.Rand, stop <-chan struct{}) *page {
	query := fmt.Sprintf(`m{source="%d"}`, rng.IntN(2))
	var p *page
	connect := func(since string, rooms map[string]*pageRoom) {
		for range 10_000 {
			r := rs[rng.IntN(len(rs))]
			if !r.mu.TryRLock() {
				time.Sleep(10 * time.Millisecond)
				continue
			}
			p = newPage(t, r.hub, 4000)
			if rooms != nil {
				p.rooms = rooms
			}
			_, err := p.subscribe(query, since)
			r.mu.RUnlock()
			if err == nil {
				return
			}
			p.close()
			time.Sleep(100 * time.Millisecond)
		}
		t.Error("the page could not connect")
	}
	connect("", nil)
	for {
		select {
		case <-stop:
			p.pause(false)
			return p
		case <-time.After(time.Duration(rng.IntN(2000)) * time.Millisecond):
		}
		if rng.IntN(4) == 0 {
			p.pause(true)
			time.Sleep(time.Duration(rng.IntN(500)) * time.Millisecond)
			p.pause(false)
			continue
		}
		p.close()
		since := ""
		for _, room := range p.rooms {
			if room.more {
				room.more, room.position = false, ""
			}
			since = room.position
		}
		connect(since, p.rooms)
	}
}

// The promise with several servers: two replicas, of which each is restarted,
// killed and loses power, on a log that is restored from older states; sources
// that resend; pages that go from one to the other. Nothing is missing anywhere,
// and as what the log loses is resent, no gap is declared.
func TestPagesOfReplicasHoldEverything(t *testing.T) {
	for seed := range uint64(6) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 99))
			l := newFakeLog()
			want := &sharedTruth{truth: truth{}}
			rs := []*replica{newReplica(t, l), newReplica(t, l)}
			n := 0
			rs[0].store.mu.Lock()
			rs[0].store.fail = func() error {
				if n++; n%53 == 0 {
					return errCommit
				}
				return nil
			}
			rs[0].store.mu.Unlock()
			stop := make(chan struct{})
			var visitors sync.WaitGroup
			pages := make([]*page, 12)
			for i := range pages {
				visitors.Go(func() { pages[i] = roam(t, rs, rand.New(rand.NewPCG(seed, uint64(i))), stop) })
			}
			sources := []*publisher{{log: l, source: 0, want: want}, {log: l, source: 1, want: want}}
			for step := range 1500 {
				time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
				s := sources[rng.IntN(2)]
				s.publish(s.next(rng))
				switch rng.IntN(150) {
				case 0:
					s.resend(rng, 1+rng.IntN(30))
				case 1:
					if rng.IntN(2) == 0 { // one server does not see what is lost
						go rs[rng.IntN(2)].restart(true, 0, 2*time.Second)
						for range 10 {
							time.Sleep(50 * time.Millisecond)
							s.publish(s.next(rng))
						}
					}
					l.lose(rng.IntN(20))
					for _, s := range sources {
						time.Sleep(time.Duration(rng.IntN(4000)) * time.Millisecond)
						s.resend(rng, 40)
					}
				case 2:
					go rs[rng.IntN(2)].restart(rng.IntN(2) == 0, 0, time.Duration(rng.IntN(20))*time.Second)
				case 3:
					if step%3 == 0 {
						go rs[rng.IntN(2)].restart(true, rng.IntN(50), time.Second)
					}
				}
			}
			time.Sleep(time.Minute) // for what is restarting
			close(stop)
			visitors.Wait()
			settleReplicas(t, seed, pages, want)
			for _, p := range pages {
				p.close()
			}
			for i, r := range rs {
				r.stop()
				if len(r.hub.gaps) > 0 {
					t.Errorf("seed %d: server %d declared %d gaps, and nothing is missing: %+v", seed, i, len(r.hub.gaps), *r.hub.gaps[0])
				}
			}
		})
	}
}

func settleReplicas(t *testing.T, seed uint64, pages []*page, want *sharedTruth) {
	t.Helper()
	var err error
	for range 100 {
		time.Sleep(100 * time.Millisecond)
		err = nil
		for i, p := range pages {
			p.mu.Lock()
			for _, room := range p.rooms {
				if e := room.compare(want.truth, room.keep()); e != nil {
					err = fmt.Errorf("page %d: %w", i, e)
				}
			}
			p.mu.Unlock()
		}
		if err == nil {
			return
		}
	}
	t.Errorf("seed %d: %v", seed, err)
}

// told returns the gaps that a viewer was told of. It has to know whose they are.
func told(t *testing.T, s *stub) []wire.Gap {
	t.Helper()
	known := map[int]bool{}
	for _, b := range append(s.sent(wire.EventBootstrap), s.sent(wire.EventUpdate)...) {
		var m struct{ Series []wire.Descriptor }
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		for _, d := range m.Series {
			known[d.ID] = true
		}
	}
	var out []wire.Gap
	for _, b := range s.sent(wire.EventGap) {
		var g wire.Gap
		if err := json.Unmarshal(b, &g); err != nil {
			t.Fatal(err)
		}
		for _, id := range g.IDs {
			if !known[id] {
				t.Errorf("told of a gap of an unknown series with id %d", id)
			}
		}
		out = append(out, g)
	}
	return out
}

func TestASequenceThatJumpsIsADeclaredGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		p := &publisher{log: l, want: &sharedTruth{truth: truth{}}}
		rng := rand.New(rand.NewPCG(1, 1))
		tick := func(n int) {
			for range n {
				p.publish(p.next(rng))
				time.Sleep(time.Second)
			}
		}
		join := func(since string) *stub {
			s := &stub{}
			c := r.hub.NewClient(s)
			t.Cleanup(c.Close)
			arg, _ := json.Marshal(map[string]any{"query": "m", "window": 3600, "since": since})
			c.Subscribe(arg, nil)
			time.Sleep(time.Second)
			return s
		}
		tick(5)
		here := join("")
		before, _ := l.End(t.Context())
		from := ms() - 1000
		for range 7 {
			p.next(rng) // measured, dropped
			time.Sleep(time.Second)
		}
		to := ms()
		tick(5)
		check := func(who string, s *stub) {
			t.Helper()
			gs := told(t, s)
			if len(gs) != 1 || len(gs[0].IDs) != 3 || gs[0].Reason != wire.GapSourceDropped || gs[0].From > from || gs[0].To < to-1000 || gs[0].To > to {
				t.Errorf("%s was told %+v; missing is what lies between %d and %d", who, gs, from, to)
			}
		}
		check("a viewer that was there", here)
		check("one that comes later", join(""))
		check("one that resumes", join(before.String()))
		tick(20)
		r.restart(true, 0, time.Second)
		tick(3)
		check("one that comes after a restart", join(""))
		r.stop()
	})
}

func TestAServerThatWasAwayForTooLongSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		p := &publisher{log: l, want: &sharedTruth{truth: truth{}}}
		rng := rand.New(rand.NewPCG(1, 1))
		for range 90 {
			p.publish(p.next(rng))
			time.Sleep(time.Second)
		}
		from := ms() - 1000
		go func() {
			for range 60 {
				p.publish(p.next(rng))
				time.Sleep(time.Second)
			}
			l.trim(5)
		}()
		r.restart(false, 0, 61*time.Second)
		for range 30 {
			p.publish(p.next(rng))
			time.Sleep(time.Second)
		}
		s := &stub{}
		c := r.hub.NewClient(s)
		defer c.Close()
		c.Subscribe(json.RawMessage(`{"query":"m","window":3600}`), nil)
		time.Sleep(time.Second)
		gs := told(t, s)
		if len(gs) != 1 || gs[0].Reason != wire.GapLogTrimmed || gs[0].From > from+1000 || gs[0].To < from+50_000 {
			t.Errorf("told %+v; missing is most of the minute after %d", gs, from)
		}
		r.stop()
	})
}

// Nothing tells of a source that published into what the log lost and then died,
// except that it is not heard of any more.
func TestASourceThatDiedWithTheLogsEndIsInAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		rng := rand.New(rand.NewPCG(1, 1))
		want := &sharedTruth{truth: truth{}}
		lives, dies := &publisher{log: l, source: 0, want: want}, &publisher{log: l, source: 1, want: want}
		for range 20 {
			lives.publish(lives.next(rng))
			dies.publish(dies.next(rng))
			time.Sleep(time.Second)
		}
		l.lose(3)
		for range 40 {
			lives.publish(lives.next(rng))
			time.Sleep(time.Second)
		}
		s := &stub{}
		c := r.hub.NewClient(s)
		defer c.Close()
		c.Subscribe(json.RawMessage(`{"query":"m","window":3600}`), nil)
		time.Sleep(time.Second)
		gs := told(t, s)
		if len(gs) != 1 || len(gs[0].IDs) != 3 || gs[0].Reason != wire.GapLogLost {
			t.Errorf("told %+v, want one gap of the three series of the source that died", gs)
		}
		r.stop()
	})
}

// While the disk is full, samples are shown and the saved position stands still;
// afterwards the log is read again, and everybody has everything.
func TestWhatWasOnlyShownIsRecordedWhenThereIsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		want := &sharedTruth{truth: truth{}}
		p := &publisher{log: l, want: want}
		rng := rand.New(rand.NewPCG(1, 1))
		tick := func(n int) {
			for range n {
				p.publish(p.next(rng))
				time.Sleep(time.Second)
			}
		}
		var full bool // guarded by the store's lock, which is held during fail
		r.store.mu.Lock()
		r.store.fail = func() error {
			if full {
				return store.ErrDiskFull
			}
			return nil
		}
		r.store.mu.Unlock()
		visit := func() *page {
			q := newPage(t, r.hub, 1<<20)
			q.ask(`{"query":"m","window":3600,"points":20000}`)
			return q
		}
		tick(90)
		pages := []*page{visit()}
		r.store.mu.Lock()
		full = true
		r.store.mu.Unlock()
		tick(20)
		pages = append(pages, visit())
		tick(400) // the ring does not go back to where the disk was full
		pages = append(pages, visit())
		tick(20)
		for i, q := range pages {
			for _, room := range q.rooms {
				if room.state != wire.StateNotStored {
					t.Errorf("page %d sees the state %s", i, room.state)
				}
			}
		}
		r.store.mu.Lock()
		full = false
		r.store.mu.Unlock()
		tick(10)
		pages = append(pages, visit())
		settleReplicas(t, 0, pages, want)
		for _, q := range pages {
			q.close()
		}
		r.restart(true, 0, time.Second)
		q := visit()
		settleReplicas(t, 0, []*page{q}, want)
		q.close()
		r.stop()
	})
}

// What a server has seen of the log that was, another may not have: a page that
// comes from there needs the copies that follow in the new epoch.
func TestCopiesInANewEpochAreForPagesFromOtherServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		a, b := newReplica(t, l), newReplica(t, l)
		rng := rand.New(rand.NewPCG(1, 1))
		want := &sharedTruth{truth: truth{}}
		one, two := &publisher{log: l, source: 0, want: want}, &publisher{log: l, source: 1, want: want}
		tick := func(p *publisher, n int) {
			for range n {
				p.publish(p.next(rng))
				time.Sleep(time.Second)
			}
		}
		tick(two, 3)
		tick(one, 3)
		b.stop()
		tick(one, 5) // only a sees these,
		l.lose(5)    // and they are gone
		b.start()
		tick(two, 3) // both see that a new epoch has begun
		p := newPage(t, b.hub, 1<<20)
		p.ask(`{"query":"m{source=\"0\"}","window":3600}`)
		time.Sleep(time.Second)
		p.close()
		since := ""
		for _, room := range p.rooms {
			since = room.position
		}
		one.resend(rng, 8)
		q := newPage(t, a.hub, 1<<20)
		q.rooms = p.rooms
		q.ask(`{"query":"m{source=\"0\"}","window":3600,"since":"` + since + `"}`)
		settleReplicas(t, 0, []*page{q}, want)
		if q.stats.resumes != 1 {
			t.Errorf("the page did not resume: %+v", q.stats)
		}
		q.close()
		a.stop()
		b.stop()
	})
}

// Before a jump a source's clock was ahead for a while, and behind it a late sample
// comes along: the gap is what lies between the batches all the same.
func TestAGapIsNotMovedByAClockNorByALateSample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		seq := uint64(0)
		publish := func(times ...int64) {
			b := &bus.Batch{Source: "s", Seq: seq, Series: []bus.Series{{Labels: seriesLabels(0, 0)}}}
			for _, at := range times {
				b.Series[0].Samples = append(b.Series[0].Samples, bus.Sample{T: at, V: 1})
			}
			_ = l.Publish(t.Context(), b)
			time.Sleep(time.Second)
		}
		seq = 1
		publish(ms())
		seq = 2
		publish(ms() + 30_000)
		seq = 3
		from := ms()
		publish(from)
		time.Sleep(10 * time.Second)
		seq = 9
		to := ms()
		publish(to-4_000, to)
		s := &stub{}
		c := r.hub.NewClient(s)
		defer c.Close()
		c.Subscribe(json.RawMessage(`{"query":"m","window":3600}`), nil)
		time.Sleep(time.Second)
		if gs := told(t, s); len(gs) != 1 || gs[0].From != from || gs[0].To != to {
			t.Errorf("told %+v, want one gap from %d to %d", gs, from, to)
		}
		r.stop()
	})
}

// What was only shown can be recorded from the log alone; what the log has dropped
// by then is a gap.
func TestWhatTheLogDroppedWhileTheDiskWasFullIsAGap(t *testing.T) {
	for name, lose := range map[string]func(*fakeLog){
		wire.GapLogTrimmed: func(l *fakeLog) { l.trim(3) },
		wire.GapLogLost:    func(l *fakeLog) { l.lose(1000) },
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newFakeLog()
			r := newReplica(t, l)
			p := &publisher{log: l, want: &sharedTruth{truth: truth{}}}
			rng := rand.New(rand.NewPCG(1, 1))
			tick := func(n int) {
				for range n {
					p.publish(p.next(rng))
					time.Sleep(time.Second)
				}
			}
			tick(30)
			full := true
			r.store.mu.Lock()
			r.store.fail = func() error {
				if full {
					return store.ErrDiskFull
				}
				return nil
			}
			r.store.mu.Unlock()
			from := ms()
			tick(20)
			to := ms()
			lose(l)
			r.store.mu.Lock()
			full = false
			r.store.mu.Unlock()
			tick(40)
			s := &stub{}
			c := r.hub.NewClient(s)
			defer c.Close()
			c.Subscribe(json.RawMessage(`{"query":"m","window":3600}`), nil)
			time.Sleep(time.Second)
			if gs := told(t, s); len(gs) != 1 || gs[0].Reason != name || gs[0].From > from || gs[0].To < to-4000 {
				t.Errorf("%s: told %+v; not recorded is what lies between %d and %d", name, gs, from, to)
			}
			r.stop()
		})
	}
}

// A server that is killed right after its very first start knows all the same what
// it has missed when it comes back.
func TestAServerKilledAtOnceKnowsWhatItMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		p := &publisher{log: l, want: &sharedTruth{truth: truth{}}}
		rng := rand.New(rand.NewPCG(1, 1))
		tick := func(n int) {
			for range n {
				p.publish(p.next(rng))
				time.Sleep(100 * time.Millisecond)
			}
		}
		tick(3)
		go func() {
			time.Sleep(100 * time.Millisecond)
			tick(20)
			l.trim(3)
		}()
		r.restart(true, 0, 5*time.Second)
		tick(300)
		s := &stub{}
		c := r.hub.NewClient(s)
		defer c.Close()
		c.Subscribe(json.RawMessage(`{"query":"m","window":3600}`), nil)
		time.Sleep(time.Second)
		if gs := told(t, s); len(gs) != 1 || gs[0].Reason != wire.GapLogTrimmed {
			t.Errorf("told %+v, want one gap", gs)
		}
		r.stop()
	})
}

// Losses that follow quickly are judged together, but a source that was heard of
// between them misses nothing, and a start in that time does not begin anew.
func TestLossesThatFollowQuicklyDeclareNothingThatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		want := &sharedTruth{truth: truth{}}
		p := &publisher{log: l, want: want}
		rng := rand.New(rand.NewPCG(1, 1))
		for range 20 {
			for range 4 {
				p.publish(p.next(rng))
				time.Sleep(time.Second)
			}
			l.lose(2)
			p.resend(rng, 10)
		}
		time.Sleep(6 * time.Second)
		r.restart(true, 0, time.Second)
		for range 30 {
			p.publish(p.next(rng))
			time.Sleep(time.Second)
		}
		q := newPage(t, r.hub, 1<<20)
		q.ask(`{"query":"m","window":3600,"points":20000}`)
		settleReplicas(t, 0, []*page{q}, want)
		q.close()
		r.stop()
		if len(r.hub.gaps) > 0 {
			t.Errorf("a gap is declared, and nothing is missing: %+v", *r.hub.gaps[0])
		}
	})
}

// Its numbers tell the next life what is missing, if they were saved.
func TestASourceIsSavedRightAfterItWasFirstHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		rng := rand.New(rand.NewPCG(1, 1))
		want := &sharedTruth{truth: truth{}}
		for n := range 3 {
			p := &publisher{log: l, source: n, want: want}
			p.publish(p.next(rng))
			time.Sleep(300 * time.Millisecond)
			b, _ := r.store.Kept(store.Progress)
			var s savedProgress
			if err := json.Unmarshal(b, &s); err != nil || s.Sources[fmt.Sprint(n)].Seq != 1 {
				t.Errorf("after 300 ms saved is %s (%v)", b, err)
			}
		}
		r.stop()
	})
}
