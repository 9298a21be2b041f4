package live

import (
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/wire"
)

// Room is a live query that viewers share. All fields are guarded by Hub.mu.
type Room struct {
	id       string
	selector selector
	root     bool // of namespace /: one series, the ancestor's encoding
	limit    int  // most series that are sent

	// search finds the series. ready is closed once it has looked at all there were, or
	// has failed.
	search *search
	ready  chan struct{}
	closed bool

	members map[string]*member // the series that are sent, by key of their labels
	nextID  int                // ids are never used twice
	crowd   crowding

	viewers   int       // all who are in the room, joining ones included
	current   []seat    // they are sent the broadcast
	lent      bool      // the flush under way reads current: it may grow, but what is in it stays
	newcomers []*viewer // they are sent the ring from their cursors at the next flush
	emptyAt   int64     // when the last viewer left, Unix ms

	// What the next broadcast has to tell.
	from        uint64 // ring index of the first entry in pending
	pending     []chunk
	gaps        []*gap
	descriptors []*member
	gone        []int
	tellMatched bool
	tellState   bool
	dirty       bool // is in Hub.dirty

	horizon int64 // longest window that a viewer has asked for, ms
	lastT   int64 // newest accepted time of a member; 0 before the first
	rootT   int64 // newest time that namespace / was sent
	state   string
	since   int64 // of the state, Unix ms

	bootstraps []*bootstrap // shared ones, oldest first
}

// member is a series in a room.
type member struct {
	id       int
	key      string
	labels   labels.Labels
	hash     uint64  // of labels, see hashOf; 0: not computed yet
	series   *series // nil while only the store knows it
	at       int     // place in series.members
	interval int64   // as last told, ms
	lastT    int64   // newest sample that is known, Unix ms

	// announced says that every current viewer knows the descriptor: whoever was
	// bootstrapped since has it in the bootstrap, the others in an update.
	announced bool
}

// chunk is samples of one member, as they came in one batch.
type chunk struct {
	member  *member
	samples []bus.Sample
}

// matched is how many series match, sent or not: those written to in the last hour, the
// members that only the store knows, and what else the last read has found.
func (r *Room) matched() int {
	n := r.search.found.n + r.crowd.unseen
	for _, m := range r.members {
		if m.series == nil {
			n++
		}
	}
	return n
}

// take has the rooms told of an entry that is the ring's newest and has the index at. The caller
// holds h.mu.
func (h *Hub) take(e *entry, at uint64) {
	for i := range e.parts {
		p := &e.parts[i]
		for _, m := range p.series.members {
			h.put(m.room, m.member, e.told(p), p.series.intervalAt == at)
		}
	}
	h.tellGaps(e.gaps)
	if e.born {
		h.wakeMatcher()
	}
}

// admit gives the series of ls a place in the room: the member, new or old, or
// nil when there is none to give.
func (r *Room) admit(key []byte, ls labels.Labels) *member {
	if m := r.members[string(key)]; m != nil {
		return m
	}
	r.tellMatched = true
	if r.crowd.is || len(r.members) >= r.limit {
		r.crowd.is = true
		return nil
	}
	m := &member{id: r.nextID, key: string(key), labels: ls}
	r.nextID++
	r.members[m.key] = m
	return m
}

// places says which series of the store a read of the room's history is to read:
// the members, and others as far as there is room.
type places struct {
	members map[string]bool
	free    int
	buf     []byte
}

func (r *Room) places() *places {
	p := &places{members: make(map[string]bool, len(r.members)), free: r.limit - len(r.members)}
	if r.crowd.is {
		p.free = 0
	}
	for key := range r.members {
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

// descriptor is what m is called on the wire.
func (m *member) descriptor() wire.Descriptor {
	return wire.Descriptor{ID: m.id, Labels: m.labels, IntervalMS: m.interval}
}

// room returns the room of sel, which it opens when there is none.
// The caller holds h.mu.
func (h *Hub) room(id string, sel selector, root bool, limit int) (*Room, error) {
	if r := h.rooms[id]; r != nil {
		return r, nil
	}
	if err := h.makeRoom(sel); err != nil && !root {
		h.metrics.roomsRefused.Inc()
		return nil, err
	}
	r := &Room{
		id: id, selector: sel, root: root, limit: limit, ready: make(chan struct{}),
		members: map[string]*member{}, state: wire.StateLive, since: h.now(),
	}
	h.rooms[id] = r
	r.search = newSearch(r, []selector{sel}, limit)
	r.search.unlimited = root
	h.beginSearch(r.search)
	r.selector = r.search.query[0] // with the regular expressions of others
	h.metrics.rooms.Set(float64(len(h.rooms)))
	return r, nil
}

// isReady reports whether r's series were looked for, or cannot be.
func (r *Room) isReady() bool { return isClosed(r.ready) }

// opened implements owner.
func (r *Room) opened(h *Hub, first []*series) {
	for _, s := range first {
		if !s.gone {
			h.enter(r, s)
		}
	}
	r.crowd.is = r.search.found.n > len(r.members)
	r.tellMatched = false // everybody is told on joining
	close(r.ready)
}

// failed implements owner. The viewers are told in Client.start, and leave.
func (r *Room) failed(*Hub) { close(r.ready) }

// appeared implements owner: series that were born since the room was opened become members
// as far as there are places, and the next flush sends what the ring has of them.
func (r *Room) appeared(h *Hub, found []*series, missed *unsent) {
	slices.SortFunc(found, func(a, b *series) int { return labels.Compare(a.labels, b.labels) })
	r.tellMatched = true
	entered := false
	for _, s := range found {
		m := h.enter(r, s)
		if m == nil || missed == nil {
			entered = entered || m != nil
			continue
		}
		entered = true
		for _, samples := range missed.samples[s] {
			h.put(r, m, samples, false)
			r.from = min(r.from, s.bornAt)
		}
	}
	h.markDirty(r)
	if !entered {
		return
	}
	if len(r.current) > 0 && (missed == nil || missed.lost) {
		h.rejoinRoom(r)
	}
	if missed == nil {
		return
	}
	for _, g := range missed.gaps {
		if len(g.members(r)) > 0 && !slices.Contains(r.gaps, g) {
			r.fromHere(h)
			r.gaps = append(r.gaps, g)
			g.introduce(r)
		}
	}
}

// vanished implements owner. A member stays while its samples are in a window.
func (r *Room) vanished(_ *Hub, s *series) {
	for _, m := range s.members {
		if m.room == r {
			m.member.series = nil
			s.leave(m.member)
			return
		}
	}
	r.tellMatched = true
}

// isFull implements owner.
func (r *Room) isFull() bool { return false }

// needsRing implements owner: viewers that join are sent the ring by their cursors.
func (r *Room) needsRing() bool { return len(r.current) > 0 && !r.crowd.is }

// enter makes s a member of r, if there is a place; it returns nil if there is none. The
// caller holds h.mu.
func (h *Hub) enter(r *Room, s *series) *member {
	m := r.admit(h.index.key(s.labels), s.labels)
	if m == nil || m.series == s {
		return m
	}
	m.series = s
	if s.interval > 0 {
		m.interval = s.interval
	}
	if s.lastT > m.lastT {
		m.lastT = s.lastT
		r.lastT = max(r.lastT, s.lastT)
	}
	m.at = len(s.members)
	s.members = append(s.members, membership{r, m})
	return m
}

// put adds the accepted samples of a member to what the next broadcast tells.
// The caller holds h.mu.
func (h *Hub) put(r *Room, m *member, samples []bus.Sample, intervalChanged bool) {
	if intervalChanged && m.series != nil && m.interval != m.series.interval {
		m.interval = m.series.interval
		m.announced = false // tell it again, with the interval
	}
	if !m.announced {
		m.announced = true
		r.descriptors = append(r.descriptors, m)
	}
	if len(samples) == 0 {
		return
	}
	newest := samples[len(samples)-1].T
	m.lastT = max(m.lastT, newest)
	r.lastT = max(r.lastT, newest)
	r.fromHere(h)
	r.pending = append(r.pending, chunk{m, samples})
	h.markDirty(r)
}

// fromHere notes, before the first thing of the log that the next broadcast tells,
// which ring entry it belongs to: the last one. The caller holds h.mu.
func (r *Room) fromHere(h *Hub) {
	if len(r.pending) == 0 && len(r.gaps) == 0 {
		r.from = h.ring.end() - 1
	}
}

// markDirty has r flushed soon. The caller holds h.mu.
func (h *Hub) markDirty(r *Room) {
	if !r.dirty {
		r.dirty = true
		h.dirty = append(h.dirty, r)
	}
	h.wakeFlusher()
}

// forget drops a member whose last sample is older than every window.
// The caller holds h.mu.
func (h *Hub) forget(r *Room, m *member) {
	delete(r.members, m.key)
	r.gone = append(r.gone, m.id)
	r.tellMatched = true
	if s := m.series; s != nil {
		s.leave(m)
		s.forget()
		r.search.found.remove(s.slot)
	}
	h.markDirty(r)
}

// leave removes s's membership that m is.
func (s *series) leave(m *member) {
	last := len(s.members) - 1
	moved := s.members[last]
	s.members[m.at], moved.member.at = moved, m.at
	s.members[last] = membership{}
	s.members = s.members[:last]
}

const (
	// maxRooms bounds the rooms in all, those without viewers included.
	maxRooms = 10_000
	// maxIdleRooms is how many rooms without viewers linger.
	maxIdleRooms = 256
	// maxSearchCost bounds the cost of the regular expressions of all rooms and catalogues
	// together: about 40 MB.
	maxSearchCost = 1_000_000
	// maxClientCost bounds the same of one connection.
	maxClientCost = 32_000
)

// makeRoom closes rooms without viewers until there is room for one more with the given
// selector, or returns why there is none. The caller holds h.mu.
func (h *Hub) makeRoom(sel selector) error {
	for len(h.rooms) >= maxRooms || sel.cost > 0 && h.searchCost+sel.cost > maxSearchCost {
		if len(h.idle) > 0 {
			h.closeRoom(h.idle[0])
			continue
		}
		if len(h.rooms) >= maxRooms {
			return &wire.Error{Code: wire.CodeOverloaded, Message: fmt.Sprintf("the server has %d rooms open, and opens no more; watch what others watch, or try again later", maxRooms)}
		}
		return &wire.Error{Code: wire.CodeOverloaded, Message: "the regular expressions of all rooms together are too large; use a selector without one, or try again later"}
	}
	return nil
}

// emptied is called when r's last viewer has left. The caller holds h.mu.
func (h *Hub) emptied(r *Room) {
	r.emptyAt = h.now()
	if !r.isReady() || r.search.state == ended {
		h.closeRoom(r) // it has nothing that a page could come back for
		return
	}
	h.idle = append(h.idle, r)
	if len(h.idle) > maxIdleRooms {
		h.closeRoom(h.idle[0])
	}
}

// occupied is called before r's first viewer enters. The caller holds h.mu.
func (h *Hub) occupied(r *Room) {
	if i := slices.Index(h.idle, r); i >= 0 {
		h.idle = slices.Delete(h.idle, i, i+1)
	}
}

// closeRoom drops a room that nobody is in. The caller holds h.mu.
func (h *Hub) closeRoom(r *Room) {
	r.closed = true
	h.occupied(r)
	h.endSearch(r.search)
	if !r.isReady() {
		close(r.ready)
	}
	for _, m := range r.members {
		if m.series != nil {
			m.series.leave(m)
		}
	}
	for _, b := range r.bootstraps {
		h.bootstrapBytes -= b.size
	}
	r.bootstraps = nil
	delete(h.rooms, r.id)
	h.metrics.rooms.Set(float64(len(h.rooms)))
}

// membership is a series' place in a room.
type membership struct {
	room   *Room
	member *member
}
