package recent

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Lock is a mutex that tells how long it was held. Updates and writes wait for the lock, so work under
// it is done in pieces: no hold is longer than about 10 ms, however many series and rooms there are.
type Lock struct {
	mu    sync.Mutex
	held  prometheus.Observer
	holds atomic.Uint64 // number of holds that have ended

	// Guarded by mu.
	since time.Time
	work  int // series, rooms and viewers gone over in this hold, where there may be many
	most  int // in any hold
}

const (
	// PieceOf is how many series or viewers are gone over in one hold, where there may be
	// many.
	PieceOf = 1024
	// workOfHold is the amount of work after which a hold ends, where one step can go over several
	// series or viewers.
	workOfHold = 4 * PieceOf
)

func (l *Lock) Lock() {
	l.mu.Lock()
	l.since = time.Now()
}

func (l *Lock) Unlock() {
	held := time.Since(l.since)
	l.most, l.work = max(l.most, l.work), 0
	l.holds.Add(1)
	l.mu.Unlock()
	l.held.Observe(held.Seconds())
}

// Did notes work under the lock. The caller holds it.
func (l *Lock) Did(n int) { l.work += n }

// HasWorkedEnough reports whether the hold has to end soon, so that it does not become too long.
// The caller holds l.
func (l *Lock) HasWorkedEnough() bool { return l.work >= workOfHold }

// MostWork returns the most work that was done in any hold that has ended. The caller holds l.
func (l *Lock) MostWork() int { return l.most }

// AwaitProgress returns once the lock was free, or was released: a lock that is busy is not stuck.
func (l *Lock) AwaitProgress() {
	before := l.holds.Load()
	for l.holds.Load() == before {
		if l.mu.TryLock() {
			l.mu.Unlock()
			return
		}
		time.Sleep(time.Millisecond)
	}
}
