package spool

import (
	"errors"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
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
	for range 10 {
		// Within a page, and over several; the limit lies anywhere.
		for _, pad := range []int{3000 + rand.N(100), 80_000 + rand.N(1000)} {
			o := options(t.TempDir())
			s := open(t, o)
			v := newServer()
			stop := run(t, s, v.publish)
			put(t, s, 3, pad)
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
				if err := s.Append(t.Context(), b); err != nil {
					t.Fatalf("there is room, but: %v", err)
				}
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
			v.check(t, 1, last)
			// What is on the disk is as good as what is in memory.
			killed := snapshot(t, o.Dir)
			shut(t, s)
			o.Dir = killed
			s = open(t, o)
			if n := int(s.NextSeq()); n != last+1 {
				t.Fatalf("next is %d, want %d", n, last+1)
			}
			shut(t, s)
		}
	}
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
	s = open(t, o)
	if n := s.NextSeq(); n != v.seen+1 {
		put(t, s, 1, 10)
		send(t, s, v)
		v.check(t, 1, int(n))
	}
	shut(t, s)
}
