package apply

import (
	"cmp"
	"slices"

	"stripchart/internal/bus"
	"stripchart/internal/recent"
)

// maxShown bounds the samples in shown: 16 MiB.
const maxShown = 1 << 20

// shown are the samples that were sent to pages while the disk was full. The first value
// of a (series, time) wins, and the store does not have it yet. Used by the apply
// goroutine alone.
//
// When there are too many, the older half is forgotten. A later sample from the forgotten time may or
// may not be a duplicate of one that pages hold. Such a sample is withheld, and all viewers are
// bootstrapped anew when everything is recorded.
type shown struct {
	most     int                     // that are remembered
	series   map[uint64]*shownSeries // by the hashes of their labels
	count    int
	withheld bool
}

type shownSeries struct {
	samples   []bus.Sample // ascending
	forgotten int64        // newest time up to which some were forgotten
}

// add remembers samples of a series, which ascend.
func (x *shown) add(hash uint64, samples []bus.Sample) {
	if len(samples) == 0 {
		return
	}
	if x.series == nil {
		x.series = map[uint64]*shownSeries{}
	}
	s := x.series[hash]
	if s == nil {
		s = &shownSeries{forgotten: recent.UnknownTime}
		x.series[hash] = s
	}
	for _, y := range samples {
		i, there := s.find(y.T)
		if !there {
			s.samples = slices.Insert(s.samples, i, y)
			x.count++
		}
	}
	if x.count > x.most {
		x.forget()
	}
}

// forget drops the older half of each series, and at least one sample.
func (x *shown) forget() {
	for _, s := range x.series {
		n := (len(s.samples) + 1) / 2
		if n == 0 {
			continue
		}
		s.forgotten = s.samples[n-1].T
		s.samples = slices.Clone(s.samples[n:])
		x.count -= n
	}
}

// value returns the value that pages have of a series at a time, and whether they have
// one. It is not sure when that was forgotten; the sample is withheld then.
func (x *shown) value(hash uint64, t int64) (v float64, there, sure bool) {
	s := x.series[hash]
	if s == nil {
		return 0, false, true
	}
	if i, there := s.find(t); there {
		return s.samples[i].V, true, true
	}
	if t <= s.forgotten {
		x.withheld = true
		return 0, false, false
	}
	return 0, false, true
}

func (s *shownSeries) find(t int64) (int, bool) {
	return slices.BinarySearchFunc(s.samples, t, func(x bus.Sample, t int64) int { return cmp.Compare(x.T, t) })
}

// clear forgets everything: it is recorded, or gone from the log.
func (x *shown) clear() { *x = shown{most: x.most} }
