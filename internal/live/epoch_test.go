package live

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/store"
)

// A page that is ahead of the server waits for it. When the log loses its end
// meanwhile, the same offset in the new epoch is another place.
func TestAPageThatIsAheadBeginsAnewInANewEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		a := newReplica(t, l)
		rng := rand.New(rand.NewPCG(1, 1))
		want := &sharedTruth{truth: truth{}}
		one := &publisher{log: l, source: 0, want: want}
		tick := func(n int) { one.tick(rng, n) }
		tick(10)
		p := newPage(t, a.hub, 1<<20)
		p.ask(seriesOfSource)
		time.Sleep(time.Second)
		p.mu.Lock()
		for _, room := range p.rooms { // another server has shown it what the log is about to lose
			ahead, _ := l.End(t.Context())
			ahead.Ms += 5000
			room.position = ahead.String()
		}
		p.mu.Unlock()
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

// A page that reads slowly misses the first update of a new epoch, and continues before it.
// That place has a smaller offset than the end of the old epoch, which the page has seen.
func TestASlowPageContinuesInANewEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		rng := rand.New(rand.NewPCG(1, 1))
		want := &sharedTruth{truth: truth{}}
		one := &publisher{log: l, source: 0, want: want}
		one.tick(rng, 10)
		p := newPage(t, r.hub, 1)
		p.ask(seriesOfSource)
		one.tick(rng, 3)
		l.lose(1)
		one.resend(rng, 3)
		one.tick(rng, 2) // positions are of no epoch while this loss is judged
		p.pause(true)
		one.tick(rng, 1)
		l.lose(2)
		one.tick(rng, 1)
		one.resend(rng, 4)
		p.pause(false)
		one.tick(rng, 20)
		settleReplicas(t, 0, []*page{p}, want)
		if p.stats.slow == 0 || p.whole != 1 {
			t.Errorf("the page did not continue: %+v, %d whole bootstraps", p.stats, p.whole)
		}
		p.close()
		r.stop()
	})
}

// Of a log that has lost its end only the end is read again: its past may be an hour,
// and pages stand still meanwhile. Not so while the disk is full: what was only shown
// is recorded from the log.
func TestOnlyTheEndOfANewEpochIsReadAgain(t *testing.T) {
	for _, full := range []bool{false, true} {
		t.Run(fmt.Sprint("disk full: ", full), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFakeLog()
				a := newReplica(t, l)
				rng := rand.New(rand.NewPCG(1, 1))
				want := &sharedTruth{truth: truth{}}
				one := &publisher{log: l, source: 0, want: want}
				tick := func(n int) { one.tick(rng, n) }
				tick(500)
				if full {
					a.store.mu.Lock()
					a.store.fail = func() error { return store.ErrDiskFull }
					a.store.mu.Unlock()
				}
				tick(500)
				p := newPage(t, a.hub, 1<<20)
				p.ask(seriesOfSource)
				time.Sleep(time.Second)
				a.store.mu.Lock()
				a.store.fail = nil
				a.store.mu.Unlock()
				before := l.handed.Load()
				l.lose(3)
				one.resend(rng, 10)
				tick(2)
				if again := l.handed.Load() - before; again > 20 && !full || again < 900 && full {
					t.Errorf("%d entries were read again", again)
				}
				tick(20)
				settleReplicas(t, 0, []*page{p}, want)
				p.close()
				a.stop()
				if n := len(declared(a.hub)); n > 0 && !full {
					t.Errorf("%d gaps are declared, and nothing is missing: %+v", n, *declared(a.hub)[0])
				}
				// Nor does a start after it read more than any other.
				before = l.handed.Load()
				a.start()
				if again := l.handed.Load() - before; again > 2*60 && !full {
					t.Errorf("after the next start %d entries were read", again)
				}
				a.stop()
			})
		})
	}
}

// Of two masters that do not know of each other the readers come to one, to the other
// whose epoch somebody has renewed meanwhile, and back. Nothing that the first has got
// before the places that they have reached on the other may be taken for known: not by
// the server, and not by a page that was away, and has a place of the same name.
func TestAnEpochThatComesBackIsAnotherLog(t *testing.T) {
	for i := range 8 {
		numbered, busAway, pageAway := i&1 > 0, i&2 > 0, i&4 > 0
		t.Run(fmt.Sprint("numbered: ", numbered, ", bus away: ", busAway, ", page away: ", pageAway), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFakeLog()
				a := newReplica(t, l)
				rng := rand.New(rand.NewPCG(1, 1))
				want := &sharedTruth{truth: truth{}}
				here, there := &publisher{log: l, source: 1, want: want}, &publisher{log: l, source: 0, want: want}
				both := func(n int) {
					for range n {
						b := there.next(rng)
						if !numbered {
							b.Source, b.Seq = "", 0
						}
						there.publish(b)
						time.Sleep(100 * time.Millisecond)
						here.publish(here.next(rng))
						time.Sleep(time.Second)
					}
				}
				both(15)
				p := newPage(t, a.hub, 1<<20)
				const query = `m{n=\"1\"}` // of both
				p.ask(`{"query":"` + query + `","window":3600}`)
				time.Sleep(time.Second)
				other := l.split()
				there.log = other
				both(5)
				time.Sleep(time.Second)
				p.pause(pageAway)
				l.away.Store(busAway)
				l.renew() // by a server that has lost its position here, having come from the other
				time.Sleep(100 * time.Millisecond)
				here.log = other
				here.resend(rng, 10)
				l.becomes(other)
				l.away.Store(false)
				here.log, there.log = l, l
				both(3)
				if pageAway {
					p = p.resumeWith(t, a.hub, query)
				}
				both(30)
				settleReplicas(t, 0, []*page{p}, want)
				p.close()
				a.stop()
				if n := len(declared(a.hub)); n > 0 && numbered {
					t.Errorf("%d gaps are declared, and nothing is missing: %+v", n, *declared(a.hub)[0])
				}
			})
		})
	}
}

// Of two losses in a row the second finds the place of the first: what is missing is
// still the log's loss.
func TestTheLogIsToBlameForTheSecondLossToo(t *testing.T) {
	play(t, `
		publish 30
		number 50
		lose 5
		wait 1s
		lose 0
		wait 1s
		publish 1
		expect gap reason=log_lost
	`)
}

// A server is not ready before it has read the log of an epoch that began while it
// was away.
func TestAServerIsNotReadyBeforeItHasReadTheNewEpoch(t *testing.T) {
	for name, lose := range map[string]func(l *fakeLog){
		"a new epoch":         func(l *fakeLog) { l.lose(3) },
		"nobody has seen yet": func(l *fakeLog) { l.loseUnseen(3) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFakeLog()
				r := newReplica(t, l)
				one := &publisher{log: l, source: 0, want: &sharedTruth{truth: truth{}}}
				rng := rand.New(rand.NewPCG(1, 1))
				for range 100 {
					one.publish(one.next(rng))
					time.Sleep(time.Second)
				}
				r.stop()
				lose(l)
				l.slow.Store(int64(100 * time.Millisecond))
				r.start() // waits until it is ready
				end, _ := l.End(t.Context())
				if at := r.hub.recent.Ring.Position(r.hub.recent.Ring.End()); at != end {
					t.Errorf("ready at %s, and the log ends at %s", at, end)
				}
				r.stop()
			})
		})
	}
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
