package live

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/store"
	"stripchart/internal/wire"
)

// seriesOfSource selects what a publisher of the tests writes.
const seriesOfSource = `{"query":"m{source=\"0\"}","window":3600}`

// resumeOn closes p and returns a page on a server that continues where p was.
func (p *page) resumeOn(t *testing.T, h *Hub) *page {
	t.Helper()
	return p.resumeWith(t, h, `m{source=\"0\"}`)
}

func (p *page) resumeWith(t *testing.T, h *Hub, query string) *page {
	t.Helper()
	since := ""
	for _, room := range p.rooms {
		since = room.position
	}
	p.close()
	q := newPage(t, h, 1<<20)
	q.rooms = p.rooms
	q.ask(`{"query":"` + query + `","window":3600,"since":"` + since + `"}`)
	return q
}

// A log that loses its end while no server looks (the machine that all run on is
// started again) has the same epoch afterwards. A server that begins to read it
// before the place that it knows must notice all the same: the copies that the
// source resends are known to it, but not to a page that was away meanwhile.
func TestAServerThatStartsNoticesWhatTheLogHasLostMeanwhile(t *testing.T) {
	for _, resentBefore := range []bool{false, true} { // it starts
		synctest.Test(t, func(t *testing.T) { startAfterALoss(t, resentBefore) })
	}
}

func startAfterALoss(t *testing.T, resentBefore bool) {
	l := newFakeLog()
	a := newReplica(t, l)
	rng := rand.New(rand.NewPCG(1, 1))
	want := &sharedTruth{truth: truth{}}
	one := &publisher{log: l, source: 0, want: want}
	tick := func(n int) { one.tick(rng, n) }
	tick(100)
	p := newPage(t, a.hub, 1<<20)
	p.ask(seriesOfSource)
	time.Sleep(time.Second)
	p.pause(true) // its network is gone
	tick(8)
	a.stop()
	l.loseUnseen(8)
	if resentBefore {
		one.resend(rng, 10)
		a.start()
	} else {
		a.start()
		one.resend(rng, 10)
	}
	tick(3)
	q := p.resumeOn(t, a.hub)
	settleReplicas(t, 0, []*page{q}, want)
	q.close()
	if n := len(a.hub.follower.ledger.gaps); n > 0 {
		t.Errorf("%d gaps are declared, and nothing is missing", n)
	}
	a.stop()
}

// dying is a source that published into what the log loses and is gone, beside one
// that lives.
func dying(t *testing.T, during func(l *fakeLog, r *replica, tick func(n int))) []wire.Gap {
	var out []wire.Gap
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		rng := rand.New(rand.NewPCG(1, 1))
		want := &sharedTruth{truth: truth{}}
		lives, dies := &publisher{log: l, source: 0, want: want}, &publisher{log: l, source: 1, want: want}
		tick := func(n int) { lives.tick(rng, n) }
		for range 20 {
			dies.publish(dies.next(rng))
			tick(1)
		}
		during(l, r, tick)
		tick(40)
		s := &stub{}
		c := r.hub.NewClient(s)
		defer c.Close()
		c.Subscribe(json.RawMessage(`{"query":"m{source=\"1\"}","window":3600}`), nil)
		time.Sleep(time.Second)
		out = told(t, s)
		r.stop()
	})
	return out
}

func TestALossIsDeclaredByTheNextLifeOfAServer(t *testing.T) {
	for _, kill := range []bool{false, true} {
		gs := dying(t, func(l *fakeLog, r *replica, tick func(n int)) {
			l.lose(3)
			tick(8)
			r.restart(kill, 0, 0)
		})
		if len(gs) != 1 || gs[0].Reason != wire.GapLogLost {
			t.Errorf("after a restart (kill %v) told %+v, want a gap of the source that died", kill, gs)
		}
	}
}

func TestTwoLossesAreDeclaredFromTheFirst(t *testing.T) {
	var first int64
	gs := dying(t, func(l *fakeLog, r *replica, tick func(n int)) {
		first = ms()
		l.lose(3)
		tick(8)
		l.lose(1)
	})
	if len(gs) != 1 || gs[0].From > first-1000 {
		t.Errorf("told %+v, want one gap from before %d on", gs, first)
	}
}

// What a server reads late it has still read: patience is counted in log time.
func TestAServerThatCatchesUpSlowlyDeclaresNoGapOfWhoIsStillThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		rng := rand.New(rand.NewPCG(1, 1))
		want := &sharedTruth{truth: truth{}}
		one, two := &publisher{log: l, source: 0, want: want}, &publisher{log: l, source: 1, want: want}
		tick := func(n int) {
			for range n {
				one.publish(one.next(rng))
				two.publish(two.next(rng))
				time.Sleep(time.Second)
			}
		}
		tick(60)
		l.lose(3)
		l.slow.Store(int64(300 * time.Millisecond))
		one.resend(rng, 10)
		two.resend(rng, 10)
		tick(90)
		time.Sleep(time.Minute)
		if n := len(r.hub.follower.ledger.gaps); n > 0 {
			t.Errorf("%d gaps are declared, and nothing is missing: %+v", n, *r.hub.follower.ledger.gaps[0])
		}
		r.stop()
	})
}

func TestTheSavedPositionDoesNotOvertakeAGapThatCannotBeSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		one := &publisher{log: l, source: 0, want: &sharedTruth{truth: truth{}}}
		rng := rand.New(rand.NewPCG(1, 1))
		tick := func(n int) { one.tick(rng, n) }
		tick(100)
		r.store.mu.Lock()
		r.store.noGaps = true
		r.store.mu.Unlock()
		one.next(rng) // dropped
		tick(20)
		r.store.mu.Lock()
		r.store.noGaps = false
		notes := maps.Clone(r.store.notes)
		r.store.mu.Unlock()
		r.stop()
		r.store.notes = notes // killed
		r.start()
		tick(1)
		r.stop()
		if n := len(r.hub.follower.ledger.gaps); n != 1 {
			t.Errorf("%d gaps after a kill, want the one that was declared before", n)
		}
	})
}

// What the power loss cost is applied again, also when the start that does it is
// interrupted and the next one finds nothing wrong.
func TestAnInterruptedRepairGoesOnAtTheNextStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		want := &sharedTruth{truth: truth{}}
		one := &publisher{log: l, source: 0, want: want}
		rng := rand.New(rand.NewPCG(1, 1))
		for range 200 {
			one.publish(one.next(rng))
			time.Sleep(time.Second)
		}
		r.stop()
		r.store.forget(150)
		r.store.damaged = true
		h, err := New(Options{Bus: l, Store: r.store, Transport: fakeTransport{}, DefaultSeries: "m", Replica: true})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		r.store.fail = func() error { cancel(); return errCommit } // killed before anything is done
		_ = h.Run(ctx)
		h.Close()
		r.store.fail, r.store.damaged = nil, false
		r.start()
		p := newPage(t, r.hub, 1<<20)
		p.ask(seriesOfSource)
		settleReplicas(t, 0, []*page{p}, want)
		p.close()
		r.stop()
	})
}

func TestTheSourcesThatAreRememberedAreBounded(t *testing.T) {
	x := sources{}
	for i := range maxSources + 10 {
		s := x.of(&bus.Batch{Source: fmt.Sprint(i), Seq: 1})
		s.heardAt = int64(i)
	}
	x.forget(5)
	if len(x) != maxSources || x["9"] != nil || x["10"] == nil {
		t.Errorf("%d sources are left, want the newest %d", len(x), maxSources)
	}
}

// A batch without samples that comes after a loss does not hide it.
func TestAnEmptyBatchDoesNotHideAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		one := &publisher{log: l, source: 0, want: &sharedTruth{truth: truth{}}}
		rng := rand.New(rand.NewPCG(1, 1))
		one.publish(one.next(rng))
		time.Sleep(time.Second)
		one.next(rng) // dropped
		empty := one.next(rng)
		empty.Series = nil
		_ = l.Publish(t.Context(), empty)
		time.Sleep(time.Second)
		one.publish(one.next(rng))
		time.Sleep(time.Second)
		r.stop()
		if n := len(r.hub.follower.ledger.gaps); n != 1 {
			t.Errorf("%d gaps, want one", n)
		}
	})
}

// Two servers find out about one loss at different entries. A page that goes from
// the later one to the earlier one between them is told.
func TestAPageThatResumesIsToldOfGapsThatItsServerDidNotKnowYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		one := &publisher{log: l, source: 0, want: &sharedTruth{truth: truth{}}}
		rng := rand.New(rand.NewPCG(1, 1))
		for n := range 20 {
			b := one.next(rng)
			if n != 10 { // dropped
				one.publish(b)
			}
			time.Sleep(time.Second)
		}
		end, _ := l.End(t.Context())
		s := &stub{}
		c := r.hub.NewClient(s)
		defer c.Close()
		arg, _ := json.Marshal(map[string]any{"query": "m", "window": 3600, "since": end.String()})
		c.Subscribe(arg, nil)
		time.Sleep(time.Second)
		if gs := told(t, s); len(gs) != 1 {
			t.Errorf("told %+v, want the gap that reaches into the window", gs)
		}
		r.stop()
	})
}

// What was shown while the disk was full, and left the log before there was room,
// is in no history.
func TestADiskThatIsFullForLongerThanTheLogIsKeptLeavesAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		one := &publisher{log: l, source: 0, want: &sharedTruth{truth: truth{}}}
		rng := rand.New(rand.NewPCG(1, 1))
		tick := func(n int) { one.tick(rng, n) }
		var full atomic.Bool
		r.store.mu.Lock()
		r.store.fail = func() error {
			if full.Load() {
				return store.ErrDiskFull
			}
			return nil
		}
		r.store.mu.Unlock()
		tick(30)
		from := ms() - 1000
		full.Store(true)
		tick(60)
		l.trim(20)
		to := ms() - 20_000
		full.Store(false)
		tick(5)
		s := &stub{}
		c := r.hub.NewClient(s)
		defer c.Close()
		c.Subscribe(json.RawMessage(seriesOfSource), nil)
		time.Sleep(time.Second)
		gs := told(t, s)
		if len(gs) != 1 || gs[0].From > from || gs[0].To < to-1000 || len(gs[0].IDs) != 3 {
			t.Errorf("told %+v, want a gap from %d to %d", gs, from, to)
		}
		r.stop()
	})
}

// A spool that was restored from a backup uses numbers again.
func TestASourceWhoseNumbersWentBackIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		want := &sharedTruth{truth: truth{}}
		one := &publisher{log: l, source: 0, want: want}
		rng := rand.New(rand.NewPCG(1, 1))
		p := newPage(t, r.hub, 1<<20)
		p.ask(seriesOfSource)
		for n := range 30 {
			if n == 20 {
				one.seq = 5
			}
			one.publish(one.next(rng))
			time.Sleep(time.Second)
		}
		settleReplicas(t, 0, []*page{p}, want)
		p.close()
		r.stop()
	})
}

// A server that was killed does not know its last seconds. A source that is heard in
// what is left of them, and then never again, may have lost what came after.
func TestASourceThatDiedIsDeclaredByAServerThatWasAway(t *testing.T) {
	gs := dying(t, func(l *fakeLog, r *replica, tick func(n int)) {
		go func() {
			time.Sleep(time.Millisecond)
			l.lose(3)
		}()
		r.restart(true, 0, time.Second)
	})
	if len(gs) != 1 {
		t.Errorf("told %+v, want a gap of the source that died", gs)
	}
}

// Losses that come soon one after the other are judged together. What a source lacks
// is still the log's fault when it was heard between them.
func TestWhatASecondLossHasTakenIsNotItsSourcesFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		p := &publisher{log: l, want: &sharedTruth{truth: truth{}}}
		rng := rand.New(rand.NewPCG(1, 1))
		tick := func(n int) { p.tick(rng, n) }
		tick(20)
		l.lose(1)
		tick(5)
		for range 4 { // in the log, and gone with it before this server has read it
			p.next(rng)
			time.Sleep(time.Second)
		}
		l.lose(1)
		tick(25)
		s := &stub{}
		c := r.hub.NewClient(s)
		defer c.Close()
		c.Subscribe(json.RawMessage(`{"query":"m","window":3600}`), nil)
		time.Sleep(time.Second)
		gs := told(t, s)
		if len(gs) != 1 || gs[0].Reason != wire.GapLogLost {
			t.Errorf("told %+v, want one gap of what the log has lost", gs)
		}
		r.stop()
	})
}

// A server that is killed in the first seconds of its life has samples, and so has to
// know what it missed.
func TestAServerThatIsKilledSoonAfterItsFirstStartKnowsWhatItMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		p := &publisher{log: l, want: &sharedTruth{truth: truth{}}}
		rng := rand.New(rand.NewPCG(1, 1))
		time.Sleep(time.Second)
		for range 3 {
			p.publish(p.next(rng))
			time.Sleep(time.Second)
		}
		go func() {
			for range 10 {
				time.Sleep(time.Second)
				p.publish(p.next(rng))
			}
			l.trim(2)
		}()
		r.restart(true, 0, 20*time.Second)
		for range 3 {
			p.publish(p.next(rng))
			time.Sleep(time.Second)
		}
		s := &stub{}
		c := r.hub.NewClient(s)
		defer c.Close()
		c.Subscribe(json.RawMessage(`{"query":"m","window":3600}`), nil)
		time.Sleep(time.Second)
		gs := told(t, s)
		if len(gs) != 1 || gs[0].Reason != wire.GapLogTrimmed {
			t.Errorf("told %+v, want one gap of what the log has dropped", gs)
		}
		r.stop()
	})
}

// What a source that dies has measured is in the log a moment later, and another's
// batch in between. Lost with the log's end, it is in the gap all the same.
func TestWhatWasMeasuredBeforeTheLossIsInTheGap(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		t.Run(fmt.Sprint("the server was restarted: ", restarted), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFakeLog()
				r := newReplica(t, l)
				rng := rand.New(rand.NewPCG(1, 1))
				want := &sharedTruth{truth: truth{}}
				lives, dies := &publisher{log: l, source: 0, want: want}, &publisher{log: l, source: 1, want: want}
				for range 100 {
					dies.publish(dies.next(rng))
					lives.tick(rng, 1)
				}
				lost := ms()
				dies.next(rng) // acknowledged behind the next one, and lost before anybody read it
				time.Sleep(20 * time.Millisecond)
				lives.publish(lives.next(rng))
				if time.Sleep(20 * time.Millisecond); restarted {
					r.stop()
				}
				l.lose(0)
				if restarted {
					r.start()
				}
				lives.tick(rng, 60)
				r.stop()
				if !slices.ContainsFunc(r.hub.follower.ledger.gaps, func(g *gap) bool {
					return g.series.has(hashOf(seriesLabels(1, 0))) && g.from < lost && lost < g.to
				}) {
					t.Errorf("what was measured at %d and lost is in no gap", lost)
				}
			})
		})
	}
}

// A page is told what the log has lost also where nobody writes any more.
func TestALossIsDeclaredWhileNothingIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		defer func() { r.stop() }()
		write := func() {
			_ = l.Publish(t.Context(), &bus.Batch{Series: []bus.Series{{Labels: seriesLabels(0, 0), Samples: []bus.Sample{{T: ms(), V: 1}}}}})
			time.Sleep(time.Second)
		}
		for range 10 {
			write()
		}
		go func() {
			for range 20 {
				write()
			}
			l.trim(1)
		}()
		r.restart(true, 0, 30*time.Second)
		c := &stub{}
		client := r.hub.NewClient(c)
		defer client.Close()
		client.Subscribe(json.RawMessage(`{"query":"m","window":3600}`), nil)
		time.Sleep(time.Minute)
		if gs := told(t, c); len(gs) != 1 || gs[0].Reason != wire.GapLogTrimmed {
			t.Errorf("told %+v, want one gap", gs)
		}
	})
}
