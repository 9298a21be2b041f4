package spool

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/tsdb/fileutil"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"

	"stripchart/internal/wlogpage"
)

const pageSize = wlogpage.Size

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
	if damaged, err = fillHoles(s.logDir); err != nil {
		return false, fmt.Errorf("read spool: %w", err)
	}
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
		holes, err := salvage(g.name(s.logDir))
		if err != nil {
			return false, fmt.Errorf("read spool: %w", err)
		}
		damaged = damaged || holes > 0
		if holes > 0 {
			s.log.Warn("a segment of the spool was damaged; batches in it that cannot be read are lost, and servers declare a gap",
				"segment", g.name(s.logDir), "places", holes)
		}
		err = s.mend(&g, math.MaxUint64, func(h header) {
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
	// Each start makes a segment. Empty segments at the end, of starts that wrote nothing,
	// are deleted, or their number would grow.
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

// fillHoles makes empty segments where some are missing between two others, which wlog
// refuses, and reports whether there were any.
func fillHoles(dir string) (holes bool, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false, err
	}
	var there []int
	for _, e := range entries {
		if i, err := strconv.Atoi(e.Name()); err == nil {
			there = append(there, i)
		}
	}
	slices.Sort(there)
	for k := 1; k < len(there); k++ {
		if there[k]-there[k-1] > maxHole {
			return false, fmt.Errorf("segments %d to %d are missing in %s", there[k-1]+1, there[k]-1, dir)
		}
		for i := there[k-1] + 1; i < there[k]; i++ {
			holes = true
			if err := os.WriteFile(wlog.SegmentName(dir, i), nil, 0o666); err != nil {
				return false, err
			}
		}
	}
	return holes, nil
}

// maxHole is far more segments than a spool has.
const maxHole = 10_000

// salvage writes a damaged segment anew, with the records that can be read, and returns
// in how many places some could not. A segment that ends in an unfinished record is not
// damaged.
func salvage(name string) (holes int, err error) {
	b, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil // one of those between the first and the last
	}
	if err != nil {
		return 0, err
	}
	last := uint64(0)
	found := wlogpage.Scan(b, func(rec []byte) bool {
		h, _, err := parseRecord(rec)
		if err != nil || h.first() <= last {
			return false
		}
		last = h.seq
		return true
	}, nil)
	if found.Holes == 0 {
		return 0, nil
	}
	tmp := filepath.Dir(name) + ".rebuild"
	if err := os.RemoveAll(tmp); err != nil {
		return 0, err
	}
	to, err := wlog.NewSize(slog.New(slog.DiscardHandler), nil, tmp, (len(b)/pageSize+2)*pageSize, compression.None)
	if err != nil {
		return 0, err
	}
	last = 0
	wlogpage.Scan(b, func(rec []byte) bool {
		h, _, perr := parseRecord(rec)
		if perr != nil || h.first() <= last {
			return false
		}
		last = h.seq
		if err == nil {
			err = to.Log(rec)
		}
		return true
	}, nil)
	if err = errors.Join(err, to.Close()); err != nil {
		return 0, err
	}
	if err := fileutil.Replace(wlog.SegmentName(tmp, 0), name); err != nil {
		return 0, err
	}
	return found.Holes, os.RemoveAll(tmp)
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

// prune deletes the oldest segments: the segments whose batches need not be sent again, and
// the segments that exceed the bounds once need more bytes are written. It needs logMu.
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
		// The saved mark counts: after a start, what is deleted behind it would look dropped.
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
