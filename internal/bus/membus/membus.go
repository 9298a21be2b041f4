// Package membus is the bus of a single process: a log in memory.
// Every start is a new epoch.
package membus

import (
	"context"
	"crypto/rand"
	"fmt"
	"sort"
	"sync"
	"time"

	"stripchart/internal/bus"
)

const (
	// DefaultQueueBytes bounds the batches that wait to be committed.
	DefaultQueueBytes = 16 << 20
)

// Options of New. The zero value is what a server uses.
type Options struct {
	// QueueBytes bounds the batches that are not committed yet; when they exceed it,
	// Publish waits. 0 means DefaultQueueBytes.
	QueueBytes int
	// RetainBytes bounds the committed batches that a Tail can still read. 0
	// retains none: the only reader has them already.
	RetainBytes int
}

// Bus implements bus.Bus in memory.
type Bus struct {
	epoch                   string
	queueBytes, retainBytes int

	mu   sync.Mutex // guards everything below
	cond *sync.Cond // signalled when anything below changes

	log      []*entry // in log order: committed and retained ones first
	last     bus.Offset
	trimmed  bus.Offset // newest offset that is no longer retained
	waiting  int        // bytes in log that are not done
	retained int        // bytes in log that are done
	closed   bool
	calls    sync.WaitGroup // Publish and Tail under way; Add under mu
}

type entry struct {
	batch  *bus.Batch
	size   int
	offset bus.Offset
	done   bool
	result chan error // capacity 1; the outcome, once
}

// New returns an empty log with an epoch of its own.
func New(o Options) *Bus {
	if o.QueueBytes == 0 {
		o.QueueBytes = DefaultQueueBytes
	}
	b := &Bus{epoch: rand.Text()[:12], queueBytes: o.QueueBytes, retainBytes: o.RetainBytes}
	b.cond = sync.NewCond(&b.mu)
	return b
}

// Publish implements bus.Bus. It returns what the reader passed to Done.
func (b *Bus) Publish(ctx context.Context, batch *bus.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e := &entry{batch: batch, size: batch.Size(), result: make(chan error, 1)}
	if e.size > b.queueBytes {
		return fmt.Errorf("publish %d bytes: %w (%d bytes)", e.size, bus.ErrTooLarge, b.queueBytes)
	}
	defer context.AfterFunc(ctx, b.wake)()
	if err := b.enqueue(ctx, e); err != nil {
		return err
	}
	defer b.calls.Done()
	select {
	case err := <-e.result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enqueue waits for room and appends e. On success the caller is counted in
// b.calls.
func (b *Bus) enqueue(ctx context.Context, e *entry) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for !b.closed && ctx.Err() == nil && b.waiting > 0 && b.waiting+e.size > b.queueBytes {
		b.cond.Wait()
	}
	if b.closed {
		return bus.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// Log time never goes back, like a Redis stream ID: after a step of the
	// clock only the counter grows until the clock has caught up.
	if now := time.Now().UnixMilli(); now > b.last.Ms {
		b.last = bus.Offset{Ms: now}
	} else {
		b.last.Seq++
	}
	e.offset = b.last
	b.log = append(b.log, e)
	b.waiting += e.size
	b.calls.Add(1)
	b.cond.Broadcast()
	return nil
}

// Tail implements bus.Bus.
func (b *Bus) Tail(ctx context.Context, from bus.Position, handle func(bus.Delivery) error) error {
	defer context.AfterFunc(ctx, b.wake)()
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return bus.ErrClosed
	}
	b.calls.Add(1)
	defer b.calls.Done()
	cursor := from.Offset
	switch {
	case from.IsZero():
		cursor = b.trimmed
	case from.Epoch != b.epoch, cursor.Compare(b.last) > 0:
		b.mu.Unlock()
		return bus.ErrPositionLost
	}
	b.mu.Unlock()
	for {
		e, err := b.next(ctx, cursor)
		if err != nil {
			return err
		}
		cursor = e.offset
		err = handle(bus.Delivery{
			Batch:    e.batch,
			Position: bus.Position{Epoch: b.epoch, Offset: e.offset},
			Done:     func(err error) { b.finish(e, err) },
		})
		if err != nil {
			return err
		}
	}
}

// next waits for the first entry after cursor.
func (b *Bus) next(ctx context.Context, cursor bus.Offset) (*entry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		if b.closed {
			return nil, bus.ErrClosed
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if cursor.Compare(b.trimmed) < 0 {
			return nil, bus.ErrPositionLost
		}
		if e := b.after(cursor); e != nil {
			return e, nil
		}
		b.cond.Wait()
	}
}

// after returns the first retained entry after cursor, or nil. The caller holds b.mu.
func (b *Bus) after(cursor bus.Offset) *entry {
	i := sort.Search(len(b.log), func(i int) bool { return b.log[i].offset.Compare(cursor) > 0 })
	if i == len(b.log) {
		return nil
	}
	return b.log[i]
}

// finish marks e as committed. If err says that it was not, finish removes it from the log:
// its source gets no acknowledgement and publishes it again.
func (b *Bus) finish(e *entry, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.done {
		return
	}
	e.done = true
	e.result <- err
	b.waiting -= e.size
	b.retained += e.size
	if err != nil {
		b.remove(e)
	}
	b.trim()
	b.cond.Broadcast()
}

// remove removes e from the log. The caller holds b.mu.
func (b *Bus) remove(e *entry) {
	for i := range b.log {
		if b.log[i] == e {
			b.log = append(b.log[:i], b.log[i+1:]...)
			b.retained -= e.size
			return
		}
	}
}

// trim removes the oldest committed entries beyond the bound. The caller holds b.mu.
func (b *Bus) trim() {
	n := 0
	for n < len(b.log) && b.log[n].done && b.retained > b.retainBytes {
		b.retained -= b.log[n].size
		b.trimmed = b.log[n].offset
		b.log[n] = nil
		n++
	}
	b.log = b.log[n:]
}

// End implements bus.Bus.
func (b *Bus) End(ctx context.Context) (bus.Position, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return bus.Position{}, bus.ErrClosed
	}
	return bus.Position{Epoch: b.epoch, Offset: b.last}, ctx.Err()
}

// Close implements bus.Bus. Batches that were not committed are not acknowledged.
func (b *Bus) Close() error {
	b.mu.Lock()
	b.closed = true
	for _, e := range b.log {
		if !e.done {
			e.done = true
			e.result <- bus.ErrClosed
		}
	}
	b.log = nil
	b.cond.Broadcast()
	b.mu.Unlock()
	b.calls.Wait()
	return nil
}

// wake makes waiting calls check their contexts.
func (b *Bus) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cond.Broadcast()
}
