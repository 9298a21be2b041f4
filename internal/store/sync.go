package store

import (
	"errors"
	"fmt"
	"os"

	"github.com/prometheus/prometheus/tsdb/fileutil"
	"github.com/prometheus/prometheus/tsdb/wlog"
)

// logSync makes what was written to a write log durable. tsdb has no way to ask for that;
// so the segments are fsynced through descriptors of their own. wlog syncs a segment when it
// begins the next one, but in the background. Only the committing goroutine uses a logSync.
type logSync struct {
	dir  string
	file *os.File // the newest segment that was synced; nil: none yet
	next int      // the number of the one after it
}

// sync returns when everything that was written to the log before the call is on the disk.
func (s *logSync) sync() error {
	_, last, err := wlog.Segments(s.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil // there is no such log
	}
	if err == nil && s.file != nil {
		err = s.file.Sync()
	}
	for i := s.next; err == nil && i <= last; i++ {
		if err = s.open(i); errors.Is(err, os.ErrNotExist) {
			err = nil // its samples are in a block
			continue
		}
		if err == nil {
			err = s.file.Sync()
		}
	}
	if err != nil {
		return fmt.Errorf("sync %s: %w", s.dir, err)
	}
	return nil
}

// open takes up a segment, and makes its name durable.
func (s *logSync) open(i int) error {
	f, err := os.OpenFile(wlog.SegmentName(s.dir, i), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	d, err := fileutil.OpenDir(s.dir)
	if err == nil {
		err = errors.Join(d.Sync(), d.Close())
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	err = s.close()
	s.file, s.next = f, i+1
	return err
}

func (s *logSync) close() error {
	if s.file == nil {
		return nil
	}
	f := s.file
	s.file = nil
	return f.Close()
}
