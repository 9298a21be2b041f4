package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/prometheus/tsdb/fileutil"
)

const (
	stateName    = "source.json"
	stateVersion = 1
	// reserveBlock is how many sequence numbers are reserved ahead, and so the
	// most that a jump after a power loss skips.
	reserveBlock = 1000
	// saveEvery is how far the saved sent mark may lag. A lag costs copies after
	// a restart, which readers skip; a save costs two fsyncs.
	saveEvery = 5 * time.Second
)

// state is source.json; see the package comment.
type state struct {
	Version  int    `json:"version"`
	Source   string `json:"source"`
	Sent     uint64 `json:"sent"`
	Newest   uint64 `json:"newest"`
	Reserved uint64 `json:"reserved"`
	Boot     string `json:"boot"`
	Clean    bool   `json:"clean"`
}

// readState returns the zero state where there is none. One that is not legible
// is moved aside: what waits in the log is then sent as a new source's, which
// servers take as well, while a collector that does not start measures nothing.
func readState(dir string, log *slog.Logger) (state, error) {
	path := filepath.Join(dir, stateName)
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return state{}, nil
	}
	if err != nil {
		return state{}, fmt.Errorf("read spool: %w", err)
	}
	var st state
	err = json.Unmarshal(b, &st)
	switch {
	case err == nil && st.Version > stateVersion:
		return state{}, fmt.Errorf("the spool in %s is of version %d, this program knows %d: upgrade it, or choose another directory",
			dir, st.Version, stateVersion)
	case err != nil || st.Version < 1 || st.Source == "":
		aside := path + ".damaged"
		log.Error("source.json of the spool is damaged; a new source begins", "moved_to", aside, "err", err)
		if err := os.Rename(path, aside); err != nil {
			return state{}, fmt.Errorf("move the damaged %s aside: %w", path, err)
		}
		return state{}, nil
	}
	return st, nil
}

// save writes source.json with at least reserve numbers reserved.
func (s *Spool) save(reserve uint64, clean bool) error {
	s.saveMu.Lock()
	defer s.saveMu.Unlock()
	s.mu.Lock()
	st := state{
		Version: stateVersion, Source: s.source, Sent: s.sent, Newest: s.newest,
		Reserved: max(s.state.Reserved, reserve), Boot: s.boot, Clean: clean,
	}
	s.mu.Unlock()
	b, err := json.Marshal(st)
	if err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(s.o.Dir, stateName), append(b, '\n')); err != nil {
		return fmt.Errorf("save the state of the spool: %w", err)
	}
	s.mu.Lock()
	s.state = st
	s.mu.Unlock()
	return nil
}

// replaceFile replaces path in one step and durably, so that no crash leaves
// half of it.
func replaceFile(path string, b []byte) error {
	tmp := path + ".tmp"
	f, err := os.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return fileutil.Replace(tmp, path)
}

// bootID returns what tells one run of the kernel from another, or "" where the
// system does not say.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
