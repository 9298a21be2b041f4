package live

import (
	"errors"
	"time"

	"stripchart/internal/store"
)

// stalledFor is how long a commit that failed counts as the state of things: longer
// than the pause between two tries, and than collectors are silent.
const stalledFor = 15 * time.Second

// stall is a commit that failed.
type stall struct {
	at  time.Time
	err error
}

// Stalled returns why nothing can be applied, or nil. A full disk is no reason: what
// comes is shown. It does not wait for apply's lock.
func (h *Hub) Stalled() error {
	if s := h.stalled.Load(); s != nil && time.Since(s.at) < stalledFor {
		return s.err
	}
	return nil
}

// tried notes how a commit ended. A batch that no store would take says nothing of this one.
func (h *Hub) tried(err error) {
	if isFailure(err) && !errors.Is(err, store.ErrInvalidSeries) {
		h.stalled.Store(&stall{time.Now(), err})
	} else if h.stalled.Load() != nil {
		h.stalled.Store(nil)
	}
}
