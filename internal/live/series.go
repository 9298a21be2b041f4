package live

import (
	"math"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
)

// unknownTime stands for a time that is not known.
const unknownTime = math.MinInt64

// series is one series that was written to lately. recent.mu guards it. The log side
// and the index write what the times and the births say, the page side writes members.
type series struct {
	labels labels.Labels
	hash   uint64 // of the labels, see hashOf

	lastT      int64  // newest accepted time of this process, Unix ms; unknownTime before the first
	interval   int64  // usual distance of samples in ms; 0: unknown
	intervalAt uint64 // index of the ring entry that changed interval last
	lastDelta  int64
	seenAt     int64 // the server's clock at the last sample, Unix ms

	// log and members are what the two sides keep of the series: each side knows its own alone.
	log     any   // set once
	members []any // of rooms

	// The index's own.
	slot      uint32 // its number in the searches' bitsets; another series has it once this one is gone
	birth     uint64 // number of its newest birth; 0: none yet
	bornAt    uint64 // index of the ring entry that it was born with
	gone      bool   // not in the index any more
	forgotten bool   // a room has forgotten it: it is born again when it is written to again
}

func newSeries(ls labels.Labels, now int64, log any) series {
	return series{labels: ls, hash: hashOf(ls), lastT: unknownTime, seenAt: now, log: log}
}

// touch keeps s in the index although its newest sample is on its way only.
func (s *series) touch(now int64) { s.seenAt = now }

// forget has s born again when it is written to again.
func (s *series) forget() { s.forgotten = true }

// isBorn reports whether rooms and catalogues can find s.
func (s *series) isBorn() bool { return s.birth > 0 && !s.forgotten }

// seen notes the times of samples that were accepted in the ring entry with index at: lastT,
// and the interval. The first distance is the interval until two in a row are alike that differ
// from it; so an outage or a late sample changes nothing.
func (s *series) seen(samples []bus.Sample, now int64, at uint64) {
	s.seenAt = now
	for _, x := range samples {
		if x.T <= s.lastT {
			continue
		}
		if s.lastT != math.MinInt64 {
			d := x.T - s.lastT
			if s.interval == 0 || alike(d, s.lastDelta) && !alike(d, s.interval) {
				s.interval, s.intervalAt = d, at
			}
			s.lastDelta = d
		}
		s.lastT = x.T
	}
}

// alike reports whether two distances differ by at most a tenth.
func alike(a, b int64) bool {
	return b > 0 && max(a-b, b-a) <= max(1, b/10)
}
