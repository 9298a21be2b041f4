package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/store"
	"stripchart/internal/wire"
)

const (
	// maxReads is how many histories are read at once, and readTimeout how long
	// one may take: an open querier holds up tsdb's compaction.
	maxReads    = 4
	readTimeout = 5 * time.Second

	// A bootstrap is shared while the ring covers its index, and for at most
	// bootstrapAge, since who gets an old one is sent the ring from there as well.
	// Its `now` is kept right to stampAge.
	bootstrapAge = 30 * time.Second
	stampAge     = time.Second
	// bootstrapCache bounds the bytes of the bootstraps kept for sharing; the
	// oldest of the room goes first.
	bootstrapCache   = 32 << 20
	bootstrapsOfRoom = 16
)

// errRoomClosed ends a read that nobody waits for any more.
var errRoomClosed = errors.New("the room was closed before its history was read")

// bootstrap is the encoded history of a room for one window and number of
// points, and the ring index up to which it reaches.
type bootstrap struct {
	window int64
	points int
	at     int64 // when the read began, the server's clock, Unix ms; guarded by Hub.mu

	done       chan struct{} // closed when the fields below are set
	err        error
	generation uint16 // of the room's choice of series
	cursor     uint64
	lastT      int64    // newest time that it holds, for namespace /
	parts      [][]byte // messages, but for the reason at their ends
	// partial says that what the disk had no room for is missing in it, because the
	// ring does not go back to there.
	partial bool
	gaps    []Packet // what is told of the gaps in the window
	// size is the bytes of parts and of packets, as far as they are counted in
	// Hub.bootstrapBytes; guarded by Hub.mu. Compressed copies, a tenth of it, are not counted.
	size int

	mu      sync.Mutex         // guards packets; never held together with Hub.mu
	packets map[string]stamped // by reason
}

// stamped is a bootstrap's packets with one value of `now`.
type stamped struct {
	now     int64
	packets []Packet
}

// goJoin bootstraps v in a goroutine of its own. The caller holds h.mu; v.state
// is joining.
func (h *Hub) goJoin(v *viewer, ack Ack) {
	h.start(func() { h.join(v, ack) })
}

// goBackground runs f in a goroutine that Close waits for.
func (h *Hub) goBackground(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.start(f)
}

// join sends v a bootstrap and makes it a newcomer.
func (h *Hub) join(v *viewer, ack Ack) {
	began := time.Now()
	if !h.awaitRoom(v.room) {
		return
	}
	end, ok := v.client.begin()
	if !ok {
		return // nobody is there to be told
	}
	defer end()
	if h.isOver(v) {
		if ack != nil {
			ack.answer(h.subscribed(v))
		}
		return
	}
	b, err := h.bootstrapFor(v)
	if err != nil {
		h.joinFailed(v, ack, err)
		return
	}
	v.client.await()
	h.mu.Lock()
	if v.state != joining {
		h.mu.Unlock() // it has left, or subscribed anew, in the meantime
		if ack != nil {
			ack.answer(h.subscribed(v))
		}
		return
	}
	written := make(chan struct{})
	defer close(written)
	v.writing = written
	reason, drains, now := v.reason, h.drains, h.now()
	h.mu.Unlock()
	packets := h.bootstrapPackets(v.room, b, reason, now)
	if ack != nil {
		ack.answer(h.subscribed(v))
	}

	ok = v.client.conn.Write(packets...)

	h.mu.Lock()
	defer h.mu.Unlock()
	v.writing = nil
	if v.state != joining {
		return
	}
	v.anew = !ok
	if !ok {
		h.stall(v, drains)
		return
	}
	v.reason, v.since, v.cursor, v.lastT, v.generation = wire.ReasonJoin, "", b.cursor, b.lastT, b.generation
	if v.partial = b.partial; b.partial && !h.standing().unrecorded {
		// What it lacks has been recorded while it was on its way.
		v.partial, v.reason = false, wire.ReasonLost
		h.goJoin(v, nil)
		return
	}
	h.welcome(v)
	h.metrics.join.Observe(time.Since(began).Seconds())
}

// isOver reports whether v is not joining any more: it has left, or subscribed anew.
func (h *Hub) isOver(v *viewer) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return v.state != joining
}

// joinFailed answers v's Subscribe with the error. A viewer that nobody is
// waiting for (it was slow, or is of namespace /) tries again later.
func (h *Hub) joinFailed(v *viewer, ack Ack, err error) {
	h.mu.Lock()
	over := v.state != joining
	if !over && ack != nil {
		h.remove(v)
		v.client.drop(v)
	}
	h.mu.Unlock()
	switch {
	case ack != nil:
		ack.refuse(readFailed(err))
	case !over:
		h.rejoin(v)
	}
}

// readFailed is what a page is told when a history could not be read.
func readFailed(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return &wire.Error{Code: wire.CodeOverloaded, Message: "the history could not be read in time; try again"}
	}
	return err
}

// rejoin joins again after a second.
func (h *Hub) rejoin(v *viewer) {
	select {
	case <-h.ctx.Done():
		return
	case <-time.After(time.Second):
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if v.state == joining {
		h.goJoin(v, nil)
	}
}

// bootstrapFor returns a bootstrap for v's window: a shared one, or one that is
// being read for somebody else, or a new one.
func (h *Hub) bootstrapFor(v *viewer) (*bootstrap, error) {
	h.mu.Lock()
	b := h.shared(v)
	if b == nil {
		b = &bootstrap{window: v.window, points: v.points, at: h.now(), done: make(chan struct{}), packets: map[string]stamped{}}
		v.room.bootstraps = append(v.room.bootstraps, b)
		h.trimBootstraps(v.room)
		h.start(func() { h.read(v.room, b) })
	}
	h.mu.Unlock()
	select {
	case <-b.done:
		return b, b.err
	case <-h.ctx.Done():
		return nil, h.ctx.Err()
	}
}

// shared returns a bootstrap that will do for v, or nil. The caller holds h.mu.
func (h *Hub) shared(v *viewer) *bootstrap {
	oldest := h.now() - bootstrapAge.Milliseconds()
	for _, b := range v.room.bootstraps {
		if b.window != v.window || b.points != v.points || b.at < oldest {
			continue
		}
		select {
		case <-b.done:
			lacks := b.partial && !h.standing().unrecorded // what was recorded since
			if b.err == nil && h.ring.covers(b.cursor) && b.generation == v.room.crowd.generation && !lacks {
				return b
			}
		default:
			return b // being read
		}
	}
	return nil
}

// trimBootstraps drops the room's shared bootstraps that are of no use, and the
// oldest ones beyond the bounds. The caller holds h.mu.
func (h *Hub) trimBootstraps(r *Room) {
	oldest := h.now() - bootstrapAge.Milliseconds()
	kept := r.bootstraps[:0]
	for i, b := range r.bootstraps {
		excess := len(r.bootstraps)-i > bootstrapsOfRoom || h.bootstrapBytes > bootstrapCache
		if b.isDone() && (excess || b.err != nil || b.at < oldest || !h.ring.covers(b.cursor)) {
			h.bootstrapBytes -= b.size
			continue
		}
		kept = append(kept, b)
	}
	clear(r.bootstraps[len(kept):])
	r.bootstraps = kept
}

// expire keeps bootstraps that reach no further than index i from being shared.
// The caller holds Hub.mu.
func (r *Room) expire(i uint64) {
	for _, b := range r.bootstraps {
		if b.isDone() && b.cursor <= i {
			b.at = 0
		}
	}
}

func (b *bootstrap) isDone() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

// read fills b from the store.
func (h *Hub) read(r *Room, b *bootstrap) {
	defer close(b.done)
	m, err := h.readHistory(r, b)
	m.unseen = h.unseen(m.others)
	if err != nil {
		if h.ctx.Err() == nil && !errors.Is(err, errRoomClosed) {
			h.log.Warn("history could not be read for a bootstrap", "query", r.selector.canonical, "err", err)
		}
		b.err = err
		return
	}
	h.mu.Lock()
	known := h.identify(r, m)
	gaps := r.messages(m.gaps)
	known.add(r, gaps)
	h.mu.Unlock()
	if r.root {
		b.parts, b.lastT = encodeRootBootstrap(m, known, h.o.Zone)
	} else {
		b.parts = encodeBootstrap(m, known)
	}
	b.gaps = h.gapPackets(r, gaps)
	h.keep(r, b)
	h.metrics.bootstraps.Inc()
}

// pastOfRoom is what was read for a bootstrap.
type pastOfRoom struct {
	room     string
	position bus.Position
	now      int64
	series   []store.History
	others   []labels.Labels // that match as well, but for which the room has no place
	unseen   int             // of others, those that only the store knows
	gaps     []*gap
}

// readHistory notes the ring's end and opens the querier under the lock, then
// reads without it. See the package comment for why this order is exact.
func (h *Hub) readHistory(r *Room, b *bootstrap) (pastOfRoom, error) {
	m := pastOfRoom{room: r.id}
	ctx, cancel := context.WithTimeout(h.ctx, readTimeout)
	defer cancel()
	err := h.limitReads(ctx, func() error { return h.readPast(ctx, r, b, &m) })
	return m, err
}

// readPast is the read itself. The ring's end and the querier belong together:
// both are taken under one lock.
func (h *Hub) readPast(ctx context.Context, r *Room, b *bootstrap, m *pastOfRoom) error {
	h.mu.Lock()
	if r.closed {
		h.mu.Unlock()
		return errRoomClosed
	}
	m.now = h.now()
	// Samples may lie a little ahead. A clock that was far ahead once must not make
	// every column coarse.
	from, to := m.now-b.window, min(max(m.now, h.index.newestT), m.now+FutureBound)
	b.cursor = h.ring.end()
	if s := h.standing(); s.unrecorded {
		// The store lacks what came since the disk was full; the ring has it, as far
		// as it goes back.
		b.cursor, b.partial = max(s.since, h.ring.first), s.partial
	}
	m.position = h.ring.position(b.cursor)
	m.gaps = h.gapsIn(from, to)
	if b.partial {
		m.gaps = append(m.gaps, h.notInRing(m.position))
	}
	snapshot, err := h.store.Snapshot(from, to)
	places := r.places()
	b.generation = r.crowd.generation
	h.mu.Unlock()
	if err != nil {
		return fmt.Errorf("open history: %w", err)
	}
	defer snapshot.Close()
	err = readFitting(b.points, func(points int) error {
		taken := *places
		m.others = nil
		snapshot.Only(func(ls labels.Labels) bool {
			if taken.take(ls) {
				return true
			}
			m.others = append(m.others, ls)
			return false
		})
		m.series, err = snapshot.History(ctx, r.selector.matchers, from, to, points)
		return err
	})
	if err != nil {
		return fmt.Errorf("read history: %w", err)
	}
	for _, l := range snapshot.Missing() {
		m.gaps = append(m.gaps, gapOf(l))
	}
	return nil
}

// unseen returns how many of the series are not in the index.
func (h *Hub) unseen(others []labels.Labels) int {
	n := 0
	for piece := range slices.Chunk(others, pieceOf) {
		h.mu.Lock()
		for _, ls := range piece {
			if h.index.get(ls) == nil {
				n++
			}
		}
		h.mu.did(len(piece))
		h.mu.Unlock()
	}
	return n
}

// keep counts the bytes of b's parts, once more when they are encoded for another reason.
// b is shared while it is among r's. Where all rooms together have too many bytes, the
// bootstraps that were read before go.
func (h *Hub) keep(r *Room, b *bootstrap) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Contains(r.bootstraps, b) {
		return // the room was closed meanwhile
	}
	for _, p := range b.parts {
		b.size += len(p)
		h.bootstrapBytes += len(p)
	}
	if h.bootstrapBytes > bootstrapCache {
		for _, r := range h.rooms {
			h.trimBootstraps(r)
		}
	}
}

// bootstrapPackets returns b's packets for a reason, with the time now or a moment
// before.
func (h *Hub) bootstrapPackets(r *Room, b *bootstrap, reason string, now int64) []Packet {
	packets, isNew := h.packetsOf(r, b, reason, now)
	if isNew {
		h.keep(r, b)
	}
	return packets
}

// packetsOf is bootstrapPackets; isNew says that there were none for the reason.
func (h *Hub) packetsOf(r *Room, b *bootstrap, reason string, now int64) (packets []Packet, isNew bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, there := b.packets[reason]
	if there && (r.root || now-s.now < stampAge.Milliseconds()) {
		return s.packets, false
	}
	s = stamped{now: now}
	for _, part := range b.parts {
		if r.root {
			s.packets = append(s.packets, h.transport.Encode(NamespaceRoot, wire.EventBootstrap, part))
			continue
		}
		message := wire.AppendReason(wire.Restamp(part, now), reason)
		s.packets = append(s.packets, h.transport.Encode(NamespaceLive, wire.EventBootstrap, message))
	}
	s.packets = append(s.packets, b.gaps...)
	b.packets[reason] = s
	return s.packets, !there
}
