package live

import (
	"math"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/store"
)

// series is one series that was written to lately.
type series struct {
	labels labels.Labels
	ref    store.Ref

	// lastT is the newest accepted time of this process; math.MinInt64 before the
	// first. floor is the newest time at which the store may hold a sample of it from
	// before, since the index forgets and the store does not: the newest time of any
	// series when this one was first seen, until the store was asked (lookUp).
	lastT, floor int64

	interval  int64 // usual distance of samples in ms; 0: unknown
	lastDelta int64
	seenAt    int64 // server's clock at the last sample, Unix ms

	// last is the newest accepted time in the newest batch that held the series, and
	// beforeLoss what it was before the log lost something; losses is Hub.losses as it was
	// when beforeLoss was noted. Unix ms; see Hub.before.
	last, beforeLoss int64
	losses           int

	hash      uint64       // of the labels, see hashOf
	source    *source      // that wrote it last; nil: none with a sequence, or not known
	members   []membership // the rooms that send it
	forgotten bool         // a room has forgotten it: it is born again when it is back

	slot   uint32 // its number in the searches' bitsets; that of another one once it is gone
	birth  uint64 // number of its newest birth
	bornAt uint64 // index of the ring entry that it was born with
	gone   bool   // not in the index any more
}

// membership is a series' place in a room.
type membership struct {
	room   *Room
	member *member
}

// index holds the series that were written to lately, by their labels, and in the order
// of their births. Guarded by Hub.mu.
type index struct {
	byKey map[string]*series
	buf   []byte // scratch for keys

	births uint64 // number of the newest birth
	all    births
	byName map[string]*births // by __name__
	untidy map[*births]string // of byName, with births that are over
	slots  []*series          // nil: free
	free   []uint32           // slots
}

func newIndex() index {
	return index{byKey: map[string]*series{}, byName: map[string]*births{}, untidy: map[*births]string{}}
}

// key returns the map key of ls; valid until the next call.
func (x *index) key(ls labels.Labels) []byte {
	x.buf = ls.Bytes(x.buf)
	return x.buf
}

// get returns the series of ls, or nil.
func (x *index) get(ls labels.Labels) *series { return x.byKey[string(x.key(ls))] }

func newSeries(ls labels.Labels, floor, now int64) *series {
	return &series{labels: ls, hash: hashOf(ls), lastT: unknownTime, last: unknownTime, beforeLoss: unknownTime, floor: floor, seenAt: now}
}

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

// bear adds a birth of s, with the ring entry of that index.
func (x *index) bear(s *series, entry uint64) {
	again := s.birth > 0
	x.births++
	s.birth, s.bornAt = x.births, entry
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

// matches reports whether every matcher accepts ls.
func matches(ms []*labels.Matcher, ls labels.Labels) bool {
	for _, m := range ms {
		if !m.Matches(ls.Get(m.Name)) {
			return false
		}
	}
	return true
}

// seen notes the accepted samples' times: lastT, and the interval. It reports
// whether the interval changed. The first distance is the interval until two in a
// row are alike that differ from it; so an outage or a late sample changes nothing.
func (s *series) seen(p part, now int64) (intervalChanged bool) {
	s.seenAt = now
	for _, x := range p.samples {
		if x.T <= s.lastT {
			continue
		}
		if s.lastT != math.MinInt64 {
			d := x.T - s.lastT
			if s.interval == 0 || alike(d, s.lastDelta) && !alike(d, s.interval) {
				s.interval = d
				intervalChanged = true
			}
			s.lastDelta = d
		}
		s.lastT = x.T
	}
	return intervalChanged
}

// alike reports whether two distances differ by at most a tenth.
func alike(a, b int64) bool {
	return b > 0 && max(a-b, b-a) <= max(1, b/10)
}
