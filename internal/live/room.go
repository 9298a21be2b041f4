package live

import (
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

	// members are the series that are sent, by key of their labels; excess are
	// the keys of those beyond the limit.
	members map[string]*member
	excess  map[string]struct{}
	nextID  int // ids are never used twice

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

// matched is how many series match, sent or not.
func (r *Room) matched() int { return len(r.members) + len(r.excess) }

// admit gives the series of ls a place in the room: the member, new or old, or
// nil when the room is full.
func (r *Room) admit(key []byte, ls labels.Labels) *member {
	if m := r.members[string(key)]; m != nil {
		return m
	}
	if len(r.members) >= r.limit {
		if _, known := r.excess[string(key)]; !known {
			r.excess[string(key)] = struct{}{}
			r.tellMatched = true
		}
		return nil
	}
	delete(r.excess, string(key))
	m := &member{id: r.nextID, key: string(key), labels: ls}
	r.nextID++
	r.members[m.key] = m
	r.tellMatched = true
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
func (h *Hub) room(id string, sel selector, root bool, limit int) *Room {
	if r := h.rooms[id]; r != nil {
		return r
	}
	r := &Room{
		id: id, selector: sel, root: root, limit: limit,
		members: map[string]*member{}, excess: map[string]struct{}{},
		state: wire.StateLive, since: h.now(),
	}
	h.closeIdleRooms()
	h.rooms[id] = r
	for _, s := range h.index.match(sel.matchers) {
		h.enter(r, s)
	}
	r.tellMatched = false // everybody is told on joining
	h.metrics.rooms.Set(float64(len(h.rooms)))
	return r
}

// enter makes s a member of r, if there is a place. The caller holds h.mu.
func (h *Hub) enter(r *Room, s *series) {
	m := r.admit(h.index.key(s.labels), s.labels)
	if m == nil || m.series == s {
		return
	}
	m.series = s
	if s.interval > 0 {
		m.interval = s.interval
	}
	if s.lastT > m.lastT {
		m.lastT = s.lastT
		r.lastT = max(r.lastT, s.lastT)
	}
	s.members = append(s.members, membership{r, m})
}

// fill gives the places that have become free to series that had none and were
// written to since the given time. The caller holds h.mu.
func (h *Hub) fill(r *Room, since int64) {
	if len(r.excess) == 0 || len(r.members) >= r.limit {
		return
	}
	for _, s := range h.index.match(r.selector.matchers) {
		if s.seenAt >= since {
			h.enter(r, s)
		}
	}
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
		s.leave(r)
		s.forgotten = true
	}
	h.markDirty(r)
}

// leave removes s's membership of r.
func (s *series) leave(r *Room) {
	for i := range s.members {
		if s.members[i].room == r {
			last := len(s.members) - 1
			s.members[i] = s.members[last]
			s.members[last] = membership{}
			s.members = s.members[:last]
			return
		}
	}
}

// maxIdleRooms is how many rooms without viewers linger; with the rooms of the
// connections it bounds the rooms there are.
const maxIdleRooms = 256

// closeIdleRooms drops the room that has been without viewers for the longest time
// when there are too many of them. The caller holds h.mu.
func (h *Hub) closeIdleRooms() {
	idle := 0
	var oldest *Room
	for _, r := range h.rooms {
		if r.viewers > 0 {
			continue
		}
		idle++
		if oldest == nil || r.emptyAt < oldest.emptyAt {
			oldest = r
		}
	}
	if idle > maxIdleRooms {
		h.closeRoom(oldest)
	}
}

// closeRoom drops a room that nobody is in. The caller holds h.mu.
func (h *Hub) closeRoom(r *Room) {
	for _, m := range r.members {
		if m.series != nil {
			m.series.leave(r)
		}
	}
	for _, b := range r.bootstraps {
		h.bootstrapBytes -= b.size
	}
	r.bootstraps = nil
	delete(h.rooms, r.id)
	h.metrics.rooms.Set(float64(len(h.rooms)))
}
