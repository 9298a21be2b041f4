package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"
)

// Repair says what was wrong with the database's write logs when it was
// opened, and what that cost. Where there is another log, the bus's, all that
// it retains should be read again.
type Repair struct {
	// Bytes of the logs, at most, that could not be read and were dropped. A
	// sample takes about 2 to 10.
	Bytes int64
	// Segments is how many whole files behind the damage were among them.
	Segments int
	// Torn tells that nothing followed the damage: a write that was cut off by
	// a kill or by power loss looks like this. Cut off by a kill, it had not
	// been acknowledged.
	Torn bool
	// Err is what could not be read.
	Err error

	log bool // damage in a log, not only in files that are rebuilt from it
}

// plus joins two findings of one start; either may be nil.
func (r *Repair) plus(o *Repair) *Repair {
	if r == nil || o == nil {
		if r == nil {
			return o
		}
		return r
	}
	return &Repair{
		Bytes:    r.Bytes + o.Bytes,
		Segments: r.Segments + o.Segments,
		Torn:     r.Torn && o.Torn,
		Err:      errors.Join(r.Err, o.Err),
		log:      r.log || o.log,
	}
}

// warn writes the one line that a user sees.
func (r *Repair) warn(l *slog.Logger, dir string) {
	msg := "the store's log was damaged and has been repaired; what was behind the damage is lost"
	switch {
	case !r.log:
		msg = "files of the store were damaged and have been rebuilt from its log; nothing is lost"
	case r.Torn:
		msg = "the store's log ended in a write that was cut off; it has been dropped"
	}
	l.Warn(msg, "dir", dir, "bytes_lost", r.Bytes, "segments_lost", r.Segments, "err", r.Err)
}

// The two write logs below the database's directory: of all samples, and once
// more of late ones.
const (
	walDir = "wal"
	wblDir = wlog.WblDirName
)

// segmentKey names a segment file of a log.
type segmentKey struct {
	log   string
	index int
}

// logSizes returns the size of each segment of both logs. What cannot be read
// is left out: tsdb will say so.
func logSizes(dir string) map[segmentKey]int64 {
	sizes := map[segmentKey]int64{}
	for _, log := range []string{walDir, wblDir} {
		entries, err := os.ReadDir(filepath.Join(dir, log))
		if err != nil {
			continue
		}
		for _, e := range entries {
			index, err := strconv.Atoi(e.Name())
			if err != nil {
				continue
			}
			if info, err := e.Info(); err == nil {
				sizes[segmentKey{log, index}] = info.Size()
			}
		}
	}
	return sizes
}

// damage says what tsdb repaired while it opened dir, nil when nothing. before
// is logSizes before that.
func (h *heldRecords) damage(dir string, before map[segmentKey]int64) *Repair {
	h.mu.Lock()
	defer h.mu.Unlock()
	var sum *Repair
	for _, c := range h.chunks {
		sum = sum.plus(&Repair{Err: c})
	}
	for _, d := range h.logs {
		found := &Repair{Err: d.err, log: true, Torn: true}
		for k, size := range before {
			switch {
			case k.log != d.log || k.index < d.err.Segment || size == 0:
			case k.index == d.err.Segment:
				found.Bytes += max(0, size-readable(filepath.Join(dir, k.log), k.index))
				found.Torn = found.Torn && d.err.Offset >= size
			default:
				found.Bytes += size
				found.Segments++
				found.Torn = false
			}
		}
		sum = sum.plus(found)
	}
	return sum
}

// readable returns up to which byte a segment holds whole records.
func readable(dir string, index int) int64 {
	s, err := wlog.OpenReadSegment(wlog.SegmentName(dir, index))
	if err != nil {
		return 0
	}
	sr := wlog.NewSegmentBufReader(s)
	defer sr.Close()
	var end int64
	for r := wlog.NewReader(sr); r.Next(); {
		end = r.Offset()
	}
	return end
}

// salvageCheckpoint rewrites the WAL's checkpoint up to where it can be read,
// if it is damaged. tsdb does not: it takes the place of the damage for one in
// the log, deletes segments of that, and then fails at this and at every
// further start.
func salvageCheckpoint(wal string, l *slog.Logger) (*Repair, error) {
	dir, _, err := wlog.LastCheckpoint(wal)
	if errors.Is(err, record.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find checkpoint: %w", err)
	}
	damage, err := copyRecords(dir, nil)
	if damage == nil || err != nil {
		return nil, err
	}
	tmp := dir + ".tmp" // tsdb removes what a crash leaves under this name
	if err := os.RemoveAll(tmp); err != nil {
		return nil, err
	}
	to, err := wlog.New(slog.New(slog.DiscardHandler), nil, tmp, compression.Snappy)
	if err != nil {
		return nil, err
	}
	_, err = copyRecords(dir, to)
	if err = errors.Join(err, to.Close()); err != nil {
		return nil, fmt.Errorf("repair checkpoint: %w", err)
	}
	before, after := dirSize(dir), dirSize(tmp)
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return nil, err
	}
	l.Debug("checkpoint repaired", "dir", dir, "err", damage)
	return &Repair{Bytes: max(0, before-after), Err: damage, log: true}, nil
}

// copyRecords reads a log and appends its records to another, if given, up to
// the damage, which it returns.
func copyRecords(dir string, to *wlog.WL) (damage *wlog.CorruptionErr, err error) {
	sr, err := wlog.NewSegmentsReader(dir)
	if err != nil {
		return nil, err
	}
	defer sr.Close()
	r := wlog.NewReader(sr)
	for r.Next() {
		if to == nil {
			continue
		}
		if err := to.Log(r.Record()); err != nil {
			return nil, err
		}
	}
	if err := r.Err(); err != nil && !errors.As(err, &damage) {
		return nil, err
	}
	return damage, nil
}

// logOf tells in which log the damage is. tsdb leaves the directory out where a
// record was read but made no sense.
func logOf(c *wlog.CorruptionErr, message string) string {
	if filepath.Base(c.Dir) == wblDir || c.Dir == "" && strings.Contains(message, "WBL") {
		return wblDir
	}
	return walDir
}
