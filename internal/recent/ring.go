package recent

import (
	"sort"

	"stripchart/internal/bus"
)

// Ring holds the recent batches, decoded, in log order. Entries are numbered from
// the start of the process; index n is that of the next entry. Entries are
// immutable once added. Bounded in bytes and in age; the oldest go first.
type Ring struct {
	maxBytes int
	maxAge   int64 // ms

	entries []Entry // entries[0] has index first
	first   uint64
	bytes   int
	before  bus.Position // position of the entry before entries[0]
}

// Entry is what was accepted of one batch.
type Entry struct {
	Position bus.Position
	At       int64 // when it was applied, the server's clock, Unix ms
	Size     int   // bytes, about
	Parts    []Part
	Gaps     []*Gap // that the batch has revealed
	More     bool   // the next entry goes on with the same batch
	Born     bool   // a series of it is new, or was forgotten by a room
	// FreshOnly says that pages already hold the samples of the parts that are not fresh.
	FreshOnly bool
}

// Told returns the samples of a part of the entry that pages are sent.
func (e *Entry) Told(p *Part) []bus.Sample {
	if e.FreshOnly {
		return p.Fresh
	}
	return p.Samples
}

// Part is the accepted samples of one series, as the store has them after the commit. Samples includes
// the samples that the store had before. Such a sample may have been new on another server, after the
// position that a page has seen there; a page that comes from there receives the sample from this ring.
type Part struct {
	Series  *Series
	Samples []bus.Sample // ascending; shared with the batch
	Fresh   []bus.Sample // the samples that the store did not have; often all
}

// Start returns the index of the oldest entry.
func (r *Ring) Start() uint64 { return r.first }

// StartsAfter returns the position of the entry before the oldest one; its epoch is empty before
// the first restart.
func (r *Ring) StartsAfter() bus.Position { return r.before }

// Age returns for how long an entry is kept at most, in ms.
func (r *Ring) Age() int64 { return r.maxAge }

// End returns the index that the next entry will have.
func (r *Ring) End() uint64 { return r.first + uint64(len(r.entries)) }

// Position returns the position up to which batches have come whole before index i.
// i is in [Start, End].
func (r *Ring) Position(i uint64) bus.Position {
	for ; i > r.first; i-- {
		if e := &r.entries[i-r.first-1]; !e.More {
			return e.Position
		}
	}
	return r.before
}

// Covers reports whether all entries from index i on are still here.
func (r *Ring) Covers(i uint64) bool { return i >= r.first }

// From returns the entries from index i on; i is in [Start, End]. The result
// stays valid and unchanged after the lock is released.
func (r *Ring) From(i uint64) []Entry {
	return r.entries[i-r.first : len(r.entries) : len(r.entries)]
}

// Find returns the index of the first entry after position p, and whether the
// ring covers it. The caller has compared the epochs.
func (r *Ring) Find(p bus.Position) (uint64, bool) {
	if p.Compare(r.before.Offset) < 0 {
		return 0, false
	}
	i := sort.Search(len(r.entries), func(i int) bool {
		return r.entries[i].Position.Compare(p.Offset) > 0
	})
	return r.first + uint64(i), true
}

// Restart empties the ring, which then begins after a position of the log. Indexes before the new
// start are not covered any more.
func (r *Ring) Restart(before bus.Position) {
	r.first = r.End()
	r.entries, r.bytes, r.before = nil, 0, before
}

// Add appends e and drops what is beyond the bounds.
func (r *Ring) Add(e Entry) {
	r.entries = append(r.entries, e)
	r.bytes += e.Size
	n, bytes := 0, r.bytes
	for n < len(r.entries)-1 && (bytes > r.maxBytes || r.entries[n].At < e.At-r.maxAge) {
		bytes -= r.entries[n].Size
		n++
	}
	r.drop(n)
}

// GapsOnly returns an entry of gaps alone, to be added. Between two entries of a batch the new entry
// belongs to that batch.
func (r *Ring) GapsOnly(gs []*Gap, now int64) Entry {
	e := Entry{Position: r.Position(r.End()), At: now, Gaps: gs}
	if n := len(r.entries); n > 0 && r.entries[n-1].More {
		e.Position, e.More = r.entries[n-1].Position, true
	}
	return e
}

// Newest returns the entry that was added last.
func (r *Ring) Newest() *Entry { return &r.entries[len(r.entries)-1] }

// Expire drops the entries that are older than the ring's age at a time, Unix ms. Add alone would keep
// old entries for as long as nothing is written. Rooms meanwhile forget series by the clock, so a
// viewer that resumes before an old entry would not be sent its samples.
func (r *Ring) Expire(now int64) {
	n := 0
	for n < len(r.entries) && r.entries[n].At < now-r.maxAge {
		n++
	}
	r.drop(n)
}

// drop drops about n of the oldest entries, always in whole batches. A batch that reaches from within
// the n to the ring's end stays.
func (r *Ring) drop(n int) {
	whole := n
	for whole > 0 && whole < len(r.entries) && r.entries[whole-1].More {
		whole++
	}
	if whole > n && whole == len(r.entries) {
		whole = n
	}
	for whole > 0 && r.entries[whole-1].More {
		whole--
	}
	n = whole
	if n == 0 {
		return
	}
	for i := range r.entries[:n] {
		r.bytes -= r.entries[i].Size
	}
	r.before = r.entries[n-1].Position
	// The slice keeps its tail and append moves it to a new array when the old
	// one is used up, so the array holds at most about twice the entries. The
	// dropped ones are not cleared: a flush may still be reading them.
	r.entries = r.entries[n:]
	r.first += uint64(n)
}
