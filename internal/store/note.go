package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Note is a small file that stands beside the database and belongs to what is in
// it: it is backed up and removed together with it. What it says is its writer's
// business.
type Note string

const (
	// Progress is how far the log of batches was applied.
	Progress Note = "progress.json"
	// Gaps are the declared gaps.
	Gaps Note = "gaps.json"
)

// Keep replaces a note, in one step: no reader and no crash sees half of it. What
// was appended before is in the database when the note is read again, unless
// Intact says otherwise.
func (s *Store) Keep(n Note, b []byte) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return ErrClosed
	}
	if err := writeFile(filepath.Join(s.dir, string(n)), b); err != nil {
		return fmt.Errorf("keep %s: %w", n, err)
	}
	return nil
}

// Kept returns a note as it was kept last; nil when it never was.
func (s *Store) Kept(n Note) ([]byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, ErrClosed
	}
	b, err := os.ReadFile(filepath.Join(s.dir, string(n)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// Intact reports whether everything that was ever appended is still there. It is
// not certain after a power loss, or when a damaged log had to be repaired: then
// samples that are in the log of batches are applied again.
func (s *Store) Intact() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.lock.clean {
		return s.repair == nil
	}
	return !s.lock.rebooted && (s.repair == nil || s.repair.Torn)
}
