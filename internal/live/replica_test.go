package live

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/recent"
	"stripchart/internal/store"
	"stripchart/internal/wire"
)

type sharedTruth struct {
	mu sync.Mutex
	truth
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
			// For what is restarting. Sources that go on show that they are there: of one that is
			// silent after a loss a server cannot know whether it has lost its newest batches.
			for range 60 {
				for _, s := range sources {
					s.publish(s.next(rng))
				}
				time.Sleep(time.Second)
			}
			close(stop)
			visitors.Wait()
			settleReplicas(t, seed, pages, want)
			for _, p := range pages {
				p.close()
			}
			for i, r := range rs {
				r.stop()
				if len(declared(r.hub)) > 0 {
					t.Errorf("seed %d: server %d declared %d gaps, and nothing is missing: %+v", seed, i, len(declared(r.hub)), *declared(r.hub)[0])
				}
			}
		})
	}
}

func TestASequenceThatJumpsIsADeclaredGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		p := &publisher{log: l, want: &sharedTruth{truth: truth{}}}
		rng := rand.New(rand.NewPCG(1, 1))
		tick := func(n int) { p.tick(rng, n) }
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
			if len(gs) != 1 || len(gs[0].IDs) != 3 || gs[0].Reason != wire.GapSourceDropped || gs[0].From > from || gs[0].To < to-1000 || gs[0].To > to+1 {
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
	play(t, `
		publish 90
		mark away
		restart 61s
			publish 60
			trim 5
		publish 30
		expect gap reason=log_trimmed from<=away to>=away+49s
	`)
}

// Nothing tells of a source that published into what the log lost and then died,
// except that it is not heard of any more.
func TestASourceThatDiedWithTheLogsEndIsInAGap(t *testing.T) {
	play(t, `
		publish 20 0 1
		lose 3
		publish 40
		expect gap series=3 reason=log_lost
	`)
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
		tick := func(n int) { p.tick(rng, n) }
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
		tick(two, 30) // both see that a new epoch has begun, and have judged what was lost
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

// A collector publishes what it has measured at one time in several batches. The first
// that is missing may be of the time of the last that is there, and the other way round.
func TestAGapHoldsItsEnds(t *testing.T) {
	for _, apart := range []time.Duration{0, 5 * time.Second} {
		t.Run(apart.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFakeLog()
				r := newReplica(t, l)
				seq := uint64(0)
				give := func(n int, at int64, arrives bool) {
					seq++
					b := &bus.Batch{Sequence: bus.Sequence{Source: "s", Seq: seq}, Series: []bus.Series{{Labels: seriesLabels(0, n), Samples: []bus.Sample{{T: at, V: 1}}}}}
					if arrives {
						_ = l.Publish(t.Context(), b)
					}
					time.Sleep(10 * time.Millisecond)
				}
				for n := range 3 {
					give(n, ms()-1000, true)
				}
				first := ms()
				give(0, first, true)
				give(1, first, false)
				time.Sleep(apart)
				second := first + apart.Milliseconds()
				give(1, second, false)
				give(2, second, true)
				time.Sleep(time.Second)
				r.stop()
				for _, at := range []int64{first, second} {
					if !slices.ContainsFunc(declared(r.hub), func(g *recent.Gap) bool {
						return g.Series.Has(recent.Hash(seriesLabels(0, 1))) && g.From < at && at < g.To
					}) {
						t.Errorf("what is missing at %d is in no gap", at)
					}
				}
			})
		})
	}
}

// Before a jump a source's clock was ahead for a while, and behind it a late sample
// comes along: the gap ends where the batches begin again, all the same. It begins at
// the batch before, or earlier by as much as the source's samples were once older than
// what it had written before.
func TestAGapIsNotMovedByAClockNorByALateSample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		seq := uint64(0)
		publish := func(times ...int64) {
			b := &bus.Batch{Sequence: bus.Sequence{Source: "s", Seq: seq}, Series: []bus.Series{{Labels: seriesLabels(0, 0)}}}
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
		if gs := told(t, s); len(gs) != 1 || gs[0].From > from-1 || gs[0].From < from-1-30_000 || gs[0].To != to+1 {
			t.Errorf("told %+v, want one gap around %d to %d", gs, from, to)
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
			tick := func(n int) { p.tick(rng, n) }
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
		if len(declared(r.hub)) > 0 {
			t.Errorf("a gap is declared, and nothing is missing: %+v", *declared(r.hub)[0])
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
			if s := r.store.savedProgress(t); s.Sources[fmt.Sprint(n)].Seq != 1 {
				t.Errorf("after 300 ms saved is %+v", s)
			}
		}
		r.stop()
	})
}
