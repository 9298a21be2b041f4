package store

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/prometheus/prometheus/tsdb/fileutil"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"

	"stripchart/internal/wlogpage"
)

// Repair says that something of the database was damaged when it was opened. Where there is
// another log, the bus's, all that it retains should be read again.
type Repair struct {
	// Torn tells that nothing was lost but a write that a kill cut off, at the end of a
	// log. It had not been acknowledged.
	Torn bool
}

// rewrite writes what keep leaves of a segment's records into a log of one segment beside
// its log, and moves that segment into its place: a kill meanwhile does no harm.
func rewrite(name string, keep func(rec []byte) []byte) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	tmp := filepath.Dir(name) + ".rebuild"
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	// It can only become shorter; a larger segment size makes sure of one.
	size := max(2*walSegmentSize, (2*len(b)/wlogpage.Size+2)*wlogpage.Size)
	to, err := wlog.NewSize(slog.New(slog.DiscardHandler), nil, tmp, size, compression.Snappy)
	if err != nil {
		return err
	}
	wlogpage.Scan(b, func(rec []byte) bool {
		if !decodable(rec) {
			return false
		}
		if kept := keep(rec); kept != nil && err == nil {
			err = to.Log(kept)
		}
		return true
	}, nil)
	if err = errors.Join(err, to.Close()); err != nil {
		return err
	}
	if err := fileutil.Replace(wlog.SegmentName(tmp, 0), name); err != nil {
		return err
	}
	return os.RemoveAll(tmp)
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
