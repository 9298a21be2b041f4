package live

import (
	"slices"
	"sync"
	"time"
)

const (
	// A bootstrap is shared while the ring covers its index, and for at most bootstrapAge: a viewer
	// that gets an old bootstrap is also sent the ring from its index on. The `now` of a bootstrap is
	// at most stampAge old.
	bootstrapAge = 30 * time.Second
	stampAge     = time.Second
	// bootstrapCache bounds the bytes of the bootstraps kept for sharing; the
	// oldest of the room goes first.
	bootstrapCache   = 32 << 20
	bootstrapsOfRoom = 16
)

// bootstrap is the encoded history of a room for one window and number of
// points, and the ring index up to which it reaches.
type bootstrap struct {
	window int64
	points int
	at     int64 // when the read began, the server's clock, Unix ms; guarded by recent.Log.Mu

	done       chan struct{} // closed when the fields below are set
	err        error
	generation uint16 // of the room's choice of series
	cursor     uint64
	lastT      int64    // newest time that it holds, for namespace /
	parts      [][]byte // messages, but for the reason at their ends
	// partial says that the bootstrap lacks samples that the full disk could not take, and that the
	// ring no longer holds. Guarded by recent.Log.Mu.
	partial bool
	gaps    []Packet // what is told of the gaps in the window
	// size is the bytes of parts and of packets, as far as they are counted in
	// reader.cached; guarded by recent.Log.Mu. Compressed copies, a tenth of it, are not counted.
	size int

	mu     sync.Mutex         // guards stamps; never held together with recent.Log.Mu
	stamps map[string]stamped // by reason
}

// stamped is a bootstrap's packets with one value of `now`.
type stamped struct {
	now     int64
	packets []Packet
}

func (b *bootstrap) isDone() bool { return isClosed(b.done) }

// packets returns b's packets for a reason, with the time now or a moment before. isNew says that
// there were none for the reason.
func (b *bootstrap) packets(e encoding, reason string, now int64) (packets []Packet, isNew bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, there := b.stamps[reason]
	if there && (now-s.now < stampAge.Milliseconds() || !e.tellsMore()) {
		return s.packets, false
	}
	s = stamped{now: now}
	for _, part := range b.parts {
		s.packets = append(s.packets, e.stamp(part, reason, now))
	}
	s.packets = append(s.packets, b.gaps...)
	b.stamps[reason] = s
	return s.packets, !there
}

// bootstraps are the shared bootstraps of one room, oldest first. recent.Log.Mu guards them.
type bootstraps struct {
	*reader
	encoding encoding
	list     []*bootstrap
}

// bootstrapFor returns a bootstrap for v's window: a shared one, or one that is
// being read for another viewer, or a new one.
func (x *bootstraps) bootstrapFor(v *viewer) (*bootstrap, error) {
	x.recent.Mu.Lock()
	b := x.find(v)
	if b == nil {
		b = &bootstrap{window: v.window, points: v.points, at: x.recent.Now(), done: make(chan struct{}), stamps: map[string]stamped{}}
		x.list = append(x.list, b)
		x.trim()
		x.start(func() { x.read(v.room, b) })
	}
	x.recent.Mu.Unlock()
	select {
	case <-b.done:
		return b, b.err
	case <-x.ctx.Done():
		return nil, x.ctx.Err()
	}
}

// find returns a bootstrap that will do for v, or nil.
func (x *bootstraps) find(v *viewer) *bootstrap {
	oldest := x.recent.Now() - bootstrapAge.Milliseconds()
	for _, b := range x.list {
		if b.window != v.window || b.points != v.points || b.at < oldest {
			continue
		}
		if !b.isDone() {
			return b // being read
		}
		lacks := b.partial && !x.follower.Standing().Unrecorded // it lacks what is recorded now
		if b.err == nil && x.recent.Ring.Covers(b.cursor) && b.generation == v.room.crowd.generation && !lacks {
			return b
		}
	}
	return nil
}

// trim drops the bootstraps that are of no use, and the oldest ones beyond the bounds.
func (x *bootstraps) trim() {
	oldest := x.recent.Now() - bootstrapAge.Milliseconds()
	kept := x.list[:0]
	for i, b := range x.list {
		excess := len(x.list)-i > bootstrapsOfRoom || x.cached > bootstrapCache
		if b.isDone() && (excess || b.err != nil || b.at < oldest || !x.recent.Ring.Covers(b.cursor)) {
			x.count(-b.size)
			continue
		}
		kept = append(kept, b)
	}
	clear(x.list[len(kept):])
	x.list = kept
}

// expire keeps bootstraps that reach no further than ring index i from being shared.
func (x *bootstraps) expire(i uint64) {
	for _, b := range x.list {
		if b.isDone() && b.cursor <= i {
			b.at = 0
		}
	}
}

// recorded expires bootstraps too, because everything up to ring index i is recorded now. all says that
// samples were withheld from every page, also from pages whose bootstrap is on its way.
func (x *bootstraps) recorded(i uint64, all bool) {
	x.expire(i)
	for _, b := range x.list {
		b.partial = b.partial || all
	}
}

// close drops all.
func (x *bootstraps) close() {
	for _, b := range x.list {
		x.count(-b.size)
	}
	x.list = nil
}

// packets returns b's packets for a reason.
func (x *bootstraps) packets(b *bootstrap, reason string, now int64) []Packet {
	packets, isNew := b.packets(x.encoding, reason, now)
	if isNew {
		x.keep(b)
	}
	return packets
}

// keep counts the bytes of b's parts, once more when they are encoded for another reason. b is shared
// while it is in the list. When all rooms together exceed the bound, the oldest bootstraps of
// every room are dropped.
func (x *bootstraps) keep(b *bootstrap) {
	x.recent.Mu.Lock()
	defer x.recent.Mu.Unlock()
	if !slices.Contains(x.list, b) {
		return // the room was closed meanwhile
	}
	for _, p := range b.parts {
		b.size += len(p)
		x.count(len(p))
	}
	if x.cached > bootstrapCache {
		for _, r := range x.rooms.byID {
			r.shared.trim()
		}
	}
}

// read fills b from the store.
func (x *bootstraps) read(r *Room, b *bootstrap) {
	defer close(b.done)
	past, err := x.past(r, b)
	if err != nil {
		b.err = err
		return
	}
	x.recent.Mu.Lock()
	known := r.identify(past)
	gaps := r.members.messages(r.id, past.gaps)
	known.add(&r.members, gaps)
	x.recent.Mu.Unlock()
	b.parts, b.lastT = r.encoding.bootstrap(past, known)
	b.gaps = r.encoding.gaps(gaps)
	x.keep(b)
	x.metrics.bootstraps.Inc()
}
