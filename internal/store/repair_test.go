package store

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/wlog"

	"stripchart/internal/bus"
	"stripchart/internal/testkit"
)

// fill makes a directory with commits of in-order and late samples in 10
// series, and copies it as a kill would leave it: without a close. It returns
// the copy and what each series holds.
func fill(t *testing.T, commits int) (dir string, want []bus.Sample) {
	t.Helper()
	live := t.TempDir()
	s := open(t, options(live))
	refs := make([]Ref, 10)
	for k := range commits {
		at := base + int64(k)*1000
		add := func(at int64) {
			var rows []Row
			for i := range refs {
				rows = append(rows, Row{Ref: &refs[i], Labels: series("m", "n", strconv.Itoa(i)), Samples: []bus.Sample{{T: at, V: float64(at)}}})
			}
			appendRows(t, s, rows...)
			want = append(want, bus.Sample{T: at, V: float64(at)})
		}
		add(at)
		if k%2 == 1 {
			add(at - 1500)
		}
	}
	slices.SortFunc(want, func(a, b bus.Sample) int { return int(a.T - b.T) })
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(live)); err != nil {
		t.Fatal(err)
	}
	return dir, want
}

// newestSegment returns the newest file of a log that holds something.
func newestSegment(t *testing.T, dir, log string) (name string, size int64) {
	t.Helper()
	_, last, err := wlog.Segments(filepath.Join(dir, "tsdb", log))
	if err != nil {
		t.Fatal(err)
	}
	for ; last >= 0; last-- {
		name = wlog.SegmentName(filepath.Join(dir, "tsdb", log), last)
		if info, err := os.Stat(name); err == nil && info.Size() > 0 {
			return name, info.Size()
		}
	}
	t.Fatalf("nothing in %s", log)
	return "", 0
}

func flip(t *testing.T, name string, offset int64) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, offset); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0xff
	if _, err := f.WriteAt(b, offset); err != nil {
		t.Fatal(err)
	}
}

// openDamaged opens dir, expects exactly one warning, and the store to be whole
// at the next start.
func openDamaged(t *testing.T, dir string) (*Store, *Repair) {
	t.Helper()
	var log logged
	o := options(dir)
	o.Logger = log.logger()
	s := open(t, o)
	r := s.Repaired()
	if r == nil {
		t.Fatal("not repaired")
	}
	if lines := log.take(); len(lines) == 0 || len(lines) > 3 || !strings.Contains(lines[0], "level=WARN") || !strings.Contains(lines[0], dir) {
		t.Errorf("logged %q", lines)
	}
	if r.Torn != (len(s.Losses()) == 0) {
		t.Errorf("repair %+v, losses %v", r, s.Losses())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, o)
	if s.Repaired() != nil {
		t.Errorf("repaired again: %+v", s.Repaired())
	}
	if lines := log.take(); len(lines) > 0 {
		t.Errorf("logged at the second start: %q", lines)
	}
	return s, r
}

// missing says how many of want each series lacks; it may hold nothing else.
func missing(t *testing.T, s *Store, want []bus.Sample) (most int) {
	t.Helper()
	got := history(t, s, base-1e6, base+1e9)
	for i := range 10 {
		there := map[int64]float64{}
		for _, sample := range got[series("m", "n", strconv.Itoa(i)).String()] {
			there[sample.T] = sample.V
		}
		n := 0
		for _, sample := range want {
			if v, ok := there[sample.T]; !ok {
				n++
			} else if v != sample.V {
				t.Errorf("%v at %d", v, sample.T)
			}
			delete(there, sample.T)
		}
		if len(there) > 0 {
			t.Errorf("series %d holds %d samples that were never written", i, len(there))
		}
		most = max(most, n)
	}
	return most
}

// TestKillDuringLateCompactionLosesNothing kills the store after an out-of-order
// compaction took its samples over, and before there is a block.
func TestKillDuringLateCompactionLosesNothing(t *testing.T) {
	live, l := t.TempDir(), series("m", "n", "0")
	s := open(t, options(live))
	want := []bus.Sample{{T: base + 1e6, V: 1}}
	appendRows(t, s, row(l, want...))
	late := func(at int64) {
		sample := bus.Sample{T: base + at, V: float64(at)}
		appendRows(t, s, row(l, sample))
		want = append(want, sample)
	}
	for i := range int64(40) { // one full chunk, one begun
		late(i)
	}
	if _, err := tsdb.NewOOOCompactionHead(context.Background(), s.eng.db.Head()); err != nil {
		t.Fatal(err)
	}
	late(50)
	for kills := range 3 {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(live)); err != nil {
			t.Fatal(err)
		}
		s = open(t, options(dir))
		slices.SortFunc(want, func(a, b bus.Sample) int { return int(a.T - b.T) })
		if err := testkit.Differ(history(t, s, base, base+1e6)[l.String()], want); err != nil {
			t.Fatalf("after %d kills: %v", kills+1, err)
		}
		for i := range int64(40) {
			late(100 + 100*int64(kills) + i)
		}
		live = dir
	}
}

func TestEndThatWasCutOffCostsNothingElse(t *testing.T) {
	for _, log := range []string{"wal", "wbl"} {
		t.Run(log, func(t *testing.T) {
			dir, want := fill(t, 500)
			name, size := newestSegment(t, dir, log)
			if err := os.Truncate(name, size-5); err != nil {
				t.Fatal(err)
			}
			s, r := openDamaged(t, dir)
			if !r.Torn {
				t.Errorf("repair %+v", r)
			}
			// In-order and late samples alternate at the end: the last record of
			// either log is the only one that may be gone.
			if n := missing(t, s, want); n > 1 {
				t.Errorf("%d of %d samples of a series are gone", n, len(want))
			}
			appendRows(t, s, row(series("m", "n", "1"), bus.Sample{T: base + 1e8, V: 1}))
		})
	}
}

func TestDamageInTheMiddleIsRepairedWithOneWarning(t *testing.T) {
	for _, log := range []string{"wal", "wbl"} {
		for _, clean := range []bool{false, true} {
			t.Run(log+map[bool]string{true: " after a close", false: " after a kill"}[clean], func(t *testing.T) {
				dir, want := fill(t, 500)
				if clean {
					if err := open(t, options(dir)).Close(); err != nil {
						t.Fatal(err)
					}
				}
				name, _ := firstSegment(t, dir, log)
				info, err := os.Stat(name)
				if err != nil {
					t.Fatal(err)
				}
				flip(t, name, info.Size()/2)
				s, r := openDamaged(t, dir)
				if r.Torn {
					t.Errorf("repair %+v", r)
				}
				// Only the record that the flipped byte is in, or its half of a page.
				if n := missing(t, s, want); n > 2 {
					t.Errorf("%d of %d samples are gone", n, len(want))
				}
			})
		}
	}
}

func firstSegment(t *testing.T, dir, log string) (string, int64) {
	t.Helper()
	first, _, err := wlog.Segments(filepath.Join(dir, "tsdb", log))
	if err != nil {
		t.Fatal(err)
	}
	name := wlog.SegmentName(filepath.Join(dir, "tsdb", log), first)
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return name, info.Size()
}

func TestDamageKeepsWhatFollowsInLaterSegments(t *testing.T) {
	dir, want := fill(t, 100)
	s := open(t, options(dir)) // a new segment
	later := bus.Sample{T: base + 1e8, V: 7}
	appendRows(t, s, row(series("m", "n", "1"), later))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	name, size := firstSegment(t, dir, "wal")
	flip(t, name, size*3/4)
	s, r := openDamaged(t, dir)
	if r.Torn {
		t.Errorf("repair %+v", r)
	}
	got := history(t, s, base-1e6, base+1e9)[series("m", "n", "1").String()]
	if len(got) == 0 || got[len(got)-1] != later {
		t.Errorf("%d samples, the newest of %d is gone", len(got), len(want)+1)
	}
}

func TestDamagedCheckpointIsRepaired(t *testing.T) {
	dir := t.TempDir()
	s := open(t, options(dir))
	refs := make([]Ref, 10)
	for k := range int64(12) { // ten minutes apart: a checkpoint after some hours
		for range 3 {
			var rows []Row
			for i := range refs {
				rows = append(rows, Row{Ref: &refs[i], Labels: series("m", "n", strconv.Itoa(i)), Samples: []bus.Sample{{T: base + k*30*60_000, V: 1}}})
			}
			appendRows(t, s, rows...)
		}
		if err := s.eng.db.Compact(context.Background()); err != nil {
			t.Fatal(err)
		}
		// A checkpoint needs several segments.
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, options(dir))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	checkpoint, _, err := wlog.LastCheckpoint(filepath.Join(dir, "tsdb", "wal"))
	if err != nil {
		t.Fatal(err)
	}
	name := wlog.SegmentName(checkpoint, 0)
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	flip(t, name, info.Size()/2)
	s, r := openDamaged(t, dir)
	if r.Torn {
		t.Errorf("repair %+v", r)
	}
	appendRows(t, s, row(series("m", "n", "1"), bus.Sample{T: base + 1e8, V: 1}))
}
