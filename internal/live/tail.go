package live

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/wire"
)

// errApplyAgain ends a Tail because there is room on the disk again, or because the store
// has lost something: what was only shown, or all there is, is read once more, and recorded.
var errApplyAgain = errors.New("apply again what was not recorded")

// errSkipped ends a Tail that has passed the place where what is known should be.
var errSkipped = errors.New("the log has lost its end")

const (
	// retryFirst and retryMost are the pauses between two tries of what has to
	// succeed: a commit of a batch that its source was told is in the log, a bus
	// that is away.
	retryFirst = 100 * time.Millisecond
	retryMost  = time.Second
	// catchUpLog is how often progress is logged while the server catches up.
	catchUpLog = 5 * time.Second
)

// Run tails the log until ctx ends (then it returns nil) or the bus fails for
// good. It is called once.
func (h *Hub) Run(ctx context.Context) error {
	from, err := h.restore()
	if err != nil {
		return err
	}
	h.declareLosses()
	if err := h.loadIndex(ctx); err != nil {
		return err
	}
	h.background.Go(h.flusher)
	h.background.Go(h.matcher)
	h.background.Go(h.watch)
	h.background.Go(h.saver)
	h.background.Go(h.judgeWhileIdle)
	defer h.save()
	for {
		err := h.tail(ctx, from)
		switch {
		case ctx.Err() != nil || errors.Is(err, bus.ErrClosed):
			return nil
		case errors.Is(err, errApplyAgain):
			h.mu.Lock()
			damaged := h.progress.damaged
			if from = h.progress.unstored; damaged {
				from = bus.Position{}
			}
			h.mu.Unlock()
			if damaged {
				h.log.Warn("the history was repaired: applying all that the log retains again")
			} else {
				h.log.Info("recording what was only shown while the disk was full")
			}
		case errors.Is(err, errSkipped):
			// Asked for the place itself, the bus finds that it is gone, and begins a new
			// epoch, which every server and page notices.
			from = h.knownPosition()
		case errors.Is(err, bus.ErrPositionLost):
			known := h.knownPosition()
			from = h.leftToRead(err)
			h.log.Warn("the log does not go on where this server was; reading what is left of it", "position", known.String(), "after", from.String(), "err", err)
		default:
			return fmt.Errorf("tail the log: %w", err)
		}
	}
}

// tail reads the log after from, until something stops it.
func (h *Hub) tail(ctx context.Context, from bus.Position) error {
	end, err := h.logEnd(ctx)
	if err != nil {
		return err
	}
	h.mu.Lock()
	// The log ends before what is known: it has lost its end, as in progress.skips.
	if known := h.progress.known(); end.Epoch == known.Epoch && end.Compare(known.Offset) < 0 && from.Compare(known.Offset) < 0 {
		h.mu.Unlock()
		return errSkipped
	}
	if !from.IsZero() && h.progress.applied.IsZero() {
		h.ring.restart(from)
	} else if h.ring.before.Epoch == "" {
		h.ring.restart(bus.Position{Epoch: end.Epoch})
	}
	h.progress.first, h.progress.end = from.IsZero(), end
	h.progress.rereading = h.progress.rereading && from != end
	h.progress.from, h.progress.read, h.progress.readAt = from, from, h.now()
	h.mu.Unlock()
	if !h.IsReady() && !from.IsZero() {
		h.setBehind(end, from)
	}
	told := time.Now()
	if from == end || from.IsZero() && end.Offset == (bus.Offset{}) {
		h.passed(end, end)
	}
	return h.bus.Tail(ctx, from, func(d bus.Delivery) error {
		err := h.apply(ctx, d)
		if err == nil && !h.begun && h.o.Replica {
			// Without it a kill before the first save would make this a server that has
			// never seen the log, and so misses nothing.
			h.begun = true
			h.save()
		}
		if !h.IsReady() {
			h.passed(d.Position, end)
			if behind, _ := h.Behind(); time.Since(told) > catchUpLog {
				told = time.Now()
				h.log.Info("catching up with the log", "behind", behind.Round(time.Second))
			}
		}
		return err
	})
}

// logEnd returns the log's end. A bus that outlives this process may be away for
// a while: it is waited for.
func (h *Hub) logEnd(ctx context.Context) (bus.Position, error) {
	told := false
	for wait := retryFirst; ; wait = min(2*wait, retryMost) {
		end, err := h.bus.End(ctx)
		if err == nil || !h.o.Replica || errors.Is(err, bus.ErrClosed) || errors.Is(err, bus.ErrUnusable) {
			if err != nil {
				err = fmt.Errorf("find the log's end: %w", err)
			}
			if told && err == nil {
				h.log.Info("the bus is there")
			}
			return end, err
		}
		if !told && ctx.Err() == nil {
			told = true
			h.log.Warn("the bus is away; waiting for it", "err", err)
		}
		select {
		case <-ctx.Done():
			return end, ctx.Err()
		case <-time.After(wait):
		}
	}
}

// passed makes the hub ready once the tail has passed the log's end as seen at
// the start: before, a bootstrap would lack what is still to be applied.
func (h *Hub) passed(at, end bus.Position) {
	// Another epoch than the end's: the log has lost its past since, and its end.
	if at.Epoch != end.Epoch || at.Compare(end.Offset) >= 0 {
		h.setBehind(end, end)
		h.setReady()
		return
	}
	h.setBehind(end, at)
}

func (h *Hub) setBehind(end, at bus.Position) {
	ms := max(end.LogTime()-at.LogTime(), 0)
	h.behind.Store(ms)
	h.metrics.behind.Set(float64(ms) / 1000)
}

// Behind returns how much of the log, in its own time, is still to be applied before
// viewers may join. It is false while that is not known, because the bus is away or
// nothing was read yet.
func (h *Hub) Behind() (time.Duration, bool) {
	ms := h.behind.Load()
	return time.Duration(max(ms, 0)) * time.Millisecond, ms >= 0
}

// Ready is closed once viewers may join.
func (h *Hub) Ready() <-chan struct{} { return h.ready }

// IsReady reports whether viewers may join.
func (h *Hub) IsReady() bool { return isClosed(h.ready) }

// misses finds out, from the first entry of a log that is read from its beginning,
// and from an entry of a new epoch, what this server cannot have seen.
// The caller holds h.mu.
func (h *Hub) misses(a *application) {
	p, at := &h.progress, a.delivery.Position
	first := p.first
	p.first = false
	known := p.known()
	switch {
	case known.Epoch == "":
		// It knows nothing of any log yet: the ring begins here.
		if first && h.o.Replica {
			h.ring.restart(before(at))
		}
		return
	case at.Epoch != known.Epoch:
		if p.isUnstored && !p.unstored.IsZero() {
			h.notRecorded(a, wire.GapLogLost, at)
		}
		h.beginEpoch(before(at))
	case first && at.Compare(known.Offset) > 0:
		h.log.Warn("this server was away for longer than the log is kept", "was", known.String(), "is", at.String())
		h.lose(wire.GapLogTrimmed, known, before(at))
		h.ring.restart(before(at))
	case first && p.applied.IsZero():
		h.ring.restart(before(at)) // a start that reads everything again
	}
}

// before returns the place right before p.
func before(p bus.Position) bus.Position {
	if p.Seq > 0 {
		p.Seq--
	} else {
		p.Ms, p.Seq = p.Ms-1, math.MaxUint64
	}
	return p
}

// beginEpoch takes up a log that has lost its end, and is read from behind a place of
// it. The caller holds h.mu.
func (h *Hub) beginEpoch(at bus.Position) {
	p := &h.progress
	known := p.known()
	h.log.Warn("the log has lost its past: a new epoch begins", "was", known.String(), "is", at.String())
	h.metrics.epochs.Inc()
	h.sources.newEpoch()
	h.shown.clear()
	h.lose(wire.GapLogLost, known, at)
	h.ring.restart(at)
	p.newEpoch()
	p.rereading = true
}

// leftToRead returns where to read on after a position was lost: behind what is still
// the log that was applied, or at the beginning, where the first entry tells what is
// missing (see misses). From there too, while something of what is older is not
// recorded yet.
func (h *Hub) leftToRead(err error) bus.Position {
	h.mu.Lock()
	defer h.mu.Unlock()
	var lost *bus.LostError
	if !errors.As(err, &lost) || lost.Since.IsZero() || h.progress.isUnstored {
		return bus.Position{}
	}
	// At once, and not with the first entry that comes: until then the log may have
	// become another one, even of the epoch before, where what is known would be
	// compared with places that are none of it.
	p := &h.progress
	checkpoints := p.checkpointsUpTo(lost.Since)
	h.beginEpoch(lost.Since)
	p.applied, p.checkpoints = lost.Since, checkpoints
	return lost.Since
}

// knownPosition returns how far the log is known.
func (h *Hub) knownPosition() bus.Position {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.progress.known()
}
