//go:build linux

package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"stripchart/internal/bus"
)

// breakLog makes every write to the open segments of a log fail with "no space
// left on device", under the database's feet: their descriptors become
// /dev/full's, until mend is called.
func breakLog(t *testing.T, dir, log string) (mend func()) {
	t.Helper()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	dup := func(from, to int) {
		if err := unix.Dup3(from, to, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
	}
	var segments []int // found before the first copy is made, which may take the descriptor that listed them
	for _, fd := range fds {
		n, err := strconv.Atoi(fd.Name())
		if err != nil {
			t.Fatal(err)
		}
		target, err := os.Readlink("/proc/self/fd/" + fd.Name())
		if err != nil || filepath.Dir(target) != filepath.Join(dir, "tsdb", log) || strings.Trim(filepath.Base(target), "0123456789") != "" {
			continue
		}
		segments = append(segments, n)
	}
	kept := map[int]int{} // descriptor to a copy of what it was
	for _, n := range segments {
		if kept[n], err = unix.FcntlInt(uintptr(n), unix.F_DUPFD_CLOEXEC, 0); err != nil {
			t.Fatal(err)
		}
		dup(int(full.Fd()), n)
	}
	if len(kept) == 0 {
		t.Fatalf("no segment of %s is open", log)
	}
	return func() {
		for n, was := range kept {
			dup(was, n)
			unix.Close(was)
		}
		clear(kept)
	}
}

// A disk that fills up between two looks at it fails a commit first. Opening the database
// writes what the log has into head chunks, and tsdb panics where that fails: it waits for
// the reserve, as any commit does.
func TestStoreIsNotOpenedAgainOnADiskThatHasJustFilledUp(t *testing.T) {
	dir := t.TempDir()
	var free atomic.Int64
	free.Store(1 << 30)
	o := options(dir)
	o.ReserveBytes = 0 // the default
	o.FreeSpace = func(string) (int64, error) { return free.Load(), nil }
	s := open(t, o)
	a := series("a")
	appendRows(t, s, row(a, bus.Sample{T: base, V: 1}))
	mend, eng := breakLog(t, dir, "wal"), s.eng
	free.Store(0)
	next := row(a, bus.Sample{T: base + 1000, V: 2})
	if err := s.Append([]Row{next}); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("error %v", err)
	}
	mend()
	if err := s.Append([]Row{next}); !errors.Is(err, ErrDiskFull) || s.eng != eng {
		t.Errorf("error %v, and it was opened again: %v", err, s.eng != eng)
	}
	free.Store(1 << 30)
	s.space.look()
	appendRows(t, s, next)
	if s.eng == eng {
		t.Error("it was not opened again")
	}
}

func TestStoreIsOpenedAgainAfterAFailedCommit(t *testing.T) {
	for _, fault := range []struct {
		log   string
		mends bool // the disk, before the database is closed
	}{{"wal", true}, {"wbl", true}, {"wal", false}, {"wbl", false}} {
		t.Run(fmt.Sprintf("%+v", fault), func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, options(dir))
			var refA, refB, refC Ref
			a, b, c := series("a"), series("b"), series("c")
			appendRows(t, s, Row{&refA, a, ramp(100, 1000)}, Row{&refB, b, ramp(10, 1000)})
			before := refA
			q, err := s.Snapshot(base, base+1e6)
			if err != nil {
				t.Fatal(err)
			}
			mend, broken := breakLog(t, dir, fault.log), s.eng
			// Late for a, new for c: both logs are written.
			rows := []Row{{&refA, a, []bus.Sample{{T: base + 500, V: 0.5}}}, {&refC, c, []bus.Sample{{T: base + 1000, V: 3}}}}
			if err := s.Append(rows); err == nil || !errors.Is(err, unix.ENOSPC) && !errors.Is(err, errLateNotLogged) {
				t.Fatalf("error %v", err)
			}
			// Reading goes on until the database is opened again.
			if got := read(t, q, base, base+1e6)[a.String()]; len(got) < 100 {
				t.Errorf("%d samples", len(got))
			}
			if fault.mends {
				mend()
			} else {
				defer func() { // what tsdb leaves running when it cannot flush
					mend()
					_ = broken.db.Head().Close() // most of it is closed
				}()
			}
			appendRows(t, s, rows...) // the publisher tries again
			appendRows(t, s, Row{&refB, b, []bus.Sample{{T: base + 20_000, V: 20}}})
			if refA == before || refA == 0 || refC == 0 {
				t.Errorf("references %x and %x, %x before", refA, refC, before)
			}
			if _, err := q.History(context.Background(), all(), base, base+1e6, 100); !errors.Is(err, ErrSnapshotClosed) {
				t.Errorf("snapshot from before: %v", err)
			}
			if err := q.Close(); err != nil {
				t.Error(err)
			}
			want := map[string]int{a.String(): 101, b.String(): 11, c.String(): 1}
			for range 2 {
				got := history(t, s, base, base+1e6)
				for l, n := range want {
					if len(got[l]) != n {
						t.Errorf("%s: %d samples, want %d", l, len(got[l]), n)
					}
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				s = open(t, options(dir))
			}
		})
	}
}

// A reference that outlived its database must not reach another series there.
func TestReferencesOfAnotherOpeningAreNotUsed(t *testing.T) {
	var ref Ref
	first := open(t, options(t.TempDir()))
	appendRows(t, first, Row{&ref, series("a"), ramp(1, 1)})
	second := &engine{number: first.eng.number + 1}
	if got := second.seriesRef(ref); got != 0 {
		t.Errorf("reference %d", got)
	}
	if got := first.eng.seriesRef(ref); got == 0 {
		t.Error("its own reference is unknown")
	}
}

func TestBrokenDiskLeavesTheStoreReadable(t *testing.T) {
	dir := t.TempDir()
	s := open(t, options(dir))
	appendRows(t, s, row(series("a"), ramp(10, 1000)...))
	mend := breakLog(t, dir, "wal")
	late := row(series("a"), bus.Sample{T: base + 1e6, V: 1})
	if s.Append([]Row{late}) == nil {
		t.Fatal("no error")
	}
	probed := filepath.Join(dir, "probe.tmp")
	if err := os.Symlink("/dev/full", probed); err != nil {
		t.Fatal(err)
	}
	if err := s.Append([]Row{late}); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("error %v", err)
	}
	if got := history(t, s, base, base+1e7)[series("a").String()]; len(got) != 10 {
		t.Errorf("%d samples", len(got))
	}
	mend()
	s.recovery.next = time.Time{} // the pause is over
	appendRows(t, s, late)
}

func TestFailedReopeningIsTriedAgainWithPauses(t *testing.T) {
	r := recovery{}
	r.failed(errors.New("one"))
	if !r.next.IsZero() {
		t.Error("the first attempt waits")
	}
	r.failed(errors.New("two"))
	if wait := time.Until(r.next); wait <= 0 || wait > time.Second {
		t.Errorf("the second attempt waits %s", wait)
	}
	for range 20 {
		before := time.Now()
		r.failed(errors.New("more"))
		if wait := r.next.Sub(before); wait <= 0 {
			t.Errorf("an attempt waits %s", wait)
		}
	}
	if wait := time.Until(r.next); wait < 20*time.Second || wait > time.Minute {
		t.Errorf("after many failures an attempt waits %s", wait)
	}
}

func TestStoreThatCannotBeOpenedAgainSaysSo(t *testing.T) {
	dir := t.TempDir()
	s := open(t, options(dir))
	appendRows(t, s, row(series("a"), ramp(10, 1000)...))
	mend := breakLog(t, dir, "wal")
	if s.Append([]Row{row(series("a"), bus.Sample{T: base + 1e6, V: 1})}) == nil {
		t.Fatal("no error")
	}
	mend()
	wal := filepath.Join(dir, "tsdb", "wal")
	if err := os.Rename(wal, wal+"-away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(wal, nil, 0o600); err != nil { // a file in its place
		t.Fatal(err)
	}
	for range 2 {
		if s.Append(nil) == nil {
			t.Fatal("opened again")
		}
	}
	if _, err := s.Snapshot(base, base); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Snapshot: %v", err)
	}
	if err := errors.Join(os.Remove(wal), os.Rename(wal+"-away", wal)); err != nil {
		t.Fatal(err)
	}
	s.recovery.next = time.Time{} // the pause is over
	appendRows(t, s, row(series("a"), bus.Sample{T: base + 1e6, V: 1}))
	if got := history(t, s, base, base+1e7)[series("a").String()]; len(got) != 11 {
		t.Errorf("%d samples", len(got))
	}
}

func TestAReopeningSaysWhatDamageHasCost(t *testing.T) {
	for _, log := range []string{"wal", "wbl"} {
		t.Run(log, func(t *testing.T) {
			dir, want := fill(t, 500)
			s := open(t, options(dir)) // a new segment
			name, size := firstSegment(t, dir, log)
			flip(t, name, size/2)
			s.recovery.failed(errors.New("a commit has failed"))
			if ls := s.Losses(); len(ls) > 0 {
				t.Fatalf("losses before the database is opened again: %v", ls)
			}
			appendRows(t, s, row(series("other"), bus.Sample{T: base + 1e6, V: 1}))
			ls := s.Losses()
			if len(ls) == 0 || s.Intact() {
				t.Errorf("losses %v, intact %v", ls, s.Intact())
			}
			got := history(t, s, base-1e6, base+1e9)[series("m", "n", "1").String()]
			for _, x := range want {
				gone := !slices.Contains(got, x)
				if gone && !slices.ContainsFunc(ls, func(l Loss) bool { return l.From < x.T && x.T < l.To }) {
					t.Errorf("the sample at %d is gone, and in none of %v", x.T, ls)
				}
			}
			if err := s.LossesDeclared(ls); err != nil || len(s.Losses()) > 0 {
				t.Errorf("%v are left, error %v", s.Losses(), err)
			}
		})
	}
}
