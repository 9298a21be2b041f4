package recent

import (
	"math"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
)

// UnknownTime stands for a time that is not known.
const UnknownTime = math.MinInt64

// Series is one series that was written to lately. Log.Mu guards it, but for Labels and Hash, which do
// not change. Both sides read it. Only its own methods and those of the index write it, except for Log
// and Members.
type Series struct {
	Labels labels.Labels
	Hash   uint64 // of the labels, see Hash

	LastT      int64  // newest accepted time of this process, Unix ms; UnknownTime before the first
	Interval   int64  // usual distance of samples in ms; 0: unknown
	IntervalAt uint64 // index of the ring entry that changed Interval last
	lastDelta  int64
	SeenAt     int64 // the server's clock at the last sample, Unix ms

	// Log and Members are what the two sides keep of the series: only the log side knows what Log is,
	// and only the page side, which writes Members, what they are.
	Log     any   // set once, by NewSeries
	Members []any // one for each room that has the series

	// The index's own.
	Slot      uint32 // index of the series in the searches' bitsets; reused once the series is gone
	birth     uint64 // number of its newest birth; 0: none yet
	BornAt    uint64 // index of the ring entry that it was born with
	Gone      bool   // not in the index any more
	forgotten bool   // a room has forgotten it: it is born again when it is written to again
}

// NewSeries returns a series that is not in the index yet. now is the server's clock, Unix ms; log is
// what the log side keeps of the series.
func NewSeries(ls labels.Labels, now int64, log any) Series {
	return Series{Labels: ls, Hash: Hash(ls), LastT: UnknownTime, SeenAt: now, Log: log}
}

// Touch keeps s in the index while its newest sample is not yet in the ring.
func (s *Series) Touch(now int64) { s.SeenAt = now }

// Forget has s born again when it is written to again.
func (s *Series) Forget() { s.forgotten = true }

// IsBorn reports whether rooms and catalogues can find s.
func (s *Series) IsBorn() bool { return s.birth > 0 && !s.forgotten }

// seen notes the times of samples that were accepted in the ring entry with index at: LastT, and the
// Interval. The first distance between samples sets the interval. Later the interval changes only when
// two distances in a row agree with each other and differ from the interval, so an outage or a late
// sample changes nothing.
func (s *Series) seen(samples []bus.Sample, now int64, at uint64) {
	s.SeenAt = now
	for _, x := range samples {
		if x.T <= s.LastT {
			continue
		}
		if s.LastT != math.MinInt64 {
			d := x.T - s.LastT
			if s.Interval == 0 || alike(d, s.lastDelta) && !alike(d, s.Interval) {
				s.Interval, s.IntervalAt = d, at
			}
			s.lastDelta = d
		}
		s.LastT = x.T
	}
}

// alike reports whether two distances differ by at most a tenth.
func alike(a, b int64) bool {
	return b > 0 && max(a-b, b-a) <= max(1, b/10)
}
