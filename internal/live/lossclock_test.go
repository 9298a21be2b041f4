package live

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/wire"
)

// oneGapSoon checks that a page was told of one gap that holds what was missing from
// begin on, and reaches no further ahead of now than what a log accepts.
func oneGapSoon(t *testing.T, gs []wire.Gap, reason string, begin, end int64) {
	t.Helper()
	if len(gs) != 1 || gs[0].Reason != reason || gs[0].From > begin || gs[0].To > end {
		t.Errorf("told %+v, want one gap %s from before %d on, and not beyond %d", gs, reason, begin, end)
	}
}

// A Redis whose clock was ahead loses its log, and the next one has the right clock: what
// was written into the log that is gone says nothing of when to declare what was lost.
func TestALossIsDeclaredWhereTheNextLogsClockIsBehind(t *testing.T) {
	for _, kill := range []bool{false, true} { // the server, meanwhile
		var begin int64
		gs := dying(t, func(l *fakeLog, r *replica, tick func(n int)) {
			l.clock(10 * time.Minute)
			tick(10)
			begin = ms()
			l.clock(0)
			l.lose(1000)
			tick(8)
			if kill {
				r.restart(true, 0, 0)
			}
		})
		oneGapSoon(t, gs, wire.GapLogLost, begin, begin+FutureBound+60_000)
	}
}

// A log whose clock was ahead stands still until the clock has come up with it.
func TestALossIsDeclaredWhileTheLogsTimeStandsStill(t *testing.T) {
	var begin int64
	gs := dying(t, func(l *fakeLog, r *replica, tick func(n int)) {
		l.clock(10 * time.Minute)
		tick(1)
		l.clock(0)
		tick(5)
		begin = ms()
		go func() {
			time.Sleep(2 * time.Second)
			l.trim(1)
		}()
		go tick(3)
		r.restart(true, 0, 2500*time.Millisecond)
		tick(1)
	})
	oneGapSoon(t, gs, wire.GapLogTrimmed, begin, begin+600_000+FutureBound+60_000)
}

// A source that writes on was not lost, though its entries have no later time than the loss.
func TestASourceIsHeardWhileTheLogsTimeStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		p := &publisher{log: l, want: &sharedTruth{truth: truth{}}}
		rng := rand.New(rand.NewPCG(1, 1))
		p.tick(rng, 10)
		l.clock(10 * time.Minute)
		p.tick(rng, 1)
		l.clock(0)
		p.tick(rng, 5)
		l.lose(3)
		p.resend(rng, 10)
		p.tick(rng, 40)
		r.stop()
		if l := r.hub.loss; l == nil || !l.over {
			t.Errorf("the loss is not judged after 40 s: %+v", l)
		}
		if n := len(r.hub.gaps); n > 0 {
			t.Errorf("%d gaps are declared, and nothing is missing", n)
		}
	})
}
