package live

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// seriesOfSource selects what a publisher of the tests writes.
const seriesOfSource = `{"query":"m{source=\"0\"}","window":3600}`

// resumeOn closes p and returns a page on a server that continues where p was.
func (p *page) resumeOn(t *testing.T, h *Hub) *page {
	t.Helper()
	since := ""
	for _, room := range p.rooms {
		since = room.position
	}
	p.close()
	q := newPage(t, h, 1<<20)
	q.rooms = p.rooms
	q.ask(`{"query":"m{source=\"0\"}","window":3600,"since":"` + since + `"}`)
	return q
}

// A log that loses its end while no server looks (the machine that all run on is
// started again) has the same epoch afterwards. A server that begins to read it
// before the place that it knows must notice all the same: the copies that the
// source resends are known to it, but not to a page that was away meanwhile.
func TestAServerThatStartsNoticesWhatTheLogHasLostMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		a := newReplica(t, l)
		rng := rand.New(rand.NewPCG(1, 1))
		want := &sharedTruth{truth: truth{}}
		one := &publisher{log: l, source: 0, want: want}
		tick := func(n int) {
			for range n {
				one.publish(one.next(rng))
				time.Sleep(time.Second)
			}
		}
		tick(100)
		p := newPage(t, a.hub, 1<<20)
		p.ask(seriesOfSource)
		time.Sleep(time.Second)
		p.pause(true) // its network is gone
		tick(8)
		a.stop()
		l.loseUnseen(8)
		a.start()
		one.resend(rng, 10)
		tick(3)
		q := p.resumeOn(t, a.hub)
		settleReplicas(t, 0, []*page{q}, want)
		q.close()
		if n := len(a.hub.gaps); n > 0 {
			t.Errorf("%d gaps are declared, and nothing is missing", n)
		}
		a.stop()
	})
}

// A page that is ahead of the server waits for it. When the log loses its end
// meanwhile, the same offset in the new epoch is another place.
func TestAPageThatIsAheadBeginsAnewInANewEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		a := newReplica(t, l)
		rng := rand.New(rand.NewPCG(1, 1))
		want := &sharedTruth{truth: truth{}}
		one := &publisher{log: l, source: 0, want: want}
		tick := func(n int) {
			for range n {
				one.publish(one.next(rng))
				time.Sleep(time.Second)
			}
		}
		tick(10)
		p := newPage(t, a.hub, 1<<20)
		p.ask(seriesOfSource)
		time.Sleep(time.Second)
		for _, room := range p.rooms { // another server has shown it what the log is about to lose
			ahead, _ := l.End(t.Context())
			ahead.Ms += 5000
			room.position = ahead.String()
		}
		q := p.resumeOn(t, a.hub)
		l.lose(2)
		tick(3) // into the places that were lost
		time.Sleep(10 * time.Second)
		tick(1)
		one.resend(rng, 10)
		settleReplicas(t, 0, []*page{q}, want)
		q.close()
		a.stop()
	})
}
