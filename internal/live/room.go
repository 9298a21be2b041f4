package live

import (
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/recent"
	"stripchart/internal/wire"
)

// Room is a live query that viewers share: a membership, which says which series are sent, and an
// encoding, which says how. recent.Log.Mu guards all fields.
type Room struct {
	*audience
	id         string
	membership membership
	encoding   encoding

	// search finds the series. ready is closed once it has looked at all there were, or
	// has failed.
	search *search
	ready  chan struct{}
	closed bool

	members members
	crowd   crowding
	seats   seats
	news    news
	shared  bootstraps

	horizon int64 // longest window that a viewer has asked for, ms
	lastT   int64 // newest accepted time of a member; 0 before the first
	state   roomState
}

func newRoom(a *audience, id string, m membership, e encoding) *Room {
	r := &Room{
		audience: a, id: id, membership: m, encoding: e, ready: make(chan struct{}),
		members: members{limit: m.limit, byKey: map[string]*member{}}, shared: bootstraps{reader: &a.reader, encoding: e},
		state: roomState{wire.StateLive, a.recent.Now()},
	}
	r.search = newSearch(r, []selector{m.selector}, m.limit)
	r.search.unlimited = m.operators
	return r
}

// isReady reports whether r's series were looked for, or cannot be.
func (r *Room) isReady() bool { return isClosed(r.ready) }

// awaitReady waits until r's series were looked for. It reports false when the hub is
// closed before.
func (r *Room) awaitReady() bool {
	select {
	case <-r.ready:
		return true
	case <-r.ctx.Done():
		return false
	}
}

// close ends what r has of others. The caller has taken it out of the rooms.
func (r *Room) close() {
	r.closed = true
	if !r.isReady() {
		close(r.ready)
	}
	r.members.close()
	r.shared.close()
}

// matched is how many series match, sent or not: series written to in the last hour, members that only
// the store knows, and further series that the last read of the store has found.
func (r *Room) matched() int { return r.search.found.n + r.crowd.unseen + r.members.stored() }

// admit gives the series of ls a place in the room: the member, new or old, or
// nil when there is none to give.
func (r *Room) admit(key []byte, ls labels.Labels) *member {
	if m := r.members.byKey[string(key)]; m != nil {
		return m
	}
	r.news.tellMatched(true)
	if r.crowd.is || r.members.free() <= 0 {
		r.crowd.set(true)
		return nil
	}
	return r.members.add(r, string(key), ls)
}

// enter makes s a member of r, if there is a place; it returns nil if there is none.
func (r *Room) enter(s *recent.Series) *member {
	m := r.admit(r.recent.Index.Key(s.Labels), s.Labels)
	if m == nil || m.series == s {
		return m
	}
	if s.LastT > m.lastT {
		r.lastT = max(r.lastT, s.LastT)
	}
	m.enter(s)
	return m
}

// opened implements owner.
func (r *Room) opened(first []*recent.Series) {
	for _, s := range first {
		if !s.Gone {
			r.enter(s)
		}
	}
	r.crowd.set(r.search.found.n > len(r.members.byKey))
	r.news.tellMatched(false) // everybody is told on joining
	close(r.ready)
}

// failed implements owner. The viewers are told in Client.begin, and leave.
func (r *Room) failed() { close(r.ready) }

// appeared implements owner: series that were born since the room was opened become members
// as far as there are places, and the next flush sends what the ring has of them.
func (r *Room) appeared(found []*recent.Series, missed *unsent) {
	slices.SortFunc(found, func(a, b *recent.Series) int { return labels.Compare(a.Labels, b.Labels) })
	r.news.tellMatched(true)
	entered := false
	for _, s := range found {
		m := r.enter(s)
		if m == nil || missed == nil {
			entered = entered || m != nil
			continue
		}
		entered = true
		for _, samples := range missed.samples[s] {
			r.put(m, samples, false)
			r.news.since(s.BornAt)
		}
	}
	r.markDirty()
	if !entered {
		return
	}
	if len(r.seats.current) > 0 && (missed == nil || missed.lost) {
		r.rejoin()
	}
	if missed == nil {
		return
	}
	for _, g := range missed.gaps {
		if !r.news.has(g) {
			r.tell(g)
		}
	}
}

// vanished implements owner. A member stays while its samples are in a window.
func (r *Room) vanished(s *recent.Series) {
	for _, x := range s.Members {
		if m := x.(*member); m.room == r {
			m.leave()
			return
		}
	}
	r.news.tellMatched(true)
}

// isFull implements owner.
func (r *Room) isFull() bool { return false }

// needsRing implements owner: viewers that join are sent the ring by their cursors.
func (r *Room) needsRing() bool { return len(r.seats.current) > 0 && !r.crowd.is }

// put adds accepted samples of a member, of the newest entry of the ring, to what the next
// broadcast tells.
func (r *Room) put(m *member, samples []bus.Sample, intervalChanged bool) {
	if intervalChanged {
		m.changed()
	}
	r.news.describe(m)
	if len(samples) == 0 {
		return
	}
	newest := samples[len(samples)-1].T
	m.read(0, newest)
	r.lastT = max(r.lastT, newest)
	r.news.add(m, samples, r.recent.Ring.End()-1)
	r.markDirty()
}

// tell has the next flush tell the room's pages of a gap, if the gap concerns members. It describes
// these members to the pages too, which have to know whose gap it is. The gap's entry is in the
// ring already.
func (r *Room) tell(g *recent.Gap) {
	concerned := false
	for _, m := range r.members.byKey {
		if m.in(g) {
			concerned = true
			r.news.describe(m)
		}
	}
	if concerned {
		r.news.gap(g, r.recent.Ring.End()-1)
		r.markDirty()
	}
}

// markDirty has r flushed soon.
func (r *Room) markDirty() {
	if r.news.mark() {
		r.flusher.add(r)
	}
	r.flusher.soon()
}

// forget drops a member whose last sample is older than every window.
func (r *Room) forget(m *member) {
	if s := m.series; s != nil {
		s.Forget()
		r.search.found.remove(s.Slot)
	}
	r.members.drop(m)
	r.news.forget(m)
	r.markDirty()
}

// forgetOld forgets the members whose last sample is in no viewer's window any
// more, and not in the ring either: a page that resumes in this room is sent the
// ring's samples of members only.
func (r *Room) forgetOld(now int64) {
	keep := r.keepsFor()
	for _, m := range r.members.byKey {
		seen := m.lastT
		if m.series != nil {
			seen = max(seen, m.series.SeenAt) // by the server's clock, as the ring's age is
		}
		if now-seen > keep {
			r.forget(m)
		}
	}
}

// keepsFor returns how long r keeps a member without samples, ms.
func (r *Room) keepsFor() int64 { return max(r.horizon, r.recent.Ring.Age()) + staleAfter }

// lookBack keeps members at least for the window of a viewer, ms.
func (r *Room) lookBack(window int64) { r.horizon = max(r.horizon, window) }

// noteState has the room told of its state when that has changed. full: the disk is.
func (r *Room) noteState(now int64, full bool) {
	if r.encoding.tellsMore() && r.state.note(now, r.lastT, r.members.interval(r.lastT), full) {
		r.news.tellState()
		r.markDirty()
	}
}

// identify gives the series of a history their places in the room, and returns
// the descriptors that a viewer needs: of these, and of all that every current
// viewer knows.
func (r *Room) identify(past pastOfRoom) identified {
	hs := past.series
	out := identified{ids: make([]int, len(hs)), descriptors: []wire.Descriptor{}}
	sent := map[int]bool{}
	for i := range hs {
		m := r.admit(r.recent.Index.Key(hs[i].Labels), hs[i].Labels)
		if m == nil {
			out.ids[i] = -1
			continue
		}
		if s := r.recent.Index.Get(hs[i].Labels); s != nil && m.series == nil && r.search.found.has(s.Slot) {
			r.enter(s) // s had no place when it was last written to; the search will still find the others
		}
		m.read(hs[i].IntervalMS, hs[i].Newest)
		r.lastT = max(r.lastT, m.lastT)
		out.ids[i] = m.id
		sent[m.id] = true
		out.descriptors = append(out.descriptors, m.descriptor())
	}
	if r.crowd.sawUnseen(past.unseen) {
		r.news.tellMatched(true)
	}
	r.crowd.set(r.crowd.is || len(past.others) > 0)
	for _, m := range r.members.byKey {
		if m.announced && !sent[m.id] {
			out.descriptors = append(out.descriptors, m.descriptor())
		}
	}
	slices.SortFunc(out.descriptors, func(a, b wire.Descriptor) int { return a.ID - b.ID })
	out.position = r.positionOf(past.position)
	return out
}

const (
	// A room is stale when its newest sample is older than the larger of staleAfter
	// and staleIntervals of its shortest interval. (In package apply it is awayIntervals.)
	staleAfter     = 3000 // ms
	staleIntervals = 3
)

// roomState is what viewers are told of a room's state. recent.Log.Mu guards it.
type roomState struct {
	name  string // wire.State...
	since int64  // Unix ms
}

// note takes up how a room stands whose newest sample has a time, and whose series have a usual
// interval. full: the disk is. It reports whether the state has changed.
func (s *roomState) note(now, newest, interval int64, full bool) bool {
	next := roomState{wire.StateLive, now}
	switch limit := max(staleAfter, staleIntervals*interval); {
	case newest > 0 && now-newest > limit:
		next = roomState{wire.StateStale, newest}
	case full:
		next.name = wire.StateNotStored
	}
	if next.name == s.name {
		return false
	}
	*s = next
	return true
}
