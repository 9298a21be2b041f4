package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"stripchart/internal/datadir"
)

const (
	spareName = "spare"
	// spareSize is more than the database writes while it opens, beyond the head chunks, for
	// which those of before give their room back.
	spareSize = 1 << 20
)

// takeSpare deletes the spare file if there is little room. So after a kill on a full disk
// the database can be opened and read, and pages are live. Without the room, a write of
// tsdb's would fail in a goroutine of its own and end the process.
func takeSpare(dir string) error {
	if free, err := freeSpace(dir); err != nil || free >= 2*spareSize {
		return nil
	}
	if err := os.Remove(filepath.Join(dir, spareName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("make room: %w", err)
	}
	return nil
}

// layInSpare makes the spare file if there is room. Without a spare file only a start on a
// full disk is refused.
func layInSpare(dir string) error {
	name := filepath.Join(dir, spareName)
	if info, err := os.Stat(name); err == nil && info.Size() == spareSize {
		return nil
	}
	if free, err := freeSpace(dir); err != nil || free < 4*spareSize {
		return nil
	}
	return datadir.Replace(name, bytes.Repeat([]byte{' '}, spareSize))
}

// roomToOpen returns an error that wraps ErrDiskFull when tsdb could not write the head
// chunks again that were removed, of so many bytes.
func roomToOpen(dir string, removed int64) error {
	need := removed + spareSize/2
	if free, err := freeSpace(dir); err == nil && free < need {
		return fmt.Errorf("%w: %d KiB free at %s, %d KiB are needed to open the history; make room and start again", ErrDiskFull, free>>10, dir, need>>10)
	}
	return nil
}
