package spool

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/tsdb/wlog"

	"stripchart/internal/bus"
	"stripchart/internal/testkit"
)

func TestSequenceGoesOnAfterAnEnd(t *testing.T) {
	for _, c := range []struct {
		name  string
		clean bool
		boot  string // of the next start
		next  uint64
	}{
		{"closed", true, "boot 1", 8},
		{"closed, then rebooted", true, "boot 2", 8},
		{"killed", false, "boot 1", 8},
		{"power loss", false, "boot 2", reserveBlock + 1},
		{"killed on a system without boot ids", false, "", reserveBlock + 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			o := options(dir)
			o.bootID = func() string { return "boot 1" }
			s := open(t, o)
			put(t, s, 7, 10)
			if !c.clean {
				dir = snapshot(t, dir)
			}
			shut(t, s)
			o.Dir, o.bootID = dir, func() string { return c.boot }
			s = open(t, o)
			if n := s.NextSeq(); n != c.next {
				t.Errorf("next is %d, want %d", n, c.next)
			}
			v := newServer()
			put(t, s, 1, 10)
			send(t, s, v)
			if len(v.values) != 8 || v.seen != c.next || uint64(len(v.missing)) != c.next-8 {
				t.Errorf("%d batches up to %d, %d missing", len(v.values), v.seen, len(v.missing))
			}
		})
	}
}

// snapshot copies a spool as a kill would leave it.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	for range 10 {
		to := filepath.Join(t.TempDir(), "spool")
		switch err := os.CopyFS(to, os.DirFS(dir)); {
		case err == nil:
			return to
		case !errors.Is(err, os.ErrNotExist): // a file that was being replaced
			t.Fatal(err)
		}
	}
	t.Fatal("the spool changes too often to be copied")
	return ""
}

// The log's end is gone with the kernel, what was sent from it is not.
func TestNumbersOfALostTailAreNotUsedAgain(t *testing.T) {
	dir := t.TempDir()
	o := options(dir)
	o.bootID = func() string { return "boot 1" }
	s := open(t, o)
	put(t, s, 1200, 10) // more than one reservation
	v := newServer()
	send(t, s, v)
	dir = snapshot(t, dir)
	if err := os.Truncate(wlog.SegmentName(filepath.Join(dir, "log"), 0), 0); err != nil {
		t.Fatal(err)
	}
	o.Dir, o.bootID = dir, func() string { return "boot 2" }
	s = open(t, o)
	if n := s.NextSeq(); n <= 1200 || n > 1200+2*reserveBlock {
		t.Errorf("next is %d", n)
	}
}

func TestUnfinishedRecordIsCutWithoutAJump(t *testing.T) {
	for _, pad := range []int{100, 100_000} { // within a page, and over several
		s := open(t, options(t.TempDir()))
		put(t, s, 5, pad)
		dir := snapshot(t, s.o.Dir)
		name := wlog.SegmentName(filepath.Join(dir, "log"), 0)
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, cut := range []int64{1, 50, int64(pad) / 2, int64(pad)} {
			again := snapshot(t, dir)
			if err := os.Truncate(wlog.SegmentName(filepath.Join(again, "log"), 0), info.Size()-cut); err != nil {
				t.Fatal(err)
			}
			var logged testkit.Log
			o := options(again)
			o.Logger = slog.New(slog.NewTextHandler(&logged, nil))
			s := open(t, o)
			if n := s.NextSeq(); n != 5 {
				t.Errorf("pad %d, cut %d: next is %d", pad, cut, n)
			}
			put(t, s, 3, pad)
			v := newServer()
			send(t, s, v)
			v.check(t, 1, 7)
			shut(t, s)
			if !strings.Contains(logged.String(), "batches_kept=4") {
				t.Errorf("log: %s", &logged)
			}
		}
	}
}

func TestDamagedSegmentCostsItsEndAndNothingElse(t *testing.T) {
	o := options(t.TempDir())
	o.MaxBytes = MinMaxBytes
	s := open(t, o)
	put(t, s, 30, 10_000)
	o.Dir = snapshot(t, o.Dir)
	name := wlog.SegmentName(filepath.Join(o.Dir, "log"), 1)
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("damage"), 15_000); err != nil {
		t.Fatal(err)
	}
	f.Close()
	s = open(t, o)
	if n := s.NextSeq(); n != reserveBlock+1 {
		t.Errorf("next is %d", n) // the damage may have been the newest
	}
	v := newServer()
	send(t, s, v)
	if len(v.broken) > 0 || len(v.missing) == 0 || len(v.missing) > 10 || len(v.values)+len(v.missing) != 30 {
		t.Errorf("broken %v, missing %v, %d arrived", v.broken, v.missing, len(v.values))
	}
}

func TestASpoolHasOneOwner(t *testing.T) {
	s := open(t, options(t.TempDir()))
	_, err := Open(s.o)
	if err == nil || !strings.Contains(err.Error(), "in use by process") || !strings.Contains(err.Error(), "choose another directory") {
		t.Errorf("error %v", err)
	}
	shut(t, s)
	shut(t, s) // again
	if err := s.Append(t.Context(), batch(1, 1, 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("Append: %v", err)
	}
	if err := s.Run(t.Context(), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Run: %v", err)
	}
	open(t, s.o)
}

func TestSourceIsMadeOnce(t *testing.T) {
	o := options(t.TempDir())
	o.NewSource = nil
	s := open(t, o)
	id := s.Source()
	if !strings.HasPrefix(id, "collect-") || len(id) < len("collect-")+13 {
		t.Errorf("source %q", id)
	}
	shut(t, s)
	s = open(t, o)
	if s.Source() != id {
		t.Errorf("source %q, then %q", id, s.Source())
	}
}

func TestStateThatIsNotLegible(t *testing.T) {
	for _, c := range []struct{ content, err string }{
		{"{", ""},
		{`{"version":1}`, ""},
		{`{"version":3,"source":"source"}`, ""}, // without its checksum
		{`{"version":4,"source":"source"}`, "upgrade it"},
	} {
		o := options(t.TempDir())
		s := open(t, o)
		put(t, s, 3, 10)
		shut(t, s)
		if err := os.WriteFile(filepath.Join(o.Dir, stateName), []byte(c.content), 0o666); err != nil {
			t.Fatal(err)
		}
		s, err := Open(o)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v", c.content, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		v := newServer()
		send(t, s, v)
		v.check(t, 1, 3)
		shut(t, s)
	}
}

func TestNumbersNeverGoBack(t *testing.T) {
	o := options(t.TempDir())
	o.MaxBytes = MinMaxBytes
	s := open(t, o)
	put(t, s, 3, 10)
	for _, b := range []*bus.Batch{
		batch(3, 3, 1),
		{Sequence: bus.Sequence{Source: "source", Seq: 5, Merged: 2}}, // 3 to 5
		{Sequence: bus.Sequence{Source: "source", Seq: 0}},
	} {
		if err := s.Append(t.Context(), b); !errors.Is(err, ErrSequence) {
			t.Errorf("batch %d: %v", b.Seq, err)
		}
	}
	other := batch(4, 4, 1)
	other.Source = "other"
	if err := s.Append(t.Context(), other); err == nil {
		t.Error("a batch of another source was taken")
	}
	if err := s.Append(t.Context(), batch(5000, 5000, 1)); err != nil { // the caller dropped some
		t.Error(err)
	}
	b, _ := os.ReadFile(filepath.Join(s.o.Dir, stateName))
	if st, err := parseState(b); err != nil || st.Reserved < 5000 {
		t.Errorf("%s: %v", b, err)
	}
	if err := s.Append(t.Context(), batch(5001, 1, 300_000)); !errors.Is(err, bus.ErrTooLarge) {
		t.Errorf("error %v", err)
	}
	put(t, s, 1, 1)
}

func TestCloseEndsRun(t *testing.T) {
	s := open(t, options(t.TempDir()))
	put(t, s, 1, 1)
	started, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- s.Run(context.Background(), func(ctx context.Context, _ *bus.Batch) error {
			close(started)
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	<-started
	if err := s.Run(t.Context(), nil); err == nil {
		t.Error("two senders")
	}
	shut(t, s)
	select {
	case err := <-ended:
		if !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("Run goes on")
	}
}
