package spool

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"stripchart/internal/bus"
)

// limitFiles makes every write beyond size bytes of a file fail, by half where
// the limit lies within it, as a full disk does.
func limitFiles(t *testing.T, size uint64) (lift func()) {
	t.Helper()
	signal.Ignore(unix.SIGXFSZ)
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	set := func(cur uint64) {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: cur, Max: before.Max}); err != nil {
			t.Fatal(err)
		}
	}
	lift = func() { set(before.Cur) }
	t.Cleanup(lift)
	set(size)
	return lift
}

// fill appends until the disk takes no more, and returns the batch it refused.
func fill(t *testing.T, s *Spool, pad int) *bus.Batch {
	t.Helper()
	for range 10_000 {
		seq := s.NextSeq()
		b := batch(seq, float64(seq), pad)
		if err := s.Append(t.Context(), b); err != nil {
			if !errors.Is(err, ErrNotWritten) {
				t.Fatalf("error %v", err)
			}
			return b
		}
	}
	t.Fatal("the disk does not get full")
	return nil
}

func TestAWriteThatFailsHarmsNothing(t *testing.T) {
	for range 5 {
		// Within a page, and over several; the limit lies anywhere.
		for _, pad := range []int{3000 + rand.N(100), 80_000 + rand.N(1000)} {
			o := options(t.TempDir())
			s := open(t, o)
			v := newServer()
			stop := run(t, s, v.publish)
			put(t, s, 3, pad)
			others := map[int64]bool{}
			for range 2 {
				lift := limitFiles(t, 300_000+rand.N(uint64(100_000)))
				b := fill(t, s, pad)
				for range 3 {
					if err := s.Append(t.Context(), b); !errors.Is(err, ErrNotWritten) {
						// A smaller batch of wlog's may have fitted: what matters is that
						// it is one or the other.
						if err != nil {
							t.Fatal(err)
						}
						b = fill(t, s, pad)
					}
				}
				lift()
				killed := snapshot(t, o.Dir)
				// What was refused is gone: another batch may have its number.
				other := batch(b.Seq, -1, 10)
				if err := s.Append(t.Context(), other); err != nil {
					t.Fatalf("there is room, but: %v", err)
				}
				others[int64(b.Seq)] = true
				put(t, s, 3, pad)
				o := o
				o.Dir = killed
				again := open(t, o)
				next := again.NextSeq()
				if next != b.Seq && next != b.Seq+1 { // the refused one may be whole
					t.Fatalf("killed with a full disk, next is %d, not %d", next, b.Seq)
				}
				w := newServer()
				send(t, again, w)
				if len(w.broken) > 0 || len(w.missing) > 0 || w.seen != next-1 {
					t.Fatalf("%q, missing %v, seen %d of %d", w.broken, w.missing, w.seen, next-1)
				}
				shut(t, again)
			}
			caught(t, s)
			stop()
			last := int(s.NextSeq() - 1)
			arrived(t, v, 1, last, others)
			// What is on the disk is as good as what is in memory.
			killed := snapshot(t, o.Dir)
			shut(t, s)
			o.Dir = killed
			s = open(t, o)
			if n := int(s.NextSeq()); n != last+1 {
				t.Fatalf("next is %d, want %d", n, last+1)
			}
			v = newServer()
			send(t, s, v)
			arrived(t, v, int(v.published[0].First()), last, others)
			shut(t, s)
		}
	}
}

// arrived is check, where the others have the value -1.
func arrived(t *testing.T, v *server, first, last int, others map[int64]bool) {
	t.Helper()
	for n := range others {
		if int(n) < first {
			continue
		}
		if v.values[n] != -1 {
			t.Errorf("batch %d has the value of one that was refused, %v", n, v.values[n])
		}
		v.values[n] = float64(n)
	}
	v.check(t, first, last)
}

func TestAFullDiskIsSurvived(t *testing.T) {
	dir := t.TempDir()
	if os.Geteuid() != 0 {
		// TestAWriteThatFailsHarmsNothing is the same with a limit that everybody may set.
		t.Log("not root: a small file system cannot be mounted, only the limit of files is tested")
		return
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Fatalf("mount a small tmpfs: %v; run as a user who may mount, or not as root", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	o := options(filepath.Join(dir, "spool"))
	s := open(t, o)
	resize := func(bytes int64) {
		t.Helper()
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size="+strconv.FormatInt(bytes, 10)); err != nil {
			t.Fatal(err)
		}
	}
	v := newServer()
	for range 3 {
		b := fill(t, s, 5000)
		if err := s.Append(t.Context(), b); !errors.Is(err, ErrNotWritten) {
			t.Fatalf("error %v", err)
		}
		send(t, s, v) // what was written can be sent from a full disk
		v.check(t, 1, int(b.Seq)-1)
		resize(64 << 20)
		if err := s.Append(t.Context(), b); err != nil {
			t.Fatalf("there is room, but: %v", err)
		}
		send(t, s, v)
		v.check(t, 1, int(b.Seq))
		resize(diskUsage(t, o.Dir) + 1<<20)
	}
	fill(t, s, 5000)
	resize(64 << 20)
	shut(t, s)

	// A start on a full disk sends what waits.
	resize(diskUsage(t, o.Dir) + 1<<20)
	junk := func(name string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 8<<20), 0o666); !errors.Is(err, unix.ENOSPC) {
			t.Fatalf("the disk is not full: %v", err)
		}
	}
	junk("one")
	var logged output
	o.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	s = open(t, o)
	if !strings.Contains(logged.String(), "make room") {
		t.Errorf("logged: %s", &logged)
	}
	n := s.NextSeq()
	send(t, s, v)
	v.check(t, 1, int(n)-1)
	junk("two") // what was sent has made room
	b := batch(n, float64(n), 10)
	if err := s.Append(t.Context(), b); !errors.Is(err, ErrNotWritten) {
		t.Errorf("error %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "one")); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(t.Context(), b); err != nil {
		t.Error(err)
	}
	send(t, s, v)
	v.check(t, 1, int(n))
	shut(t, s)
}
