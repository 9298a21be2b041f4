package spool

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"slices"
	"time"

	"github.com/prometheus/prometheus/tsdb/wlog"
)

// pageSize is wlog's.
const pageSize = 32 << 10

// segment is what is known of a segment file of the log.
type segment struct {
	index   int
	first   uint64 // of the sequence numbers in it; 0 without records
	last    uint64
	records uint64
	oldest  int64 // time of its first record; Unix ms
	newest  int64 // the greatest time of a record
	bytes   int64 // about, while it is active
}

func (g *segment) name(dir string) string { return wlog.SegmentName(dir, g.index) }

// add counts a record in.
func (g *segment) add(h header, bytes int64) {
	if g.records == 0 {
		g.first, g.oldest, g.newest = h.first(), h.time, h.time
	}
	g.records++
	g.last, g.newest = h.seq, max(g.newest, h.time)
	g.bytes += bytes
}

// unsent returns how many of the segment's batches are not acknowledged.
func (g *segment) unsent(sent uint64) uint64 {
	if g.last <= sent {
		return 0
	}
	return min(g.last-sent, g.last-g.first+1)
}

// segmentReader reads the records of one segment, also of one that is being
// written.
type segmentReader struct {
	file *os.File
	live *wlog.LiveReader
	err  error // of the file, as opposed to its contents
}

func openSegment(name string, metrics *wlog.LiveReaderMetrics) (*segmentReader, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	r := &segmentReader{file: f}
	r.live = wlog.NewLiveReader(slog.New(slog.DiscardHandler), metrics, r)
	return r, nil
}

// Read is for the LiveReader.
func (r *segmentReader) Read(b []byte) (int, error) {
	n, err := r.file.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// next returns the next record, whose body is valid until the next call. The
// error is io.EOF at the end of what is written, wraps errDamaged where the
// contents make no sense, and is the file's otherwise.
func (r *segmentReader) next() (header, []byte, error) {
	if !r.live.Next() {
		err := r.live.Err()
		switch {
		case r.err != nil:
			return header{}, nil, r.err
		case errors.Is(err, io.EOF):
			return header{}, nil, io.EOF
		}
		return header{}, nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	h, body, err := parseRecord(r.live.Record())
	if err != nil {
		return header{}, nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return h, body, nil
}

func (r *segmentReader) close() error { return r.file.Close() }

var errDamaged = errors.New("segment is damaged")

// scan reads the whole log and mends it: s.segs, s.newest and s.marks follow.
// It reports whether records may be gone that had been written: an unfinished
// record at the log's end does not mean that, because its Append never returned.
func (s *Spool) scan() (damaged bool, err error) {
	first, last, err := wlog.Segments(s.logDir)
	if err != nil {
		return false, fmt.Errorf("read spool in %s: %w; move its directory log away to begin with an empty one", s.logDir, err)
	}
	if last < 0 {
		return false, nil
	}
	type wound struct {
		at  int // in s.segs
		err error
	}
	var wounds []wound
	for i := first; i <= last; i++ {
		g := segment{index: i}
		err := s.mend(&g, math.MaxUint64, func(h header) {
			if h.seq <= s.sent {
				s.marks.add(h)
			}
		})
		switch {
		case errors.Is(err, errDamaged) || errors.Is(err, errUnfinished):
			s.log.Warn("cut off the damaged end of a segment of the spool", "segment", g.name(s.logDir),
				"batches_kept", g.records, "last_kept", g.last, "err", err)
			wounds = append(wounds, wound{len(s.segs), err})
		case err != nil:
			return false, fmt.Errorf("read spool: %w", err)
		}
		s.newest = max(s.newest, g.last)
		s.segs = append(s.segs, g)
	}
	// Those at the end without a record are of starts that wrote nothing. They go,
	// because every start makes another one.
	for n := len(s.segs); n > 0 && s.segs[n-1].records == 0; n-- {
		if err := os.Remove(s.segs[n-1].name(s.logDir)); err != nil {
			return false, fmt.Errorf("tidy up spool: %w", err)
		}
		s.segs = s.segs[:n-1]
	}
	for _, w := range wounds {
		damaged = damaged || errors.Is(w.err, errDamaged) || w.at < len(s.segs)-1
	}
	return damaged, nil
}

var errUnfinished = errors.New("last record is unfinished")

// mend reads segment g from its file, fills g in, and cuts off what follows the
// last good record that is not above upto. That something was cut is returned as
// an error that wraps errUnfinished (the file ends within a record, or above upto)
// or errDamaged.
func (s *Spool) mend(g *segment, upto uint64, each func(header)) error {
	name := g.name(s.logDir)
	r, err := openSegment(name, wlog.NewLiveReaderMetrics(nil))
	if err != nil {
		return err
	}
	defer r.close()
	var good int64 // bytes up to the end of the last good record
	var h header
	*g = segment{index: g.index}
	for {
		if h, _, err = r.next(); err != nil {
			break
		}
		if h.seq > upto {
			err = errUnfinished
			break
		}
		good = r.live.Offset()
		g.add(h, 0)
		each(h)
	}
	info, statErr := r.file.Stat()
	if statErr != nil {
		return statErr
	}
	g.bytes = info.Size()
	if errors.Is(err, io.EOF) {
		// The rest of the last page may be zeros.
		if rest, err := onlyZeros(io.NewSectionReader(r.file, good, g.bytes-good)); err != nil || rest {
			return err
		}
		err = errUnfinished
	}
	if !errors.Is(err, errDamaged) && !errors.Is(err, errUnfinished) {
		return err
	}
	err = fmt.Errorf("%w: %d of %d bytes", err, g.bytes-good, g.bytes)
	if cutErr := os.Truncate(name, good); cutErr != nil {
		return fmt.Errorf("mend spool: %w", cutErr)
	}
	g.bytes = good
	return err
}

// onlyZeros reports whether r has nothing but zero bytes.
func onlyZeros(r io.Reader) (bool, error) {
	buf := make([]byte, pageSize)
	for {
		n, err := r.Read(buf)
		for _, c := range buf[:n] {
			if c != 0 {
				return false, nil
			}
		}
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// prune deletes the oldest segments: those that nobody needs any more, and those
// that exceed the bounds when need bytes are going to be written. It needs logMu.
func (s *Spool) prune(need int64) {
	tooOld := time.Now().Add(-s.o.MaxAge).UnixMilli()
	for {
		s.mu.Lock()
		if len(s.segs) == 0 {
			s.mu.Unlock()
			return
		}
		g := s.segs[0]
		total := s.bytes() + need
		// By what is saved: what goes before looks dropped to the next life.
		acked := g.last <= s.state.Sent && g.last < s.marks.from()
		reason := ""
		switch {
		case acked || g.records == 0:
		case g.newest < tooOld:
			reason = "age"
		case total > s.o.MaxBytes:
			reason = "bytes"
		default:
			s.mu.Unlock()
			return
		}
		// The last one may be written to. And the newest number must be found in the
		// log or in source.json at every moment: see load.
		active := len(s.segs) == 1 && (s.wl != nil || s.bad)
		later := slices.ContainsFunc(s.segs[1:], func(g segment) bool { return g.records > 0 })
		if active || !later && g.last > s.state.Newest {
			s.mu.Unlock()
			return
		}
		lost := g.unsent(s.sent)
		s.segs = s.segs[1:]
		if lost > 0 {
			s.tail.forget(g.last + 1) // what is counted as dropped is not sent
			if s.givenTime == 0 {
				s.givenTime = g.oldest - 1
			}
		}
		s.mu.Unlock()
		if err := os.Remove(g.name(s.logDir)); err != nil && !errors.Is(err, os.ErrNotExist) {
			s.log.Error("cannot delete a segment of the spool; delete it by hand while the collector is stopped", "err", err)
		}
		if lost > 0 {
			s.drop(lost, reason, "first", max(g.first, s.sentMark()+1), "last", g.last)
		}
	}
}

// bytes returns the size of the log. It needs mu.
func (s *Spool) bytes() (n int64) {
	for i := range s.segs {
		n += s.segs[i].bytes
	}
	return n
}

func (s *Spool) sentMark() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent
}

// drop counts batches that will not be sent, and logs the first of an episode,
// which lasts until the sender has caught up.
func (s *Spool) drop(n uint64, reason string, details ...any) {
	s.metrics.dropped.WithLabelValues(reason).Add(float64(n))
	s.mu.Lock()
	s.dropped += n
	begins := s.episode == 0
	s.episode += n
	s.mu.Unlock()
	if begins {
		s.log.Error("dropped batches that were not sent; servers will show a gap. See that the bus can be reached, or give the spool more room",
			append([]any{"reason", reason, "batches", n, "max_bytes", s.o.MaxBytes, "max_age", s.o.MaxAge}, details...)...)
	}
}
