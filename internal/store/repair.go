package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/wlog"
)

// Repair says what was wrong with the database's write logs when it was opened,
// and what that cost. Where there is another log, the bus's, all that it
// retains should be read again.
type Repair struct {
	// Bytes of the logs, at most, that could not be read and were dropped. A
	// sample takes about 2 to 10.
	Bytes int64
	// Torn tells that the damage is the end of a log, and nothing follows it:
	// that is what a write leaves that a kill or a power loss cut off. Cut off
	// by a kill, it had not been acknowledged.
	Torn bool
	// Err is what could not be read.
	Err error
}

// warn writes the one line that a user sees.
func (r *Repair) warn(l *slog.Logger, dir string) {
	msg := "the store's log was damaged; it has been repaired, without what could not be read"
	if r.Torn {
		msg = "the store's log ended in a write that was cut off; that has been dropped"
	}
	l.Warn(msg, "dir", dir, "bytes_lost", r.Bytes, "err", r.Err)
}

// repairLogs reads the write logs below dir, the database's directory, and cuts
// each of their segments off where it cannot be read. It returns nil when
// there was nothing to repair.
//
// tsdb has a repair of its own, but it is for one log and one opening: behind
// damage in the WAL it drops every later segment and does not read the log of
// late samples, whose chunks it then takes for present at the next start; at
// damage in a checkpoint it deletes the log and fails at every start. So the
// logs are whole before it sees them. Reading them twice is cheap against
// tsdb's reading, which also builds the head.
func repairLogs(dir string) (*Repair, error) {
	wal := filepath.Join(dir, "wal")
	logs := []string{wal, lateLog(dir)}
	checkpoint, _, err := wlog.LastCheckpoint(wal)
	switch {
	case err == nil:
		logs = append(logs, checkpoint)
	case !errors.Is(err, record.ErrNotFound) && !errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("find checkpoint: %w", err)
	}
	var sum *Repair
	for _, log := range logs {
		found, err := repairLog(log)
		if err != nil {
			return nil, fmt.Errorf("repair %s: %w", log, err)
		}
		switch {
		case found == nil:
		case sum == nil:
			sum = found
		default:
			sum = &Repair{Bytes: sum.Bytes + found.Bytes, Torn: sum.Torn && found.Torn, Err: errors.Join(sum.Err, found.Err)}
		}
	}
	return sum, nil
}

// repairLog cuts the segments of one log; records do not cross from one to the
// next. What follows in later segments is kept: samples stand for themselves,
// and tsdb leaves out those whose series it does not know.
func repairLog(dir string) (*Repair, error) {
	first, last, err := wlog.Segments(dir)
	if errors.Is(err, os.ErrNotExist) || last < 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var sum *Repair
	for i := first; i <= last; i++ {
		name := wlog.SegmentName(dir, i)
		s, err := scanSegment(name)
		if err != nil {
			return nil, err
		}
		if sum != nil && s.size > 0 {
			sum.Torn = false // something follows the damage before
		}
		if s.damage == nil {
			continue
		}
		if err := cut(name, s.readable); err != nil {
			return nil, err
		}
		if sum == nil {
			sum = &Repair{Torn: s.torn}
		}
		sum.Bytes += s.size - s.readable
		sum.Err = errors.Join(sum.Err, s.damage)
	}
	return sum, nil
}

// segment is what scanSegment found: the bytes up to readable are whole records.
type segment struct {
	size, readable int64
	damage         error // nil: all of it is readable
	torn           bool  // nothing follows the damage
}

func scanSegment(name string) (segment, error) {
	info, err := os.Stat(name)
	if err != nil {
		return segment{}, err
	}
	f, err := wlog.OpenReadSegment(name)
	if err != nil {
		return segment{}, err
	}
	buf := wlog.NewSegmentBufReader(f)
	defer buf.Close()
	s := segment{size: info.Size()}
	r := wlog.NewReader(buf)
	for r.Next() {
		s.readable = r.Offset()
	}
	if s.damage = r.Err(); s.damage != nil {
		s.torn = r.Offset() >= s.size
	}
	return s, nil
}

// cut shortens a file, for good.
func cut(name string, size int64) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	err = f.Truncate(size)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
