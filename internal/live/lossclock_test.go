package live

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// A Redis whose clock was ahead loses its log, and the next one has the right clock: what
// was written into the log that is gone says nothing of when to declare what was lost.
func TestALossIsDeclaredWhereTheNextLogsClockIsBehind(t *testing.T) {
	for _, meanwhile := range []string{"", "restart 0s kill"} {
		play(t, `publish 20 1 0
clock 10m
publish 10
mark begin
clock 0s
lose 1000
publish 8
`+meanwhile+`
publish 40
expect gap S=1 reason=log_lost from<=begin to<=begin+2m`)
	}
}

// A log whose clock was ahead stands still until the clock has come up with it.
func TestALossIsDeclaredWhileTheLogsTimeStandsStill(t *testing.T) {
	play(t, `
		publish 20 1 0
		clock 10m
		publish 1
		clock 0s
		publish 5
		mark begin
		restart 2500ms kill
			publish 2
			trim 1
			publish 1
		publish 41
		expect gap S=1 reason=log_trimmed from<=begin to<=begin+12m
	`)
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
		if l := r.store.savedProgress(t).Loss; l == nil || !l.Over {
			t.Errorf("the loss is not judged after 40 s: %+v", l)
		}
		if n := len(declared(r.hub)); n > 0 {
			t.Errorf("%d gaps are declared, and nothing is missing", n)
		}
	})
}
