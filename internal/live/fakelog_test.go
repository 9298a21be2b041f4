package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"stripchart/internal/bus"
)

// fakeLog is a log that outlives its readers, like Redis's, and can lose its end
// or its beginning.
type fakeLog struct {
	mu      sync.Mutex
	cond    *sync.Cond
	epochs  int
	entries []bus.Delivery
	last    bus.Offset
	ahead   time.Duration // of its clock
	slow    atomic.Int64  // how long each delivery takes
	handed  atomic.Int64  // deliveries
	away    atomic.Bool   // its end cannot be asked for
}

func newFakeLog() *fakeLog {
	l := &fakeLog{epochs: 1}
	l.cond = sync.NewCond(&l.mu)
	return l
}

func (l *fakeLog) epoch() string { return fmt.Sprint("e", l.epochs) }

func (l *fakeLog) Publish(_ context.Context, b *bus.Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now().Add(l.ahead).UnixMilli(); now > l.last.Ms {
		l.last = bus.Offset{Ms: now}
	} else {
		l.last.Seq++
	}
	l.entries = append(l.entries, bus.Delivery{
		Batch: b, Position: bus.Position{Epoch: l.epoch(), Offset: l.last}, Kept: true, Done: func(error) {},
	})
	l.cond.Broadcast()
	return nil
}

// lose drops the newest n entries, as a restart from an older dump does.
func (l *fakeLog) lose(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = slices.Clone(l.entries[:max(0, len(l.entries)-n)])
	l.last = bus.Offset{}
	l.epochs++
	for i := range l.entries {
		l.entries[i].Position.Epoch = l.epoch()
		l.last = l.entries[i].Position.Offset
	}
	l.cond.Broadcast()
}

// clock sets by how much the log's clock is ahead. Its offsets never go back.
func (l *fakeLog) clock(ahead time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ahead = ahead
}

// loseUnseen drops the newest n entries when nobody is there to see it: the epoch
// stays until somebody asks for what is gone.
func (l *fakeLog) loseUnseen(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = slices.Clone(l.entries[:max(0, len(l.entries)-n)])
	l.cond.Broadcast()
}

// trim drops all but the newest n entries.
func (l *fakeLog) trim(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = slices.Clone(l.entries[max(0, len(l.entries)-n):])
	l.cond.Broadcast()
}

// split returns the log as another master has it who does not know of this one.
func (l *fakeLog) split() *fakeLog {
	l.mu.Lock()
	defer l.mu.Unlock()
	other := newFakeLog()
	other.epochs, other.entries, other.last = l.epochs, slices.Clone(l.entries), l.last
	return other
}

// becomes has l's readers led to another master.
func (l *fakeLog) becomes(other *fakeLog) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.epochs, l.entries, l.last = other.epochs, slices.Clone(other.entries), other.last
	l.cond.Broadcast()
}

// renew begins a new epoch in which everything is left, as after somebody else's loss.
func (l *fakeLog) renew() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.epochs += 100
	for i := range l.entries {
		l.entries[i].Position.Epoch = l.epoch()
	}
	l.cond.Broadcast()
}

func (l *fakeLog) Tail(ctx context.Context, from bus.Position, handle func(bus.Delivery) error) error {
	return (&fakeBus{fakeLog: l}).Tail(ctx, from, handle)
}

// fakeBus is one process's way to the log: it knows what it has handed out, and so how
// much of a log that has lost its end is left.
type fakeBus struct {
	*fakeLog
	epoch string // of steps
	steps []bus.Delivery
	over  []string // epochs
}

func (b *fakeBus) Tail(ctx context.Context, from bus.Position, handle func(bus.Delivery) error) error {
	defer context.AfterFunc(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.cond.Broadcast()
	})()
	for {
		b.mu.Lock()
		back := slices.Contains(b.over, b.fakeLog.epoch())
		b.mu.Unlock()
		if back {
			b.renew()
		}
		d, err := b.next(ctx, from)
		if errors.Is(err, bus.ErrPositionLost) {
			return &bus.LostError{Reason: "lost", Since: b.common(from)}
		}
		if err != nil {
			return err
		}
		if d.Position.Epoch != b.epoch {
			b.epoch, b.steps = d.Position.Epoch, nil
		}
		if n := len(b.steps); n == 0 || d.Position.Compare(b.steps[n-1].Position.Offset) > 0 {
			b.steps = append(b.steps, d)
		}
		from = d.Position
		b.handed.Add(1)
		time.Sleep(time.Duration(b.slow.Load()))
		if err := handle(d); err != nil {
			return err
		}
	}
}

// common returns the newest place that was passed up to p and is still what it was. The
// epoch of p is over, if it is not the log's.
func (b *fakeBus) common(p bus.Position) bus.Position {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.Epoch == b.fakeLog.epoch() {
		return bus.Position{} // trimmed
	}
	b.over = append(b.over, p.Epoch)
	if p.Epoch != b.epoch {
		return bus.Position{}
	}
	for i, s := range slices.Backward(b.steps) {
		if p.Compare(s.Position.Offset) < 0 {
			continue
		}
		for _, d := range b.entries {
			if d.Position.Offset == s.Position.Offset && d.Batch == s.Batch {
				b.epoch, b.steps = d.Position.Epoch, b.steps[:i+1]
				return d.Position
			}
		}
	}
	return bus.Position{}
}

func (l *fakeLog) next(ctx context.Context, from bus.Position) (bus.Delivery, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if ctx.Err() != nil {
			return bus.Delivery{}, ctx.Err()
		}
		i := 0
		if !from.IsZero() {
			// From the end, where most readers are.
			i = len(l.entries)
			for i > 0 && l.entries[i-1].Position != from {
				i--
			}
			if i == 0 {
				if from.Epoch == l.epoch() && (len(l.entries) == 0 || l.entries[0].Position.Compare(from.Offset) < 0) {
					l.epochs++ // its end is lost, not its beginning
					for i := range l.entries {
						l.entries[i].Position.Epoch = l.epoch()
					}
				}
				return bus.Delivery{}, bus.ErrPositionLost
			}
		}
		if i < len(l.entries) {
			return l.entries[i], nil
		}
		l.cond.Wait()
	}
}

func (l *fakeLog) End(ctx context.Context) (bus.Position, error) {
	if l.away.Load() {
		return bus.Position{}, errors.New("connection refused")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	end := bus.Position{Epoch: l.epoch()}
	if n := len(l.entries); n > 0 {
		end = l.entries[n-1].Position
	}
	return end, ctx.Err()
}

func (l *fakeLog) Close() error { return nil }
