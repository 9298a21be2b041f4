package live

import (
	"sort"

	"stripchart/internal/bus"
)

// ring holds the recent batches, decoded, in log order. Entries are numbered from
// the start of the process; index n is that of the next entry. Entries are
// immutable once added. Bounded in bytes and in age; the oldest go first.
type ring struct {
	maxBytes int
	maxAge   int64 // ms

	entries []entry // entries[0] has index first
	first   uint64
	bytes   int
	before  bus.Position // position of the entry before entries[0]
}

// entry is what was accepted of one batch.
type entry struct {
	position bus.Position
	at       int64 // when it was applied, the server's clock, Unix ms
	size     int
	parts    []part
	gaps     []*gap // that the batch has revealed
	more     bool   // the next entry goes on with the same batch
	born     bool   // a series of it is new, or was forgotten by a room
	// freshOnly says that pages have what is not fresh in the parts.
	freshOnly bool
}

// told returns the samples of one of the entry's parts that pages are told.
func (e *entry) told(p *part) []bus.Sample {
	if e.freshOnly {
		return p.fresh
	}
	return p.samples
}

// part is the accepted samples of one series, as the store has them after the
// commit. Those that it had before are among them: a page that comes from another
// server, on which they were new behind the position that it has seen, is sent
// them from here.
type part struct {
	series  *series
	samples []bus.Sample // ascending; shared with the batch
	fresh   []bus.Sample // those that the store did not have; often all
}

// start returns the index of the oldest entry.
func (r *ring) start() uint64 { return r.first }

// startsAfter returns the position of the entry before the oldest one; its epoch is empty before
// the first restart.
func (r *ring) startsAfter() bus.Position { return r.before }

// age returns for how long an entry is kept at most, in ms.
func (r *ring) age() int64 { return r.maxAge }

// end returns the index that the next entry will have.
func (r *ring) end() uint64 { return r.first + uint64(len(r.entries)) }

// position returns the position up to which batches have come whole before index i.
// i is in [first, end].
func (r *ring) position(i uint64) bus.Position {
	for ; i > r.first; i-- {
		if e := &r.entries[i-r.first-1]; !e.more {
			return e.position
		}
	}
	return r.before
}

// covers reports whether all entries from index i on are still here.
func (r *ring) covers(i uint64) bool { return i >= r.first }

// from returns the entries from index i on; i is in [first, end]. The result
// stays valid and unchanged after the lock is released.
func (r *ring) from(i uint64) []entry {
	return r.entries[i-r.first : len(r.entries) : len(r.entries)]
}

// find returns the index of the first entry after position p, and whether the
// ring covers it. The caller has compared the epochs.
func (r *ring) find(p bus.Position) (uint64, bool) {
	if p.Compare(r.before.Offset) < 0 {
		return 0, false
	}
	i := sort.Search(len(r.entries), func(i int) bool {
		return r.entries[i].position.Compare(p.Offset) > 0
	})
	return r.first + uint64(i), true
}

// restart empties the ring, which then begins after a position of the log. Whoever
// still stands in what it held is not covered any more.
func (r *ring) restart(before bus.Position) {
	r.first = r.end()
	r.entries, r.bytes, r.before = nil, 0, before
}

// add appends e and drops what is beyond the bounds.
func (r *ring) add(e entry) {
	r.entries = append(r.entries, e)
	r.bytes += e.size
	n, bytes := 0, r.bytes
	for n < len(r.entries)-1 && (bytes > r.maxBytes || r.entries[n].at < e.at-r.maxAge) {
		bytes -= r.entries[n].size
		n++
	}
	r.drop(n)
}

// gapsOnly returns an entry of gaps alone, to be added. Between two entries of a batch it is one
// of them.
func (r *ring) gapsOnly(gs []*gap, now int64) entry {
	e := entry{position: r.position(r.end()), at: now, gaps: gs}
	if n := len(r.entries); n > 0 && r.entries[n-1].more {
		e.position, e.more = r.entries[n-1].position, true
	}
	return e
}

// newest returns the entry that was added last.
func (r *ring) newest() *entry { return &r.entries[len(r.entries)-1] }

// expire drops the entries that are older than the ring's age at a time, Unix ms. add
// alone would keep them for as long as nothing is written, while rooms forget their
// series by the clock: a viewer that resumes before such an entry would be sent
// nothing of it.
func (r *ring) expire(now int64) {
	n := 0
	for n < len(r.entries) && r.entries[n].at < now-r.maxAge {
		n++
	}
	r.drop(n)
}

// drop drops about the n oldest entries: a batch goes as a whole. The newest one stays, if
// it is not among the n.
func (r *ring) drop(n int) {
	whole := n
	for whole > 0 && whole < len(r.entries) && r.entries[whole-1].more {
		whole++
	}
	if whole > n && whole == len(r.entries) {
		whole = n
	}
	for whole > 0 && r.entries[whole-1].more {
		whole--
	}
	n = whole
	if n == 0 {
		return
	}
	for i := range r.entries[:n] {
		r.bytes -= r.entries[i].size
	}
	r.before = r.entries[n-1].position
	// The slice keeps its tail and append moves it to a new array when the old
	// one is used up, so the array holds at most about twice the entries. The
	// dropped ones are not cleared: a flush may still be reading them.
	r.entries = r.entries[n:]
	r.first += uint64(n)
}
