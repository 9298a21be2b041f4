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
	slow    atomic.Int64 // how long each delivery takes
	handed  atomic.Int64 // deliveries
	away    atomic.Bool  // its end cannot be asked for
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
	if now := time.Now().UnixMilli(); now > l.last.Ms {
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

func (l *fakeLog) Tail(ctx context.Context, from bus.Position, handle func(bus.Delivery) error) error {
	defer context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.cond.Broadcast()
	})()
	for passed := false; ; passed = true {
		d, err := l.next(ctx, from)
		if passed && errors.Is(err, bus.ErrPositionLost) {
			return &bus.LostError{Reason: "lost", Since: l.common(from)}
		}
		if err != nil {
			return err
		}
		from = d.Position
		l.handed.Add(1)
		time.Sleep(time.Duration(l.slow.Load()))
		if err := handle(d); err != nil {
			return err
		}
	}
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
			i = slices.IndexFunc(l.entries, func(d bus.Delivery) bool { return d.Position == from }) + 1
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

// common returns the newest place of what is left that was before p too: it is always
// the beginning of what was.
func (l *fakeLog) common(p bus.Position) (since bus.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.entries {
		if d.Position.Compare(p.Offset) <= 0 {
			since = d.Position
		}
	}
	return since
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
