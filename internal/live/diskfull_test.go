package live

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/store"
	"stripchart/internal/wire"
)

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

// What was only shown can be recorded from the log alone; what the log has dropped
// by then is a gap.
func TestWhatTheLogDroppedWhileTheDiskWasFullIsAGap(t *testing.T) {
	for reason, lose := range map[string]string{wire.GapLogTrimmed: "trim 3", wire.GapLogLost: "lose 1000"} {
		play(t, `publish 30
disk full
mark full
publish 20
mark end
`+lose+`
disk empty
publish 40
expect gap reason=`+reason+` from<=full to>=end-4s`)
	}
}
