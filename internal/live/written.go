package live

import (
	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/store"
)

// written is a series with what the log side keeps of it. Times are Unix ms.
type written struct {
	series
	ref store.Ref

	// floor is the newest time at which the store may hold a sample of the series from before,
	// since the index forgets and the store does not. It is the newest time of any series when
	// this one was first seen, until the store was asked (lookUp).
	floor int64

	// last is the newest accepted time in the newest batch that held the series. beforeLoss is
	// what last was before the log lost something, and losses is losses.count as it was when
	// beforeLoss was noted.
	last, beforeLoss int64
	losses           int

	source *source // wrote the series last; nil: a writer without a sequence, or not known
}

func newWritten(ls labels.Labels, floor, now int64) *written {
	w := &written{floor: floor, last: unknownTime, beforeLoss: unknownTime}
	w.series = newSeries(ls, now, w)
	return w
}

// writtenOf returns what the log side keeps of s; nil for nil.
func writtenOf(s *series) *written {
	if s == nil {
		return nil
	}
	return s.log.(*written)
}

// doubt has the store asked about samples up to t.
func (w *written) doubt(t int64) { w.floor = max(w.floor, t) }

// answered takes up the newest time that the store has of the series.
func (w *written) answered(newest int64) { w.floor = newest }

// before returns the newest accepted time in the newest batch that held the series before the
// newest loss, of which there were `losses`. It is unknownTime when this process has not
// applied any.
func (w *written) before(losses int) int64 {
	if w.losses == losses {
		return w.beforeLoss
	}
	return w.last
}

// wrote notes the newest accepted time of the series in a batch, after so many losses.
func (w *written) wrote(newest int64, losses int) {
	if w.losses != losses {
		w.losses, w.beforeLoss = losses, w.last
	}
	w.last = newest
}

// by notes the source that wrote the series last; nil: a writer without a sequence, or none any
// more. The source notes it as well, see source.wrote.
func (w *written) by(x *source) { w.source = x }
