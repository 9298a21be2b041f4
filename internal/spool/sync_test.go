package spool

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/prometheus/tsdb/wlog"
)

// logged returns the sequence numbers that stand in the log of a spool.
func logged(t *testing.T, dir string) (seqs []uint64) {
	t.Helper()
	log := filepath.Join(dir, "log")
	first, last, err := wlog.Segments(log)
	if err != nil {
		t.Fatal(err)
	}
	for i := max(first, 0); i <= last; i++ {
		r, err := openSegment(wlog.SegmentName(log, i), wlog.NewLiveReaderMetrics(nil))
		if err != nil {
			t.Fatal(err)
		}
		defer r.close()
		for {
			h, _, err := r.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			seqs = append(seqs, h.seq)
		}
	}
	return seqs
}

// noFsync makes it impossible to fsync the active segment of s, which can still be
// written.
func noFsync(t *testing.T, s *Spool) (again func()) {
	t.Helper()
	s.mu.Lock()
	name := s.segs[len(s.segs)-1].name(s.logDir)
	s.mu.Unlock()
	away := filepath.Join(s.o.Dir, "away")
	if err := os.Rename(name, away); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Rename(away, name); err != nil {
			t.Fatal(err)
		}
	}
}

// With --sync always: written, but neither fsynced nor held.
func TestABatchThatWasRefusedIsNotInTheLog(t *testing.T) {
	for _, c := range []struct {
		name string
		next uint64 // what the caller appends then
		want []uint64
	}{
		{"the same batch comes again", 4, []uint64{1, 2, 3, 4}},
		{"its number is left out", 5, []uint64{1, 2, 3, 5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(t.TempDir())
			o.Sync = true
			s := open(t, o)
			put(t, s, 3, 10)
			replace, fsync := noReplacing(t, o.Dir), noFsync(t, s)
			spare := filepath.Join(o.Dir, spareName)
			if err := os.Rename(spare, spare+".away"); err != nil {
				t.Fatal(err)
			}
			if err := s.Append(t.Context(), batch(4, 4, 10)); !errors.Is(err, ErrNotWritten) {
				t.Fatalf("append: %v", err)
			}
			if err := os.Rename(spare+".away", spare); err != nil {
				t.Fatal(err)
			}
			fsync()
			replace()
			if err := s.Append(t.Context(), batch(c.next, float64(c.next), 10)); err != nil {
				t.Fatal(err)
			}
			shut(t, s)
			equal(t, "the log has", logged(t, o.Dir), c.want)
			s = open(t, o)
			v := newServer()
			send(t, s, v)
			for _, n := range c.want {
				if v.values[int64(n)] != float64(n) {
					t.Errorf("batch %d has the value %v", n, v.values[int64(n)])
				}
			}
			if len(v.values) != len(c.want) || len(v.broken) > 0 {
				t.Errorf("values %v, broken %q", v.values, v.broken)
			}
		})
	}
}

// A batch that is held because it could not be fsynced is sent from memory, and stands in
// the log once.
func TestABatchThatCouldNotBeFsyncedIsWrittenOnce(t *testing.T) {
	o := options(t.TempDir())
	o.Sync = true
	s := open(t, o)
	put(t, s, 3, 10)
	fsync := noFsync(t, s)
	hold(t, s, 2)
	if n := s.held(); n != 2 {
		t.Errorf("%d batches are held, want 2", n)
	}
	fsync()
	put(t, s, 1, 10)
	shut(t, s)
	equal(t, "the log has", logged(t, o.Dir), numbers(1, 6))
}
