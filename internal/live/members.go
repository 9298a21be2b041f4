package live

import (
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/recent"
	"stripchart/internal/wire"
)

// membership says which series a room sends: those that match, as far as there are places.
type membership struct {
	selector  selector
	limit     int  // most series that are sent
	operators bool // the query is the operator's, not a page's: it is never refused, and may take any time
}

// members are the series that a room sends. recent.Log.Mu guards them.
type members struct {
	limit  int
	byKey  map[string]*member // by key of their labels
	nextID int                // ids are never used twice
}

// member is a series in a room.
type member struct {
	room     *Room
	id       int
	key      string
	labels   labels.Labels
	hash     uint64         // of labels, see recent.Hash; 0: not computed yet
	series   *recent.Series // nil while only the store knows it
	at       int            // place in Series.Members
	interval int64          // as last told, ms
	lastT    int64          // newest sample that is known, Unix ms

	// announced says that every current viewer knows the descriptor, from its bootstrap or from an
	// update.
	announced bool
}

// free is how many places are left.
func (x *members) free() int { return x.limit - len(x.byKey) }

// add gives the series of ls a place.
func (x *members) add(r *Room, key string, ls labels.Labels) *member {
	m := &member{room: r, id: x.nextID, key: key, labels: ls}
	x.nextID++
	x.byKey[key] = m
	return m
}

// stored is how many members only the store knows.
func (x *members) stored() (n int) {
	for _, m := range x.byKey {
		if m.series == nil {
			n++
		}
	}
	return n
}

// drop takes m's place away.
func (x *members) drop(m *member) {
	delete(x.byKey, m.key)
	m.leave()
}

// close takes all places away.
func (x *members) close() {
	for _, m := range x.byKey {
		m.leave()
	}
}

// enter ties m to its series in the index.
func (m *member) enter(s *recent.Series) {
	m.series = s
	if s.Interval > 0 {
		m.interval = s.Interval
	}
	m.lastT = max(m.lastT, s.LastT)
	m.at = len(s.Members)
	s.Members = append(s.Members, m)
}

// leave unties m from its series.
func (m *member) leave() {
	s := m.series
	if s == nil {
		return
	}
	m.series = nil
	last := len(s.Members) - 1
	moved := s.Members[last]
	s.Members[m.at], moved.(*member).at = moved, m.at
	s.Members[last] = nil
	s.Members = s.Members[:last]
}

// read takes up what the store has of m.
func (m *member) read(interval, newest int64) {
	if m.interval == 0 && interval > 0 {
		m.interval = interval
		m.announced = false // viewers that know it know it without the interval
	}
	m.lastT = max(m.lastT, newest)
}

// changed takes up that the interval of m's series is another one.
func (m *member) changed() {
	if m.series != nil && m.interval != m.series.Interval {
		m.interval = m.series.Interval
		m.announced = false // tell it again, with the interval
	}
}

// announce reports whether m has to be described to the current viewers.
func (m *member) announce() bool {
	known := m.announced
	m.announced = true
	return !known
}

// descriptor is what m is called on the wire.
func (m *member) descriptor() wire.Descriptor {
	return wire.Descriptor{ID: m.id, Labels: m.labels, IntervalMS: m.interval}
}

// in reports whether m's series is one of a gap's.
func (m *member) in(g *recent.Gap) bool {
	if m.hash == 0 {
		m.hash = recent.Hash(m.labels)
	}
	return g.Series.Has(m.hash)
}

// of returns the ids of the members that a gap concerns, ascending.
func (x *members) of(g *recent.Gap) []int {
	var ids []int
	for _, m := range x.byKey {
		if m.in(g) {
			ids = append(ids, m.id)
		}
	}
	slices.Sort(ids)
	return ids
}

// messages returns what a room is told of gaps. Many gaps may name the same set of series, so the ids
// of each set are found once.
func (x *members) messages(room string, gs []*recent.Gap) []wire.Gap {
	var out []wire.Gap
	known := map[*recent.Concern][]int{}
	for _, g := range gs {
		ids, there := known[g.Series]
		if !there {
			ids = x.of(g)
			known[g.Series] = ids
		}
		if len(ids) > 0 {
			out = append(out, wire.Gap{Room: room, IDs: ids, From: g.From, To: g.To, Reason: g.Reason})
		}
	}
	return out
}

// interval returns the shortest interval of the members whose newest sample has a time, ms; 0: not
// known.
func (x *members) interval(newest int64) (shortest int64) {
	for _, m := range x.byKey {
		if m.lastT == newest && m.interval > 0 && (shortest == 0 || m.interval < shortest) {
			shortest = m.interval
		}
	}
	return shortest
}

// places says which series of the store a read of the room's history is to read:
// the members, and others as far as there is room.
type places struct {
	members map[string]bool
	free    int
	buf     []byte
}

// places returns them. A crowded room has none for others.
func (x *members) places(crowded bool) *places {
	p := &places{members: make(map[string]bool, len(x.byKey))}
	if !crowded {
		p.free = x.free()
	}
	for key := range x.byKey {
		p.members[key] = true
	}
	return p
}

// take reports whether the series of ls is to be read.
func (p *places) take(ls labels.Labels) bool {
	p.buf = ls.Bytes(p.buf)
	if p.members[string(p.buf)] {
		return true
	}
	p.free--
	return p.free >= 0
}

// idsOf returns the ids that the gaps name.
func idsOf(gaps []wire.Gap) map[int]bool {
	ids := map[int]bool{}
	for i := range gaps {
		for _, id := range gaps[i].IDs {
			ids[id] = true
		}
	}
	return ids
}
