package store

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"stripchart/internal/datadir"
)

// Note is a small file that stands beside the database and belongs to what is in
// it: it is backed up and removed together with it. What it says is its writer's
// business.
//
// On disk a note is a line with the checksum of what follows, and what follows. There
// are two copies, NAME and NAME.copy, so that damage to one file costs nothing. A note
// without the line was written in format 1; see formatVersion.
type Note string

const (
	// Progress is how far the log of batches was applied.
	Progress Note = "progress.json"
	// Gaps are the declared gaps.
	Gaps Note = "gaps.json"
	// blocks is what the database held; see contents.
	blocks Note = "blocks.json"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	copySuffix = ".copy"
	// brokenSuffix is added to the names of files and blocks that are set aside.
	brokenSuffix = ".broken"
)

// Keep replaces a note in one step: no reader and no crash sees half of it. Whenever the note
// is read again, the database has every sample that was appended before Keep, unless Intact
// returns false.
func (s *Store) Keep(n Note, b []byte) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return ErrClosed
	}
	return n.write(s.dir, b)
}

// Kept returns a note as it was kept last; nil when it never was, or is not legible.
func (s *Store) Kept(n Note) ([]byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, ErrClosed
	}
	b, illegible, err := n.read(s.dir, s.log)
	if illegible && n == Gaps {
		// They may have been any.
		s.contents.lost([]Loss{{To: time.Now().UnixMilli(), What: "the declared gaps are not legible"}})
	}
	return b, err
}

func (n Note) write(dir string, b []byte) error {
	if err := raiseVersion(dir); err != nil {
		return fmt.Errorf("keep %s: %w", n, err)
	}
	sealed := append(fmt.Appendf(nil, "crc32 %08x\n", crc32.Checksum(b, castagnoli)), b...)
	for _, suffix := range []string{"", copySuffix} {
		path := filepath.Join(dir, string(n)+suffix)
		if isDir(path) {
			if _, err := setAside(path); err != nil {
				return fmt.Errorf("keep %s: %w", n, err)
			}
		}
		if err := datadir.Replace(path, sealed); err != nil {
			return fmt.Errorf("keep %s: %w", n, err)
		}
	}
	return nil
}

// read returns the note in dir. What is not legible is set aside; illegible tells that
// there was a note, and that nothing of it is left.
func (n Note) read(dir string, log *slog.Logger) (b []byte, illegible bool, err error) {
	for _, suffix := range []string{"", copySuffix} {
		path := filepath.Join(dir, string(n)+suffix)
		b, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err == nil:
			if b, ok := unseal(b); ok {
				return b, false, nil
			}
			err = errors.New("its checksum is wrong")
		case !isDir(path):
			return nil, false, fmt.Errorf("read %s: %w", n, err)
		}
		illegible = true
		aside, aerr := setAside(path)
		if aerr != nil {
			return nil, false, aerr
		}
		log.Warn("a note of the store is damaged; it is set aside", "file", path, "set_aside", aside, "err", err)
	}
	return nil, illegible, nil
}

// unseal checks the first line and returns what follows it.
func unseal(b []byte) ([]byte, bool) {
	line, rest, found := bytes.Cut(b, []byte{'\n'})
	if found && string(line) == fmt.Sprintf("crc32 %08x", crc32.Checksum(rest, castagnoli)) {
		return rest, true
	}
	old := len(b) > 0 && (b[0] == '{' || b[0] == '[')
	return b, old
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// setAside gives a file or folder the suffix brokenSuffix, and returns its new name. What
// was set aside under that name before is removed.
func setAside(path string) (string, error) {
	aside := path + brokenSuffix
	if err := os.RemoveAll(aside); err != nil {
		return "", fmt.Errorf("set aside: %w", err)
	}
	if err := os.Rename(path, aside); err != nil {
		return "", fmt.Errorf("set aside: %w", err)
	}
	return aside, nil
}

// Intact reports whether everything that was ever appended is still there. It is
// not certain after a power loss, or when something was damaged: then samples that are
// in the log of batches are applied again.
func (s *Store) Intact() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.repair != nil && !s.repair.Torn {
		return false
	}
	return s.lock.Clean() && s.repair == nil || !s.lock.Clean() && !s.lock.Rebooted()
}
