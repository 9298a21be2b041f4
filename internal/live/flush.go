package live

import (
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/wire"
)

// flushInterval is the least time between two flushes: under a steady stream a
// room is sent at most 20 updates a second.
const flushInterval = 50 * time.Millisecond

// flusher sends what rooms have to tell, in a goroutine of its own.
type flusher struct {
	*audience
	wake chan struct{} // buffered, capacity 1: there is something to do

	// Guarded by recent.Log.Mu.
	dirty    []*Room
	inFlight <-chan struct{} // closed at the end of the flush under way; nil: none is

	// Scratch.
	outgoing  []Outgoing
	addressed []*Client
	parcels   parcels
}

// soon has a flush happen soon. It never blocks.
func (f *flusher) soon() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// add adds a room to those that the next flush looks at. The caller holds recent.Log.Mu.
func (f *flusher) add(r *Room) { f.dirty = append(f.dirty, r) }

// run flushes the dirty rooms: at once after a pause, otherwise flushInterval after the flush before.
// All dirty rooms are flushed together, so a batch that reaches twelve rooms of a page leaves in one
// write.
func (f *flusher) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var last time.Time
	for {
		select {
		case <-f.ctx.Done():
			return
		case <-f.wake:
		}
		if wait := flushInterval - time.Since(last); wait > 0 {
			timer.Reset(wait)
			select {
			case <-f.ctx.Done():
				return
			case <-timer.C:
			}
		}
		last = time.Now()
		f.flush()
	}
}

// await waits until nothing is pending, for at most a few flushes.
func (f *flusher) await() {
	for range 40 {
		f.recent.Mu.Lock()
		idle := len(f.dirty) == 0 && f.inFlight == nil
		f.recent.Mu.Unlock()
		if idle {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// flush sends every dirty room's pending samples to its viewers.
func (f *flusher) flush() {
	over := make(chan struct{})
	defer close(over)
	jobs := f.take(over)
	out, clients := f.address(jobs)
	f.transport.Broadcast(out)
	refused := false
	for i := range out {
		clients[i].refused = !out[i].OK
		refused = refused || !out[i].OK
	}
	if refused {
		f.takeBack(jobs)
	}
	f.recent.Mu.Lock()
	f.inFlight = nil
	for i := range jobs {
		jobs[i].room.seats.giveBack()
	}
	f.recent.Mu.Unlock()
	// Clients that leave now must not be kept until the next flush.
	for i, c := range clients {
		c.refused = false
		clients[i], out[i] = nil, Outgoing{}
	}
	f.parcels.clear()
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
	drains    uint64 // clients.drains

	current []seat // as of the flush's beginning
	parties []party
}

// take takes what the dirty rooms have to send, moves every cursor to the
// ring's end, and makes newcomers current. The flusher's goroutine alone sends
// the jobs, before anything that comes later. So it is safe to move the cursors
// first; a refused write moves them back (takeBack).
func (f *flusher) take(over <-chan struct{}) []job {
	f.recent.Mu.Lock()
	defer f.recent.Mu.Unlock()
	f.inFlight = over
	end, now := f.recent.Ring.End(), f.recent.Now()
	position := f.recent.Ring.Position(end)
	jobs := make([]job, 0, len(f.dirty))
	var behind []*Room
	for _, r := range f.dirty {
		if r.search.isBehind() && r.search.state != ended {
			behind = append(behind, r) // the matcher wakes the flusher; see search.go
			f.bound(r)
			continue
		}
		jobs = append(jobs, r.take(end, position, now, f.clients.drains))
	}
	clear(f.dirty)
	f.dirty = append(f.dirty[:0], behind...)
	return jobs
}

// take takes what r has to send. The ring's end has a position.
func (r *Room) take(end uint64, position bus.Position, now int64, drains uint64) job {
	current := r.seats.lend() // the newcomers that take seats now are sent their own
	matched := r.news.matched
	j := job{
		room: r, from: r.news.from, position: position, now: now, state: r.state.name, since: r.state.since, tellState: r.news.state,
		pending: r.news.pending, gaps: r.members.messages(r.id, r.news.gaps), drains: drains, current: current,
		update: wire.Update{Room: r.id, Position: r.positionOf(position), Now: now, Gone: r.news.gone},
	}
	for _, m := range r.news.descriptors {
		j.update.Series = append(j.update.Series, m.descriptor())
	}
	if matched {
		n := r.matched()
		j.update.Matched = &n
	}
	if r.news.isEmpty() {
		j.from = end // a status, say: nothing that would have to be sent again
	}
	j.parties = r.takeNewcomers(end)
	r.encoding.take(&j)
	r.news.clear()
	return j
}

// address encodes the jobs and lists the packets by connection; out[i] goes to the connection of
// clients[i]. The next flush reuses both slices.
func (f *flusher) address(jobs []job) (out []Outgoing, clients []*Client) {
	clients = f.addressed[:0]
	send := func(c *Client) {
		if c.sent == 0 {
			clients = append(clients, c)
		}
		c.sent = f.parcels.extend(c.sent)
	}
	for i := range jobs {
		j := &jobs[i]
		if len(j.current) > 0 {
			if ps := j.room.encoding.broadcast(j); len(ps) > 0 {
				f.parcels.next(ps)
				for _, s := range j.current {
					send(s.client)
				}
			}
		}
		for k := range j.parties {
			if ps := j.room.encoding.party(j, &j.parties[k]); len(ps) > 0 {
				f.parcels.next(ps)
				for _, v := range j.parties[k].viewers {
					send(v.client)
				}
			}
		}
	}
	out = f.outgoing[:0]
	for _, c := range clients {
		out = append(out, Outgoing{Conn: c.conn, Packets: f.parcels.packets(c.sent)})
		c.sent = 0
	}
	f.outgoing, f.addressed = out, clients
	return out, clients
}

// takeBack moves the viewers of connections that refused back to where they
// stood before the flush.
func (f *flusher) takeBack(jobs []job) {
	f.recent.Mu.Lock()
	defer f.recent.Mu.Unlock()
	back := func(v *viewer, cursor, drains uint64) {
		if v.client.refused {
			v.takeBack(cursor, drains)
		}
	}
	for i := range jobs {
		j := &jobs[i]
		for _, s := range j.current {
			back(s.viewer, j.from, j.drains)
		}
		// They have missed this as well; everybody is told again.
		if len(j.update.Gone) > 0 {
			j.room.news.again(&j.update)
			j.room.markDirty()
		}
		for _, p := range j.parties {
			for _, v := range p.viewers {
				back(v, p.cursor, j.drains)
			}
		}
	}
}
