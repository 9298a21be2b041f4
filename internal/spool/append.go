package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"

	"stripchart/internal/bus"
)

// Append writes b to the log, and Run publishes it from there. The spool owns b from the call
// on, also after an error: the caller must not change b, and may append it again. b has the
// Source of the spool and the sequence number NextSeq, or a higher one: servers declare a gap
// for numbers that are left out. A number is never used for two batches: after an error the
// caller appends the same batch again or leaves its number out.
//
// Append returns nil when the batch was written, and ErrHeld when it is only in memory and
// published from there. It returns ErrNotWritten, bus.ErrTooLarge, ErrSequence or ErrClosed,
// wrapped, when the spool does not have the batch. It waits for the disk only. It may be
// called concurrently, but a source's batches have an order only if one goroutine appends.
func (s *Spool) Append(ctx context.Context, b *bus.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e := entry{header: headerOf(b), batch: b, size: b.Size(), samples: b.Samples()}
	rec := appendRecord(nil, e.header, s.o.Encode(b))
	s.logMu.Lock()
	defer s.logMu.Unlock()
	s.mu.Lock()
	newest, reserved, done := s.newest, s.state.Reserved, s.done
	s.mu.Unlock()
	switch {
	case done:
		return ErrClosed
	case b.Source != s.source:
		return fmt.Errorf("batch of source %q in the spool of %q", b.Source, s.source)
	case b.Merged >= b.Seq || b.First() <= newest:
		return fmt.Errorf("%w: batch %d with %d merged, but %d was the last", ErrSequence, b.Seq, b.Merged, newest)
	case int64(len(rec)) > s.maxRecord():
		return fmt.Errorf("%w: %d bytes, the spool takes %d at once", bus.ErrTooLarge, len(rec), s.maxRecord())
	}
	err := s.catchUp()
	// A number is used only when source.json has it reserved, durably.
	if err == nil && e.seq > reserved {
		err = s.save(0, e.seq+reserveBlock, false)
	}
	if err == nil {
		err = s.put(e.header, rec, s.o.Sync)
	}
	if err != nil {
		s.metrics.failures.Inc()
		return s.hold(e, err)
	}
	s.take(e)
	return nil
}

// take makes e the newest batch. It needs logMu.
func (s *Spool) take(e entry) {
	s.mu.Lock()
	s.newest = e.seq
	s.tail.push(e)
	low := s.state.Reserved < s.newest+reserveBlock/2
	s.mu.Unlock()
	if low {
		nudge(s.kick)
	}
	nudge(s.wake)
}

// put writes a record to the log, fsyncs it when it shall be durable, and counts it in.
// It needs logMu, and catchUp before it.
func (s *Spool) put(h header, rec []byte, durable bool) error {
	need := sizeInLog(len(rec)) + pageSize // the page that a segment's end fills up
	s.mu.Lock()
	full := s.bytes()+need > s.o.MaxBytes
	s.mu.Unlock()
	if full {
		s.prune(need)
	}
	err := s.write(h, rec)
	if err == nil {
		s.mu.Lock()
		s.unsynced = true
		s.mu.Unlock()
		if durable {
			err = s.sync()
			// How much of the record is on the disk is unknown, so it is cut off like half a record.
			s.bad = err != nil
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.takes = time.Time{}
		return err
	}
	s.segs[len(s.segs)-1].add(h, sizeInLog(len(rec)))
	s.written = h.seq
	if s.takes.IsZero() && !s.heldFrom.IsZero() {
		s.takes = time.Now()
	}
	s.metrics.appended.Inc()
	return nil
}

// maxRecord bounds a record, so that the bound of the whole can be kept.
func (s *Spool) maxRecord() int64 { return s.o.MaxBytes / 4 }

// sizeInLog is about how many bytes a record of n bytes takes.
func sizeInLog(n int) int64 { return int64(n + 7*(n/pageSize+1)) }

// write puts a record into the log. It needs logMu.
//
// After a failed write wlog goes on as if nothing had happened, with half a record in its
// page, and the records behind it could not be read. So before the next write the log is
// closed, the half record is cut off, and a new segment is begun.
func (s *Spool) write(h header, rec []byte) error {
	if s.wl == nil {
		if err := s.openLog(); err != nil {
			return err
		}
	}
	// Segments are ended here, not by wlog, so that it is known what each holds.
	s.mu.Lock()
	g := s.segs[len(s.segs)-1]
	s.mu.Unlock()
	aged := h.time-g.oldest > (s.o.MaxAge / segments).Milliseconds()
	if g.records > 0 && (g.bytes+sizeInLog(len(rec)) > s.segSize || aged) {
		i, err := s.wl.NextSegment()
		if err != nil {
			s.bad = true
			return err
		}
		s.begin(i)
	}
	if err := s.wl.Log(rec); err != nil {
		s.bad = true
		return err
	}
	return nil
}

// openLog makes the writing end, on a segment of its own. It needs logMu.
func (s *Spool) openLog() error {
	// wlog never reaches its own end of a segment.
	limit := (s.segSize + 2*s.maxRecord() + pageSize) / pageSize * pageSize
	wl, err := wlog.NewSize(s.log, nil, s.logDir, int(limit), compression.None)
	if err != nil {
		return err
	}
	_, last, err := wlog.Segments(s.logDir)
	if err != nil {
		return errors.Join(err, wl.Close())
	}
	s.wl = wl
	s.begin(last)
	return nil
}

// begin notes that segment i is the active one.
func (s *Spool) begin(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segs = append(s.segs, segment{index: i})
	s.newFile = true
}

// closeLog ends the writing end. It needs logMu.
func (s *Spool) closeLog() error {
	if s.bad {
		return s.mendLog()
	}
	if s.wl == nil {
		return nil
	}
	if err := s.wl.Close(); err != nil {
		s.bad = true
		return fmt.Errorf("close spool: %w", err)
	}
	s.wl = nil
	return nil
}

// mendLog closes a log of which a write failed, and takes back what that write
// left. It returns an error, and is to be called again, until there is room for
// the rest of wlog's page, which its Close writes. It needs logMu.
func (s *Spool) mendLog() error {
	if s.wl != nil {
		if err := s.wl.Close(); err != nil {
			return err
		}
		s.wl = nil
	}
	// Close may have completed the record whose Append failed. It was not
	// acknowledged and its caller appends it again: it goes, too.
	s.mu.Lock()
	g, written := s.segs[len(s.segs)-1], s.written
	s.mu.Unlock()
	err := s.mend(&g, written, func(header) {})
	if err != nil && !errors.Is(err, errUnfinished) && !errors.Is(err, errDamaged) {
		return err
	}
	_, last, err := wlog.Segments(s.logDir)
	if err != nil {
		return err
	}
	// NextSegment can fail after it made the file.
	for ; last > g.index; last-- {
		if err := os.Remove(wlog.SegmentName(s.logDir, last)); err != nil {
			return err
		}
	}
	if g.records == 0 {
		if err := os.Remove(g.name(s.logDir)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	s.mu.Lock()
	if g.records == 0 {
		s.segs = s.segs[:len(s.segs)-1]
	} else {
		s.segs[len(s.segs)-1] = g
	}
	s.mu.Unlock()
	s.bad = false
	return nil
}
