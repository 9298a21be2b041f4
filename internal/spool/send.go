package spool

import (
	"context"
	"errors"
	"time"

	"stripchart/internal/backoff"
	"stripchart/internal/bus"
)

// Publish puts a batch on the bus and owns it from then on, as bus.Bus's does.
// Its errors are judged as guarantee 2 says.
type Publish func(ctx context.Context, b *bus.Batch) error

// Run publishes what is in the spool and what is appended to it, until ctx ends
// or the spool is closed, and returns ctx's error or ErrClosed; or until publish
// returns bus.ErrUnusable, and returns that. One Run at a time.
func (s *Spool) Run(ctx context.Context, publish Publish) error {
	s.mu.Lock()
	if s.done || s.running {
		defer s.mu.Unlock()
		if s.done {
			return ErrClosed
		}
		return errors.New("spool is being sent already: one Run at a time")
	}
	s.running = true
	s.wg.Add(1)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.running = false
		s.mu.Unlock()
		s.wg.Done()
	}()
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	s.wg.Go(func() { // ends with Run, at the latest
		select {
		case <-s.closing:
			cancel()
		case <-inner.Done():
		}
	})
	r := newReader(s)
	defer r.reset()
	sender := &sender{s: s, publish: publish, reader: r, pause: backoff.Backoff{First: 100 * time.Millisecond, Max: time.Second}}
	sender.rewind()
	if err := sender.run(inner); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return ErrClosed
}

// sender is the state of one Run.
type sender struct {
	s       *Spool
	publish Publish
	reader  *reader
	cursor  uint64 // batches up to this number are not to be sent, or not again
	alone   uint64 // up to this number batches are sent one by one

	moved    bool   // something was acknowledged since the last rewind
	resent   uint64 // the sent mark at the last rewind
	rewinds  int    // since the sent mark moved
	partly   bool   // the newest batch was taken without some of its samples
	failures int    // of the episode
	since    time.Time
	pause    backoff.Backoff
}

// run sends until ctx ends, or the bus is unusable.
func (w *sender) run(ctx context.Context) error {
	for ctx.Err() == nil {
		entries, err := w.gather()
		if err != nil {
			w.failed(ctx, 0, err)
			continue
		}
		if len(entries) == 0 {
			w.s.caughtUp(w.cursor)
			select {
			case <-w.s.wake:
			case <-ctx.Done():
			}
			continue
		}
		if err := w.offer(ctx, entries); err != nil {
			return err
		}
	}
	return nil
}

// offer publishes entries until they are acknowledged or refused, or until they
// are to be gathered anew. Its error is that of a bus that is unusable.
//
// A batch whose reply was lost may be in the log, and the next publish may merge its content
// in another way. That is safe: readers skip a batch whose Seq they have seen. If First() <=
// seen < Seq, readers apply those samples of the batch that they lack, by series and time.
func (w *sender) offer(ctx context.Context, entries []entry) error {
	b := w.s.withDropped(merge(entries))
	last := entries[len(entries)-1].seq
	for {
		err := w.publish(ctx, b)
		switch {
		case err == nil || errors.Is(err, bus.ErrNotStored) || errors.Is(err, bus.ErrNotAllWritten):
			w.succeeded()
			w.told(len(entries), err)
			w.cursor = last
			w.s.gave(entries[len(entries)-1].header)
			w.s.acknowledge(entries)
			w.s.metrics.sent.Add(float64(len(entries)))
			w.s.metrics.publishes.Inc()
			return nil
		case errors.Is(err, bus.ErrUnusable):
			return err
		case errors.Is(err, bus.ErrRefused) || errors.Is(err, bus.ErrTooLarge):
			if len(entries) > 1 {
				// One of them costs the others nothing.
				w.alone = last
				return nil
			}
			w.s.log.Error("the bus refuses a batch for good; it is dropped", "seq", b.Seq, "samples", b.Samples(), "err", err)
			w.s.drop(b.Merged+1, "refused", "seq", b.Seq)
			w.cursor = last
			w.s.acknowledge(entries)
			return nil
		}
		if !w.failed(ctx, last, err) {
			return nil
		}
		// The log may have lost its end with its connection. Once for each time
		// that something was acknowledged, so that an outage is not spent reading
		// the same batches; what the sender has in hand is offered again as it is.
		if w.moved && w.mayRewind() {
			w.rewind()
			return nil
		}
	}
}

// maxRewinds is how often the same batches are published again: a bus that fails
// after every few batches must not keep the sender in the same 10 s for ever.
const maxRewinds = 3

func (w *sender) mayRewind() bool {
	if w.s.sentMark() > w.resent {
		w.rewinds = 0
	}
	w.rewinds++
	return w.rewinds <= maxRewinds
}

// rewind goes back to the oldest batch of the last 10 s.
func (w *sender) rewind() {
	w.s.mu.Lock()
	w.cursor, w.resent = w.s.sent, w.s.sent
	if from := w.s.marks.from(); from <= w.cursor {
		w.cursor = from - 1
	}
	w.s.mu.Unlock()
	w.reader.reset()
	w.moved = false
}

func (w *sender) succeeded() {
	if w.failures > 0 {
		w.s.log.Info("sending works again", "after", time.Since(w.since).Round(time.Millisecond), "failures", w.failures)
	}
	w.moved, w.failures = true, 0
	w.pause.Reset()
}

// told handles the bus's answer for n batches that it accepted.
func (w *sender) told(n int, err error) {
	partly := errors.Is(err, bus.ErrNotAllWritten)
	if partly {
		w.s.metrics.partly.Add(float64(n))
	}
	if partly != w.partly {
		w.partly = partly
		if partly {
			w.s.log.Warn("the bus takes batches without some of their samples, which are lost; until this ends it is counted, not logged", "err", err)
		} else {
			w.s.log.Info("the bus takes batches whole again")
		}
	}
}

// failed notes an error and waits before the next attempt. It returns false when
// ctx has ended.
func (w *sender) failed(ctx context.Context, seq uint64, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	if w.failures == 0 {
		w.since = time.Now()
		w.s.log.Warn("cannot send; what is measured is kept in the spool and sent later", "seq", seq, "err", err)
	}
	w.failures++
	w.s.metrics.publishFailures.Inc()
	return w.pause.Wait(ctx)
}

// gather returns the next batches to publish as one, or none when all that was
// appended was sent. Errors are of the file system.
func (w *sender) gather() ([]entry, error) {
	limit := maxMergeBatches
	if w.cursor < w.alone {
		limit = 1
	}
	g := gathering{after: w.cursor, limit: limit}
	s := w.s
	for {
		s.mu.Lock()
		newest, written, from := s.newest, s.written, s.tail.from
		if w.cursor+1 >= from {
			for _, e := range s.tail.after(w.cursor) {
				if !g.take(e) {
					break
				}
			}
			s.mu.Unlock()
			return g.entries, nil
		}
		s.mu.Unlock()
		cursor := w.cursor
		for {
			e, err := w.reader.next(cursor, written)
			if err != nil && len(g.entries) == 0 {
				return nil, err
			}
			if err != nil || e == nil || !g.take(*e) {
				break
			}
			cursor, w.reader.ahead = e.seq, nil
		}
		if len(g.entries) > 0 {
			return g.entries, nil
		}
		// Neither the log nor the tail has anything in between: it was dropped, or
		// the disk did not take it and it was sent from memory.
		w.cursor = max(w.cursor, min(newest, from-1))
	}
}

// withDropped returns b with what its source has given up right before it: what
// lies between it and the newest batch that the bus took.
func (s *Spool) withDropped(b *bus.Batch) *bus.Batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.First() <= s.given+1 {
		return b
	}
	told := *b // b is shared
	told.Dropped, told.DroppedAfter = b.First()-s.given-1, s.givenTime
	return &told
}

// gave notes that the bus took the batch of h.
func (s *Spool) gave(h header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.seq > s.given {
		s.given, s.givenTime = h.seq, h.time
	}
}

// acknowledge moves the sent mark behind entries.
func (s *Spool) acknowledge(entries []entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range entries {
		s.marks.add(e.header)
	}
	s.sent = max(s.sent, entries[len(entries)-1].seq)
	s.tail.forget(min(s.sent+1, s.marks.from()))
}

// caughtUp ends an episode of dropping.
func (s *Spool) caughtUp(cursor uint64) {
	s.mu.Lock()
	n := s.episode
	if cursor < s.newest {
		n = 0 // something came meanwhile
	} else {
		s.sent = max(s.sent, cursor)
		s.episode = 0
	}
	s.mu.Unlock()
	if n > 0 {
		s.log.Warn("everything that is left was sent; the batches dropped meanwhile are a gap", "dropped", n)
	}
}
