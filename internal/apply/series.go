package apply

import (
	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/recent"
	"stripchart/internal/store"
)

// series is a series with what the log side keeps of it. Times are Unix ms.
type series struct {
	recent.Series
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

	// lag is by how many ms, at most, the series was behind the newest of its source when it was
	// written lately. It is negative while that is not known.
	lag int64

	source *source // wrote the series last; nil: a writer without a sequence, or not known
}

func newSeries(ls labels.Labels, floor, now int64) *series {
	w := &series{floor: floor, last: recent.UnknownTime, beforeLoss: recent.UnknownTime, lag: -1}
	w.Series = recent.NewSeries(ls, now, w)
	return w
}

// seriesOf returns what the log side keeps of s; nil for nil.
func seriesOf(s *recent.Series) *series {
	if s == nil {
		return nil
	}
	return s.Log.(*series)
}

// doubt has the store asked about samples up to t.
func (w *series) doubt(t int64) { w.floor = max(w.floor, t) }

// answered takes up the newest time that the store has of the series.
func (w *series) answered(newest int64) { w.floor = newest }

// before returns the newest accepted time in the newest batch that held the series before the
// newest loss, of which there were `losses`. It is recent.UnknownTime when this process has not
// applied any.
func (w *series) before(losses int) int64 {
	if w.losses == losses {
		return w.beforeLoss
	}
	return w.last
}

// wrote notes the newest accepted time of the series in a batch, after so many losses.
func (w *series) wrote(newest int64, losses int) {
	if w.losses != losses {
		w.losses, w.beforeLoss = losses, w.last
	}
	w.last = newest
}

// by notes the source that wrote the series last; nil: a writer without a sequence, or none any
// more. The source notes it as well, see source.has.
func (w *series) by(x *source) { w.source = x }

// lags notes by how many ms the series is behind the newest of its source. What was more before is forgotten
// slowly, batch by batch.
func (w *series) lags(ms int64) { w.lag = max(ms, w.lag-w.lag/16) }
