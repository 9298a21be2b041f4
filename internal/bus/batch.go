package bus

import "github.com/prometheus/prometheus/model/labels"

// Batch is the samples of any number of series that one source publishes
// together.
type Batch struct {
	Sequence
	// Series holds each series at most once.
	Series []Series
}

// Series is the new samples of one series.
type Series struct {
	// Labels include the metric name as __name__, and are as LabelBuilder makes them:
	// sorted, valid, without empty values.
	Labels labels.Labels
	// Samples have strictly ascending times.
	Samples []Sample
}

// Sample is a value at a time.
type Sample struct {
	T int64   // Unix time in milliseconds
	V float64 // any float64; NaN and the infinities are drawn as a break
}

// Samples returns the number of samples in b.
func (b *Batch) Samples() int {
	n := 0
	for i := range b.Series {
		n += len(b.Series[i].Samples)
	}
	return n
}

// Size returns about how many bytes b occupies in memory. Every bound in bytes on
// batches is in these units.
func (b *Batch) Size() int {
	const batchOverhead, seriesOverhead, sampleSize = 96, 64, 16
	n := batchOverhead + len(b.Source)
	for i := range b.Series {
		n += seriesOverhead + int(b.Series[i].Labels.ByteSize()) + sampleSize*len(b.Series[i].Samples)
	}
	return n
}
