package spool

import (
	"sort"

	"stripchart/internal/bus"
)

// maxTailBytes bounds, by bus.Batch.Size, the batches that are kept in memory: new ones, so
// that they are sent without being read back, and held ones, which the disk refused. Beyond
// the bound the oldest batch that is in the log or acknowledged is dropped from memory.
const maxTailBytes = 4 << 20

// maxMarks bounds the marks of acknowledged batches: 10 s with a batch every 50 ms are 200.
// Beyond it the oldest mark is dropped.
const maxMarks = 4096

// entry is a batch that was written, or is held.
type entry struct {
	header
	batch   *bus.Batch // shared with the bus: never changed
	size    int        // by bus.Batch.Size
	samples int
}

// tail is the newest batches.
type tail struct {
	from    uint64  // every batch with this sequence number or a higher one is here
	entries []entry // ascending
	bytes   int
}

func (t *tail) push(e entry) {
	t.entries = append(t.entries, e)
	t.bytes += e.size
	for t.bytes > maxTailBytes && len(t.entries) > 1 {
		t.pop()
	}
}

// forget lets go of the batches before seq.
func (t *tail) forget(seq uint64) {
	for len(t.entries) > 0 && t.entries[0].seq < seq {
		t.pop()
	}
}

func (t *tail) pop() {
	e := &t.entries[0]
	t.from = e.seq + 1
	t.bytes -= e.size
	*e = entry{}
	t.entries = t.entries[1:]
}

// after returns the batches after seq, which is at least from-1.
func (t *tail) after(seq uint64) []entry {
	i := sort.Search(len(t.entries), func(i int) bool { return t.entries[i].seq > seq })
	return t.entries[i:]
}

// marks are the newest acknowledged batches, those of resendSpan, without a hole in their numbers.
// Batches that a kill on a full disk kept out of the log were acknowledged, and cannot be sent
// again. If the batches before and behind them were, a server that does not know the source any
// more would declare a gap.
type marks []header

// add notes the acknowledgement of h, unless it was noted before.
func (m *marks) add(h header) {
	if n := len(*m); n > 0 && h.seq <= (*m)[n-1].seq {
		return
	} else if n > 0 && h.first() > (*m)[n-1].seq+1 {
		*m = (*m)[n:]
	}
	*m = append(*m, h)
	for len(*m) > maxMarks || (*m)[0].time <= h.time-resendSpan.Milliseconds() {
		*m = (*m)[1:]
	}
}

// from returns the first sequence number that is to be published again, or the
// greatest there is.
func (m marks) from() uint64 {
	if len(m) == 0 {
		return ^uint64(0)
	}
	return m[0].first()
}
