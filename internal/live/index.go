package live

import (
	"iter"
	"maps"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
)

// indexAge is how long a series stays in the index without samples, and how far
// back the index is filled from the store at the start.
const indexAge = time.Hour

// nameLabel is the label that holds a series' metric name.
const nameLabel = "__name__"

// index holds the series that were written to lately, by their labels, and in the order
// of their births. recent.mu guards it.
type index struct {
	byKey map[string]*series
	buf   []byte // scratch for keys

	newestT int64 // newest time of any series, those that only the store knows included, Unix ms

	births uint64 // number of the newest birth
	all    births
	byName map[string]*births // by __name__
	untidy map[*births]string // of byName, with births that are over
	slots  []*series          // nil: free
	free   []uint32           // slots
}

// newIndex returns an empty index. newestT is the newest time in the store.
func newIndex(newestT int64) index {
	return index{newestT: newestT, byKey: map[string]*series{}, byName: map[string]*births{}, untidy: map[*births]string{}}
}

// key returns the map key of ls; valid until the next call.
func (x *index) key(ls labels.Labels) []byte {
	x.buf = ls.Bytes(x.buf)
	return x.buf
}

// get returns the series of ls, or nil.
func (x *index) get(ls labels.Labels) *series { return x.byKey[string(x.key(ls))] }

// len returns how many series there are.
func (x *index) len() int { return len(x.byKey) }

// each returns the series, in no order.
func (x *index) each() iter.Seq[*series] { return maps.Values(x.byKey) }

// add puts s into the index. It is not born yet.
func (x *index) add(s *series) {
	x.byKey[string(x.key(s.labels))] = s
	if n := len(x.free); n > 0 {
		s.slot, x.free = x.free[n-1], x.free[:n-1]
		x.slots[s.slot] = s
		return
	}
	s.slot = uint32(len(x.slots))
	x.slots = append(x.slots, s)
}

// wrote notes the samples of s that were accepted in the ring entry with index at.
func (x *index) wrote(s *series, samples []bus.Sample, now int64, at uint64) {
	s.seen(samples, now, at)
	x.newestT = max(x.newestT, s.lastT)
}

// welcome has every room and catalogue find a series that is new, or that a room has forgotten.
// The ring entry with index at holds what was accepted of it.
func (x *index) welcome(s *series, at uint64) {
	switch x.get(s.labels) {
	case nil:
		x.add(s)
	case s:
	default:
		return // the index has another series with these labels
	}
	x.bear(s, at)
}

// bear adds a birth of s, with the ring entry of that index.
func (x *index) bear(s *series, entry uint64) {
	again := s.birth > 0
	x.births++
	s.birth, s.bornAt, s.forgotten = x.births, entry, false
	name := s.labels.Get(nameLabel)
	for _, b := range []*births{&x.all, x.named(name)} {
		b.list = append(b.list, birth{s.birth, s})
	}
	if again {
		x.over(name)
	}
}

// over notes that a birth of a series with that name is over.
func (x *index) over(name string) {
	b := x.named(name)
	b.over++
	x.all.over++
	x.untidy[b] = name
}

// named returns the births of the series with a name.
func (x *index) named(name string) *births {
	b := x.byName[name]
	if b == nil {
		b = &births{}
		x.byName[name] = b
	}
	return b
}

// remove takes s out of the index. The caller has taken it out of the searches.
func (x *index) remove(s *series) {
	s.gone = true
	delete(x.byKey, string(x.key(s.labels)))
	x.slots[s.slot] = nil
	x.free = append(x.free, s.slot)
	x.over(s.labels.Get(nameLabel))
}

// eachSlot calls f with the series in the slots of a piece from `from` on, and reports
// whether there are more behind it.
func (x *index) eachSlot(from uint32, f func(*series)) bool {
	to := min(int(from)+pieceOf, len(x.slots))
	for _, s := range x.slots[min(int(from), to):to] {
		if s != nil {
			f(s)
		}
	}
	return to < len(x.slots)
}
