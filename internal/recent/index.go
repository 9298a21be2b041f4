package recent

import (
	"iter"
	"maps"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
)

// IndexAge is how long a series stays in the index without samples, and how far
// back the index is filled from the store at the start.
const IndexAge = time.Hour

// NameLabel is the label that holds a series' metric name.
const NameLabel = "__name__"

// Index holds the series that were written to lately, by their labels, and in the order
// of their births. Log.Mu guards it.
type Index struct {
	byKey map[string]*Series
	buf   []byte // scratch for keys

	NewestT int64 // newest time of any series, also of series that only the store knows; Unix ms

	Births    uint64             // number of the newest birth
	AllBirths Births             // of all series
	byName    map[string]*Births // by __name__
	untidy    map[*Births]string // the values of byName that hold births that are over
	slots     []*Series          // nil: free
	free      []uint32           // slots
}

// newIndex returns an empty index. newestT is the newest time in the store.
func newIndex(newestT int64) Index {
	return Index{NewestT: newestT, byKey: map[string]*Series{}, byName: map[string]*Births{}, untidy: map[*Births]string{}}
}

// Key returns the map key of ls; valid until the next call.
func (x *Index) Key(ls labels.Labels) []byte {
	x.buf = ls.Bytes(x.buf)
	return x.buf
}

// Get returns the series of ls, or nil.
func (x *Index) Get(ls labels.Labels) *Series { return x.byKey[string(x.Key(ls))] }

// Len returns how many series there are.
func (x *Index) Len() int { return len(x.byKey) }

// Each returns the series, in no order.
func (x *Index) Each() iter.Seq[*Series] { return maps.Values(x.byKey) }

// add puts s into the index. It is not born yet.
func (x *Index) add(s *Series) {
	x.byKey[string(x.Key(s.Labels))] = s
	if n := len(x.free); n > 0 {
		s.Slot, x.free = x.free[n-1], x.free[:n-1]
		x.slots[s.Slot] = s
		return
	}
	s.Slot = uint32(len(x.slots))
	x.slots = append(x.slots, s)
}

// Wrote notes the samples of s that were accepted in the ring entry with index at.
func (x *Index) Wrote(s *Series, samples []bus.Sample, now int64, at uint64) {
	s.seen(samples, now, at)
	x.NewestT = max(x.NewestT, s.LastT)
}

// Welcome makes a series visible to every room and catalogue: the series is new, or a room has
// forgotten it. The ring entry with index at holds the accepted samples of the series.
func (x *Index) Welcome(s *Series, at uint64) {
	switch x.Get(s.Labels) {
	case nil:
		x.add(s)
	case s:
	default:
		return // the index has another series with these labels
	}
	x.bear(s, at)
}

// bear adds a birth of s, with the ring entry of that index.
func (x *Index) bear(s *Series, entry uint64) {
	again := s.birth > 0
	x.Births++
	s.birth, s.BornAt, s.forgotten = x.Births, entry, false
	name := s.Labels.Get(NameLabel)
	for _, b := range []*Births{&x.AllBirths, x.Named(name)} {
		b.list = append(b.list, Birth{s.birth, s})
	}
	if again {
		x.over(name)
	}
}

// over notes that a birth of a series with that name is over.
func (x *Index) over(name string) {
	b := x.Named(name)
	b.over++
	x.AllBirths.over++
	x.untidy[b] = name
}

// Named returns the births of the series with a name.
func (x *Index) Named(name string) *Births {
	b := x.byName[name]
	if b == nil {
		b = &Births{}
		x.byName[name] = b
	}
	return b
}

// Remove takes s out of the index. The caller has taken it out of the searches.
func (x *Index) Remove(s *Series) {
	s.Gone = true
	delete(x.byKey, string(x.Key(s.Labels)))
	x.slots[s.Slot] = nil
	x.free = append(x.free, s.Slot)
	x.over(s.Labels.Get(NameLabel))
}

// EachSlot calls f with the series in the slots of a piece from `from` on, and reports
// whether there are more behind it.
func (x *Index) EachSlot(from uint32, f func(*Series)) bool {
	to := min(int(from)+PieceOf, len(x.slots))
	for _, s := range x.slots[min(int(from), to):to] {
		if s != nil {
			f(s)
		}
	}
	return to < len(x.slots)
}
