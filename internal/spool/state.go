package spool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"stripchart/internal/datadir"
)

const (
	stateName = "source.json"
	spareName = "source.spare"
	// stateVersion grows when an older program could not go on with what is written: it
	// refuses the spool then. Version 2 has the spare, version 3 the checksum.
	stateVersion = 3
	// reserveBlock is how many sequence numbers are reserved ahead, and so the
	// most that a jump after a power loss skips.
	reserveBlock = 1000
	// saveEvery is how far the saved sent mark may lag. A lag costs copies after
	// a restart, which readers skip; a save costs two fsyncs.
	saveEvery = 5 * time.Second
	// spareText is how much of the spare is overwritten: a sector, which no power
	// loss divides. The file has a block, so that it never shares one.
	spareText = 512
	spareSize = 4096
)

// state is source.json, and the spare; see the package comment.
type state struct {
	Version int    `json:"version"`
	Saves   uint64 `json:"saves"` // the higher is the newer
	Source  string `json:"source"`
	Machine string `json:"machine,omitempty"`
	Sent    uint64 `json:"sent"`
	// Given is the highest number that the bus took, and GivenTime when that was
	// measured: what servers are told when what follows is dropped.
	Given     uint64 `json:"given"`
	GivenTime int64  `json:"given_time"`
	Newest    uint64 `json:"newest"`
	Reserved  uint64 `json:"reserved"`
	Boot      string `json:"boot"`
	Clean     bool   `json:"clean"`
	// Checksum is of source.json since version 3; see sum. The spare has one of its own.
	Checksum string `json:"crc32,omitempty"`
}

// sum returns the checksum of a state of this version.
func (st state) sum() (string, error) {
	st.Version, st.Checksum = stateVersion, ""
	b, err := json.Marshal(st)
	return fmt.Sprintf("%08x", crc32.ChecksumIEEE(b)), err
}

// readState returns a state without Source where there is none. One that is not
// legible is moved aside: what waits in the log is then sent as a new source's,
// which servers take as well, while a collector that does not start measures
// nothing.
func readState(dir string, log *slog.Logger) (state, error) {
	path := filepath.Join(dir, stateName)
	spare, spareErr := readSpare(filepath.Join(dir, spareName))
	fresh := state{Saves: spare.Saves}
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return fresh, nil
	}
	if err != nil {
		return state{}, fmt.Errorf("read spool: %w", err)
	}
	st, err := parseState(b)
	newest := max(st.Version, spare.Version)
	switch {
	case err == nil && newest > stateVersion:
		return state{}, fmt.Errorf("the spool in %s is of version %d, this program knows %d: upgrade it, or choose another directory",
			dir, newest, stateVersion)
	case err != nil || st.Version < 1 || st.Source == "":
		aside := path + ".damaged"
		log.Error("source.json of the spool is damaged; a new source begins", "moved_to", aside, "err", err)
		if err := os.Rename(path, aside); err != nil {
			return state{}, fmt.Errorf("move the damaged %s aside: %w", path, err)
		}
		return fresh, nil
	case spareErr != nil:
		// It may have been the newer one: nobody knows which numbers were used.
		log.Error("source.spare of the spool is damaged; a new source begins", "err", spareErr)
		return state{Saves: st.Saves}, nil
	case spare.Saves > st.Saves:
		return spare, nil
	}
	return st, nil
}

// parseState reads source.json, of which only the version counts where it is a newer
// one. Before version 3 it had no checksum, or for a short time one in a first line.
func parseState(b []byte) (st state, err error) {
	line, text, _ := bytes.Cut(b, []byte{'\n'})
	if string(line) == fmt.Sprintf("crc32 %08x", crc32.ChecksumIEEE(text)) {
		b = text
	}
	if err := json.Unmarshal(b, &st); err != nil {
		return state{}, err
	}
	sum, err := st.sum()
	switch {
	case err != nil:
		return state{}, err
	case st.Checksum == sum:
		st.Version = stateVersion // damage to the number alone costs nothing
	case st.Version <= stateVersion && (st.Version == stateVersion || st.Checksum != ""):
		return state{}, errChecksum
	}
	return st, nil
}

var errChecksum = errors.New("its checksum is wrong")

// save writes source.json: the numbers up to used are in use, besides those that
// are known to be, and at least reserve are reserved. Where there is no room to
// replace it, the spare is overwritten instead.
func (s *Spool) save(used, reserve uint64, clean bool) error {
	s.saveMu.Lock()
	defer s.saveMu.Unlock()
	s.mu.Lock()
	s.state.Saves++ // also of a save that fails: it may have left something
	st := state{
		Version: stateVersion, Saves: s.state.Saves, Source: s.source, Machine: s.machine, Sent: s.sent, Given: s.given, GivenTime: s.givenTime,
		Newest: max(s.newest, s.state.Newest, used), Reserved: max(s.state.Reserved, reserve), Boot: s.boot, Clean: clean,
	}
	s.mu.Unlock()
	b, err := json.Marshal(st)
	if err != nil {
		return err
	}
	checked := st
	if checked.Checksum, err = st.sum(); err != nil {
		return err
	}
	text, err := json.Marshal(checked)
	if err != nil {
		return err
	}
	spare := filepath.Join(s.o.Dir, spareName)
	err = datadir.Replace(filepath.Join(s.o.Dir, stateName), text)
	switch {
	case err != nil:
		if spareErr := overwrite(spare, b); spareErr != nil {
			return fmt.Errorf("save the state of the spool: %w", errors.Join(err, spareErr))
		}
	case !s.spared:
		// Made anew in every life: blocks that a snapshot shares with this file could
		// not be overwritten in place. Without it, the next save tries again.
		s.spared = makeSpare(spare, b) == nil
	}
	s.mu.Lock()
	s.state = st
	s.mu.Unlock()
	return nil
}

// sealed returns a state as the spare has it: its checksum, the state, and blanks.
func sealed(b []byte) ([]byte, error) {
	text := fmt.Appendf(nil, "%08x %s", crc32.ChecksumIEEE(b), b)
	if len(text) > spareText {
		return nil, fmt.Errorf("state of %d bytes does not fit into the spare", len(b))
	}
	return append(text, bytes.Repeat([]byte{' '}, spareText-len(text))...), nil
}

// makeSpare writes a whole spare.
func makeSpare(path string, b []byte) error {
	text, err := sealed(b)
	if err != nil {
		return err
	}
	return datadir.Replace(path, append(text, bytes.Repeat([]byte{'\n'}, spareSize-len(text))...))
}

// overwrite writes a state over the one that a spare has, which must be there,
// and makes it durable. It needs no room where a file system writes in place.
func overwrite(path string, b []byte) error {
	text, err := sealed(b)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(text, 0)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// readSpare returns the zero state where there is no spare.
func readSpare(path string) (st state, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return state{}, nil
	}
	if err != nil {
		return state{}, err
	}
	sum, text, _ := bytes.Cut(b[:min(len(b), spareText)], []byte{' '})
	text = bytes.TrimRight(text, " ")
	if string(sum) != fmt.Sprintf("%08x", crc32.ChecksumIEEE(text)) {
		return state{}, errChecksum
	}
	return st, json.Unmarshal(text, &st)
}
