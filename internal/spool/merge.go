package spool

import (
	"cmp"
	"slices"

	"stripchart/internal/bus"
)

// The bounds of a merged batch. A single batch may exceed them.
const (
	maxMergeBatches = 64
	maxMergeBytes   = 256 << 10
	maxMergeSamples = 5000
)

// gathering is consecutive batches that are going to be merged.
type gathering struct {
	entries []entry
	bytes   int
	samples int
	limit   int    // batches, 1 to maxMergeBatches
	after   uint64 // sequence number of the batch before them
}

// take adds e and returns true, unless it does not fit. A batch that does not
// follow the one before without a hole does not fit: the merged batch would vouch
// for the missing numbers, and no server would declare the gap. Nor does anything
// fit behind a batch that follows a hole itself: the gap ends where that was measured,
// which servers take from its newest sample.
func (g *gathering) take(e entry) bool {
	if n := len(g.entries); n > 0 &&
		(n >= g.limit || g.bytes+e.size > maxMergeBytes || g.samples+e.samples > maxMergeSamples ||
			e.first() != g.entries[n-1].seq+1 || g.entries[0].first() != g.after+1) {
		return false
	}
	g.entries = append(g.entries, e)
	g.bytes += e.size
	g.samples += e.samples
	return true
}

// merge returns one batch with everything in entries, which is not empty: each
// series once, its samples ascending, and the first value where a time comes
// twice. The entries' batches may be shared with the bus; they are not changed.
func merge(entries []entry) *bus.Batch {
	last := entries[len(entries)-1]
	if len(entries) == 1 {
		return last.batch
	}
	merged := &bus.Batch{Sequence: bus.Sequence{Source: last.batch.Source, Seq: last.seq, Merged: last.seq - entries[0].first()}}
	places := map[string]int{}
	var key []byte
	for _, e := range entries {
		for _, series := range e.batch.Series {
			key = series.Labels.Bytes(key[:0])
			i, ok := places[string(key)]
			if !ok {
				places[string(key)] = len(merged.Series)
				// Without spare capacity, so that append copies.
				series.Samples = slices.Clip(series.Samples)
				merged.Series = append(merged.Series, series)
				continue
			}
			into := &merged.Series[i]
			into.Samples = append(into.Samples, series.Samples...)
		}
	}
	for i := range merged.Series {
		merged.Series[i].Samples = ascending(merged.Series[i].Samples)
	}
	return merged
}

// ascending returns samples in strictly ascending order of time; where a time
// comes twice the first of them stays. Samples that are in order are returned as
// they are.
func ascending(samples []bus.Sample) []bus.Sample {
	for i := 1; i < len(samples); i++ {
		if samples[i].T <= samples[i-1].T {
			slices.SortStableFunc(samples, func(a, b bus.Sample) int { return cmp.Compare(a.T, b.T) })
			return slices.CompactFunc(samples, func(a, b bus.Sample) bool { return a.T == b.T })
		}
	}
	return samples
}
