package live

import (
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/store"
	"stripchart/internal/testkit"
)

// While nothing can be applied, as with a dead disk, the server says so, and not
// while the disk is full, when what comes is shown. It is over with the first commit.
func TestAServerThatCanApplyNothingIsStalled(t *testing.T) {
	dead := errors.New("input/output error")
	for name, c := range map[string]struct {
		err     error
		stalled bool
	}{"a dead disk": {dead, true}, "a full disk": {store.ErrDiskFull, false}, "rubbish": {store.ErrInvalidSeries, false}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFakeLog()
				r := newReplica(t, l)
				p := &publisher{log: l, want: &sharedTruth{truth: truth{}}}
				rng := rand.New(rand.NewPCG(1, 1))
				fail := func(err error) {
					r.store.mu.Lock()
					defer r.store.mu.Unlock()
					r.store.fail = func() error { return err }
				}
				p.tick(rng, 10)
				if err := r.hub.Stalled(); err != nil {
					t.Error(err)
				}
				fail(c.err)
				for range 10 {
					p.tick(rng, 10)
					time.Sleep(10 * time.Second)
					if err := r.hub.Stalled(); (err != nil) != c.stalled {
						t.Errorf("stalled: %v", err)
					}
				}
				fail(nil)
				time.Sleep(5 * time.Second)
				if err := r.hub.Stalled(); err != nil {
					t.Errorf("after it was mended: %v", err)
				}
				r.stop()
			})
		})
	}
}

// Without a log that keeps it, a batch that failed is its writer's again. If nobody
// writes any more, the failure does not stay the state of things.
func TestAFailureInMemoryIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &storedButFailed{memStore: newMemStore(), fail: true}
		r := newRig(t, st, nil)
		defer r.stop()
		r.put(errCommit, seriesLabels(0, 0), bus.Sample{T: ms(), V: 1})
		if r.hub.Stalled() == nil {
			t.Error("it is not told")
		}
		time.Sleep(15 * time.Second)
		if err := r.hub.Stalled(); err != nil {
			t.Errorf("it is told still: %v", err)
		}
	})
}

// systemd kills a server that is stuck, and not one that is busy.
func TestPulseTellsThatTheServerIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := New(Options{Store: newMemStore(), Transport: fakeTransport{}, DefaultSeries: "m"})
		if err != nil {
			t.Fatal(err)
		}
		beats := func() bool { return testkit.Returns(h.Pulse, 10*time.Second) }
		if !beats() {
			t.Error("no sign of life when nothing happens")
		}
		h.recent.Mu.Lock()
		if beats() {
			t.Error("a sign of life while the lock is held for ever")
		}
		h.recent.Mu.Unlock()
		time.Sleep(time.Second) // the pulse that was stuck goes on
		h.Close()
	})
}
