package live

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
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
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { lifeOfReplicas(t, seed) })
		})
	}
}

// lifeOfReplicas is one such life; the seed decides what happens.
func lifeOfReplicas(t *testing.T, seed uint64) {
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
}
