package bus

import "github.com/prometheus/prometheus/model/labels"

// MaxSeq bounds sequence numbers: 2^53 - 1, exact in every language. A source that
// publishes a thousand batches a second counts to there for 285,000 years.
const MaxSeq = 1<<53 - 1

// Batch is the samples of any number of series that one source publishes
// together.
type Batch struct {
	// Source identifies the publisher for as long as its sequence goes on.
	// Empty for writers without a sequence (HTTP); Seq is 0 then.
	Source string
	// Seq counts the source's batches: 1, 2, 3, ... without holes, at most MaxSeq.
	Seq uint64
	// Merged is how many batches before Seq are in this one too: a source that
	// could not publish for a while sends what gathered as one. It is less than Seq.
	Merged uint64
	// Dropped is how many batches right before those in this one the source has
	// given up: nobody will ever see them. It is less than Seq-Merged. Readers find
	// the same by the numbers, unless they have forgotten the source.
	Dropped uint64
	// DroppedAfter is when the newest sample before the dropped batches was measured,
	// Unix ms: with Dropped, samples between it and the newest in here are missing. 0 is
	// not known, and then no gap can be told.
	DroppedAfter int64
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

// First returns the sequence number of the first batch that is in b.
func (b *Batch) First() uint64 { return b.Seq - b.Merged }

// Samples returns the number of samples in b.
func (b *Batch) Samples() int {
	n := 0
	for i := range b.Series {
		n += len(b.Series[i].Samples)
	}
	return n
}

// Size returns about how many bytes b occupies in memory; every bound in bytes
// on batches counts with it.
func (b *Batch) Size() int {
	const batchOverhead, seriesOverhead, sampleSize = 96, 64, 16
	n := batchOverhead + len(b.Source)
	for i := range b.Series {
		n += seriesOverhead + int(b.Series[i].Labels.ByteSize()) + sampleSize*len(b.Series[i].Samples)
	}
	return n
}
