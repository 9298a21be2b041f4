package live

import (
	"math"
	"slices"
	"sync"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/wire"
)

// flushInterval is the least time between two flushes: under a steady stream a
// room is sent at most 20 updates a second.
const flushInterval = 50 * time.Millisecond

// maxResume is how many samples a viewer is sent from the ring; one that missed
// more gets a bootstrap, whose size is bounded by its points.
const maxResume = 256 << 10

// wakeFlusher has a flush happen soon. It never blocks.
func (h *Hub) wakeFlusher() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// flusher flushes the dirty rooms: at once after a pause, otherwise
// flushInterval after the last time. All rooms go together, so what one batch
// brings to twelve rooms of a page leaves in one write.
func (h *Hub) flusher() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var last time.Time
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-h.wake:
		}
		if wait := flushInterval - time.Since(last); wait > 0 {
			timer.Reset(wait)
			select {
			case <-h.ctx.Done():
				return
			case <-timer.C:
			}
		}
		last = time.Now()
		h.flush()
	}
}

// flush sends every dirty room's pending samples to its viewers.
func (h *Hub) flush() {
	over := make(chan struct{})
	defer close(over)
	jobs := h.takeDirty(over)
	out, clients := h.address(jobs)
	h.transport.Broadcast(out)
	refused := false
	for i := range out {
		clients[i].refused = !out[i].OK
		refused = refused || !out[i].OK
	}
	if refused {
		h.takeBack(jobs)
	}
	h.mu.Lock()
	h.inFlight = nil
	for i := range jobs {
		jobs[i].room.lent = false
	}
	h.mu.Unlock()
	// Nothing of who leaves now may be kept until the next flush.
	for i, c := range clients {
		c.refused = false
		clients[i], out[i] = nil, Outgoing{}
	}
	h.parcels.clear()
}

// job is what one room has to send in a flush, taken under the lock.
type job struct {
	room     *Room
	from     uint64       // ring index of the first entry in pending
	position bus.Position // of the ring's end
	now      int64

	update    wire.Update // the broadcast's, without blocks
	pending   []chunk
	gaps      []wire.Gap
	rootFrom  int64 // newest time that namespace / was sent before
	state     string
	since     int64
	tellState bool
	drains    uint64 // Hub.drains

	current []seat // as of the flush's beginning
	parties []party
}

// party is newcomers of a room that share a cursor, so that one encoding serves
// them all.
type party struct {
	viewers     []*viewer
	cursor      uint64
	since       string // not "": they resume, and are sent a bootstrap from there
	reason      string
	chunks      []chunk
	samples     int // in chunks
	most        int // in chunks, of one member; 0 where they do not resume
	gaps        []wire.Gap
	lastT       int64 // newest time of their bootstrap, for namespace /
	descriptors []wire.Descriptor
}

// takeDirty takes what the dirty rooms have to send, moves every cursor to the
// ring's end, and makes newcomers current. What it returns is sent by this
// goroutine alone and before anything that comes later, so moving the cursors
// first is safe; a refused write moves them back (takeBack).
func (h *Hub) takeDirty(over <-chan struct{}) []job {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inFlight = over
	end := h.ring.end()
	position := h.ring.position(end)
	now := h.now()
	jobs := make([]job, 0, len(h.dirty))
	var behind []*Room
	for _, r := range h.dirty {
		if r.search.isBehind() && r.search.state != ended {
			behind = append(behind, r) // the matcher wakes the flusher; see search.go
			h.bound(r)
			continue
		}
		r.dirty = false
		r.lent = true
		j := job{
			room: r, from: r.from, position: position, now: now, state: r.state, since: r.since, tellState: r.tellState,
			pending: r.pending, gaps: r.messages(r.gaps), rootFrom: r.rootT, drains: h.drains, current: r.current,
			update: wire.Update{Room: r.id, Position: h.positionIn(r, position), Now: now, Gone: r.gone},
		}
		for _, m := range r.descriptors {
			j.update.Series = append(j.update.Series, m.descriptor())
		}
		if r.tellMatched {
			n := r.matched()
			j.update.Matched = &n
		}
		j.parties = h.takeNewcomers(r, end)
		if len(r.pending) == 0 && len(r.gaps) == 0 {
			j.from = end // a status, say: nothing that would have to be sent again
		}
		if r.root {
			r.rootT = newestSent(r, j.parties)
		}
		r.pending, r.gaps, r.descriptors, r.gone, r.tellMatched, r.tellState = nil, nil, nil, nil, false, false
		jobs = append(jobs, j)
	}
	clear(h.dirty)
	h.dirty = append(h.dirty[:0], behind...)
	return jobs
}

// takeNewcomers groups the newcomers of r by cursor and makes them current.
// The caller holds h.mu.
func (h *Hub) takeNewcomers(r *Room, end uint64) []party {
	type key struct {
		cursor uint64
		since  string
		reason string
		lastT  int64
	}
	if len(r.newcomers) == 0 {
		return nil
	}
	var parties []party
	byKey := map[key]int{}
	missed := h.missedBy(r)
	inWindow := sync.OnceValue(func() []wire.Gap { return r.messages(h.gapsIn(h.now()-r.horizon, math.MaxInt64)) })
	at := h.ring.position(end)
	var stay []*viewer
	for _, v := range r.newcomers {
		switch {
		case v.generation != r.crowd.generation:
			v.reason = wire.ReasonLost
			h.joinAnew(v)
			continue
		case v.ahead.IsZero() && !h.ring.covers(v.cursor), !v.ahead.IsZero() && v.ahead.Epoch != at.Epoch:
			h.joinAnew(v)
			continue
		case v.ahead.Compare(at.Offset) > 0:
			// It has seen more than this server: nothing up to there is sent.
			stay = append(stay, v)
			continue
		}
		if !v.ahead.IsZero() {
			i, covered := h.ring.find(v.ahead)
			if !covered {
				h.joinAnew(v)
				continue
			}
			v.cursor, v.ahead = i, bus.Position{}
		}
		k := key{v.cursor, v.since, v.reason, v.lastT}
		if v.since == "" {
			k.reason = "" // the bootstrap has told it
		}
		i, ok := byKey[k]
		if !ok {
			i = len(parties)
			byKey[k] = i
			chunks, n := missed.from(v.cursor)
			if n > maxResume {
				// Bootstraps that end there would lead here again.
				r.expire(v.cursor)
			}
			var gaps []wire.Gap
			if v.since != "" && v.reason == wire.ReasonResume {
				// The server that it comes from may have found one out behind the place
				// where this one did.
				gaps = inWindow()
			} else {
				gaps = r.messages(missed.gapsFrom(v.cursor))
			}
			p := party{
				cursor: v.cursor, since: v.since, reason: v.reason, chunks: chunks, samples: n, lastT: v.lastT,
				gaps:        gaps,
				descriptors: h.describe(r, chunks, gaps, v.since != ""),
			}
			if v.since != "" {
				p.most = mostOfAMember(chunks)
			}
			parties = append(parties, p)
		}
		parties[i].viewers = append(parties[i].viewers, v)
	}
	r.newcomers = stay
	for i := range parties {
		p := &parties[i]
		p.viewers = slices.DeleteFunc(p.viewers, func(v *viewer) bool {
			fits := p.samples <= maxResume && p.most <= v.points
			if fits {
				h.settle(v)
			} else {
				h.joinAnew(v)
			}
			return !fits
		})
	}
	return slices.DeleteFunc(parties, func(p party) bool { return len(p.viewers) == 0 })
}

// mostOfAMember returns how many samples the chunks hold of the member that has most.
func mostOfAMember(chunks []chunk) int {
	counts := map[*member]int{}
	most := 0
	for _, c := range chunks {
		counts[c.member] += len(c.samples)
		most = max(most, counts[c.member])
	}
	return most
}

// joinAnew has a newcomer bootstrapped because it cannot be sent the ring from its
// cursor. The caller holds h.mu and takes it out of the newcomers.
func (h *Hub) joinAnew(v *viewer) {
	v.state, v.ahead = joining, bus.Position{}
	switch v.reason {
	case wire.ReasonResume:
		v.reason = wire.ReasonLost
	case wire.ReasonJoin:
		v.reason = wire.ReasonSlow
	}
	h.goJoin(v, nil)
}

// missed is what the ring holds of a room's members, from the oldest cursor of its
// newcomers on.
type missed struct {
	chunks []chunk
	index  []uint64 // of each chunk's entry, ascending
	total  []int    // samples up to and with each chunk

	gaps   []*gap
	gapsAt []uint64 // index of each gap's entry, ascending
}

// missedBy gathers what the newcomers of r have missed, in one pass over the ring
// for all of them. The caller holds h.mu.
func (h *Hub) missedBy(r *Room) missed {
	first := h.ring.end()
	for _, v := range r.newcomers {
		cursor := v.cursor
		if !v.ahead.IsZero() {
			cursor, _ = h.ring.find(v.ahead) // of another epoch: it joins anew
		}
		if h.ring.covers(cursor) {
			first = min(first, cursor)
		}
	}
	var m missed
	samples := 0
	for i, e := range h.ring.from(first) {
		for _, g := range e.gaps {
			m.gaps = append(m.gaps, g)
			m.gapsAt = append(m.gapsAt, first+uint64(i))
		}
		for _, p := range e.parts {
			for _, ms := range p.series.members {
				if ms.room == r {
					samples += len(p.samples)
					m.chunks = append(m.chunks, chunk{ms.member, p.samples})
					m.index = append(m.index, first+uint64(i))
					m.total = append(m.total, samples)
				}
			}
		}
	}
	return m
}

// from returns the chunks of entry i on, and the number of their samples.
func (m *missed) from(i uint64) ([]chunk, int) {
	n, _ := slices.BinarySearch(m.index, i)
	if n == len(m.chunks) {
		return nil, 0
	}
	before := 0
	if n > 0 {
		before = m.total[n-1]
	}
	return m.chunks[n:], m.total[len(m.total)-1] - before
}

// gapsFrom returns the gaps that entry i and later ones have revealed.
func (m *missed) gapsFrom(i uint64) []*gap {
	n, _ := slices.BinarySearch(m.gapsAt, i)
	return m.gaps[n:]
}

// describe returns the descriptors of the members in chunks and, for viewers
// that resume, of all that every current viewer knows: the ids may be new to
// them. The caller holds h.mu.
func (h *Hub) describe(r *Room, chunks []chunk, gaps []wire.Gap, resumes bool) []wire.Descriptor {
	seen := map[int]bool{}
	out := []wire.Descriptor{}
	add := func(m *member) {
		if !seen[m.id] {
			seen[m.id] = true
			out = append(out, m.descriptor())
		}
	}
	for _, c := range chunks {
		add(c.member)
	}
	concerned := idsOf(gaps)
	for _, m := range r.members {
		if resumes && m.announced || concerned[m.id] {
			add(m)
		}
	}
	slices.SortFunc(out, func(a, b wire.Descriptor) int { return a.ID - b.ID })
	return out
}

// address encodes the jobs and lists the packets by connection; clients[i] is
// whose connection out[i] is. Both are used again by the next flush.
func (h *Hub) address(jobs []job) (out []Outgoing, clients []*Client) {
	clients = h.addressed[:0]
	send := func(c *Client) {
		if c.sent == 0 {
			clients = append(clients, c)
		}
		c.sent = h.parcels.extend(c.sent)
	}
	for i := range jobs {
		j := &jobs[i]
		if ps := h.broadcastPackets(j); len(ps) > 0 {
			h.parcels.next(ps)
			for _, s := range j.current {
				send(s.client)
			}
		}
		for k := range j.parties {
			if ps := h.partyPackets(j, &j.parties[k]); len(ps) > 0 {
				h.parcels.next(ps)
				for _, v := range j.parties[k].viewers {
					send(v.client)
				}
			}
		}
	}
	out = h.outgoing[:0]
	for _, c := range clients {
		out = append(out, Outgoing{Conn: c.conn, Packets: h.parcels.packets(c.sent)})
		c.sent = 0
	}
	h.outgoing, h.addressed = out, clients
	return out, clients
}

// takeBack moves the viewers of connections that refused back to where they
// stood before the flush.
func (h *Hub) takeBack(jobs []job) {
	h.mu.Lock()
	defer h.mu.Unlock()
	back := func(v *viewer, cursor, drains uint64) {
		if !v.client.refused || v.state != current {
			return // it was sent, or has left meanwhile
		}
		h.unsettle(v)
		v.behind = &behind{cursor: cursor}
		h.stall(v, drains)
	}
	for i := range jobs {
		j := &jobs[i]
		for _, s := range j.current {
			back(s.viewer, j.from, j.drains)
		}
		// They have missed this as well; everybody is told again.
		if j.update.Matched != nil || len(j.update.Gone) > 0 {
			j.room.tellMatched = j.room.tellMatched || j.update.Matched != nil
			j.room.gone = append(j.room.gone, j.update.Gone...)
			h.markDirty(j.room)
		}
		for _, p := range j.parties {
			for _, v := range p.viewers {
				back(v, p.cursor, j.drains)
			}
		}
	}
}

// broadcastPackets encodes what the room's current viewers are sent.
func (h *Hub) broadcastPackets(j *job) []Packet {
	if len(j.current) == 0 {
		return nil
	}
	if j.room.root {
		samples, _ := newer(j.pending, j.rootFrom)
		return append(h.rootUpdate(samples), h.gapPackets(j.room, j.gaps)...)
	}
	var ps []Packet
	if len(j.pending) > 0 || len(j.update.Series) > 0 || len(j.update.Gone) > 0 || j.update.Matched != nil {
		j.update.Blocks = blocksOf(rowsOf(j.pending))
		ps = append(ps, h.transport.Encode(NamespaceLive, wire.EventUpdate, j.update.AppendJSON(nil)))
	}
	ps = append(ps, h.gapPackets(j.room, j.gaps)...)
	if j.tellState {
		ps = append(ps, h.statusPacket(j))
	}
	return ps
}

// statusPacket tells the room's state.
func (h *Hub) statusPacket(j *job) Packet {
	return h.encode(wire.EventStatus, wire.Status{Room: j.room.id, State: j.state, Since: j.since})
}

// partyPackets encodes what newcomers are sent.
func (h *Hub) partyPackets(j *job, p *party) []Packet {
	if j.room.root {
		samples, _ := newer(p.chunks, p.lastT)
		return append(h.rootUpdate(samples), h.gapPackets(j.room, p.gaps)...)
	}
	var ps []Packet
	rows := rowsOf(p.chunks)
	switch {
	case p.since != "":
		parts := encodeParts(wire.Bootstrap{
			Room: j.room.id, From: &p.since, Position: j.update.Position, Now: j.now, Series: p.descriptors,
		}, rows)
		for _, part := range parts {
			ps = append(ps, h.transport.Encode(NamespaceLive, wire.EventBootstrap, wire.AppendReason(part, p.reason)))
		}
	case len(rows) > 0 || len(p.descriptors) > 0:
		u := wire.Update{Room: j.room.id, Position: j.update.Position, Now: j.now, Blocks: blocksOf(rows), Series: p.descriptors, Matched: j.update.Matched}
		ps = append(ps, h.transport.Encode(NamespaceLive, wire.EventUpdate, u.AppendJSON(nil)))
	}
	ps = append(ps, h.gapPackets(j.room, p.gaps)...)
	// Who resumes may have been told another state before.
	if j.state != wire.StateLive || p.since != "" {
		ps = append(ps, h.statusPacket(j))
	}
	return ps
}

func (h *Hub) rootUpdate(samples []bus.Sample) []Packet {
	if len(samples) == 0 {
		return nil
	}
	return []Packet{h.transport.Encode(NamespaceRoot, wire.EventUpdate, wire.AppendRoot(nil, samples, h.o.Zone))}
}
