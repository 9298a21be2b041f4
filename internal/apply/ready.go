package apply

import (
	"sync"
	"sync/atomic"
	"time"

	"stripchart/internal/bus"
)

// readiness says whether viewers may join: once the log was read up to its end as seen at the
// start. Before, a bootstrap would lack what is still to be applied.
type readiness struct {
	metrics *metrics
	done    chan struct{}
	set     func()
	behind  *atomic.Int64 // ms of the log's time; -1: not known
}

func newReadiness(m *metrics) readiness {
	r := readiness{metrics: m, done: make(chan struct{}), behind: new(atomic.Int64)}
	r.set = sync.OnceFunc(func() { close(r.done) })
	r.behind.Store(-1)
	return r
}

func (r *readiness) is() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// passed notes that the Tail has come to a place.
func (r *readiness) passed(at, end bus.Position) {
	// Another epoch than that of the end: the log has lost its end since the Tail began.
	if at.Epoch != end.Epoch || at.Compare(end.Offset) >= 0 {
		r.setBehind(end, end)
		r.set()
		return
	}
	r.setBehind(end, at)
}

func (r *readiness) setBehind(end, at bus.Position) {
	ms := max(end.LogTime()-at.LogTime(), 0)
	r.behind.Store(ms)
	r.metrics.behind.Set(float64(ms) / 1000)
}

// behindBy returns how much of the log, in its own time, is still to be applied before
// viewers may join. It is false while that is not known, because the bus is away or
// nothing was read yet.
func (r *readiness) behindBy() (time.Duration, bool) {
	ms := r.behind.Load()
	return time.Duration(max(ms, 0)) * time.Millisecond, ms >= 0
}
