package live

import (
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// Series returns how many series are held that were written to lately.
func (h *Hub) Series() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.index.len()
}

// knownAtOnce bounds how many series Knows looks up while it holds the lock.
const knownAtOnce = 512

// Knows reports which of ls are among Series.
func (h *Hub) Knows(ls []labels.Labels) []bool {
	known := make([]bool, len(ls))
	for from := 0; from < len(ls); from += knownAtOnce {
		to := min(from+knownAtOnce, len(ls))
		h.mu.Lock()
		for i := from; i < to; i++ {
			known[i] = h.index.get(ls[i]) != nil
		}
		h.mu.Unlock()
	}
	return known
}

// Heard returns the highest sequence number of a source that was applied, and the log
// time of its newest batch; false where the source is not known.
func (h *Hub) Heard(name string) (seq uint64, at time.Time, known bool) {
	return h.follower.heard(name)
}
