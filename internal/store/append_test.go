package store

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/testkit"
)

func TestSnapshotSeesExactlyTheCommitsBeforeIt(t *testing.T) {
	s := open(t, options(t.TempDir()))
	const nSeries, commits = 10, 400
	refs := make([]Ref, nSeries)
	commit := func(k int) {
		rows := make([]Row, nSeries)
		for i := range rows {
			rows[i] = Row{Ref: &refs[i], Labels: series("m", "n", string(rune('a'+i))), Samples: []bus.Sample{{T: base + int64(k)*1000, V: float64(k)}}}
		}
		appendRows(t, s, rows...)
	}
	var readers sync.WaitGroup
	for k := range commits {
		commit(k)
		if k%20 != 7 {
			continue
		}
		q, err := s.Snapshot(base, base+commits*1000)
		if err != nil {
			t.Fatal(err)
		}
		readers.Go(func() { // while the appends go on
			defer q.Close()
			time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
			hs, err := q.History(context.Background(), all(), base, base+commits*1000, commits)
			if err != nil || len(hs) != nSeries {
				t.Errorf("commit %d: %d series, %v", k, len(hs), err)
				return
			}
			for _, h := range hs {
				if len(h.V) != k+1 || h.V[k] != float64(k) {
					t.Errorf("snapshot after commit %d sees %d", k, len(h.V))
				}
			}
		})
	}
	readers.Wait()
}

// existing looks up the samples of one series at the given times.
func existing(s *Store, l labels.Labels, times []int64) (values []float64, there []bool, err error) {
	q := []Question{{Labels: l, Times: times}}
	err = s.LookUp(context.Background(), q)
	return q[0].Values, q[0].There, err
}

// firstWins appends a batch as apply does: it leaves out what is there.
func firstWins(t *testing.T, s *Store, rows []Row) {
	t.Helper()
	var fresh []Row
	for _, r := range rows {
		times, _ := split(r.Samples)
		_, there, err := existing(s, r.Labels, times)
		if err != nil {
			t.Fatal(err)
		}
		var samples []bus.Sample
		for i, sample := range r.Samples {
			if !there[i] {
				samples = append(samples, sample)
			}
		}
		if len(samples) > 0 {
			fresh = append(fresh, Row{Ref: r.Ref, Labels: r.Labels, Samples: samples})
		}
	}
	appendRows(t, s, fresh...)
}

// TestReplayFromAnyPositionLeavesTheSameHistory applies a log with late samples
// and contradictions, and then parts of it again, also after a restart.
func TestReplayFromAnyPositionLeavesTheSameHistory(t *testing.T) {
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(7, 8))
	names := []labels.Labels{series("a"), series("b"), series("a", "host", "x")}
	want := map[string]map[int64]float64{}
	var log [][]Row
	for k := range int64(300) {
		var rows []Row
		for _, l := range names {
			at := map[int64]bool{base + k*1000: true}
			for range r.IntN(3) {
				at[base+r.Int64N(k+1)*1000+r.Int64N(3)*100] = true
			}
			var samples []bus.Sample
			for t := range at {
				samples = append(samples, bus.Sample{T: t, V: r.Float64()})
			}
			slices.SortFunc(samples, func(a, b bus.Sample) int { return int(a.T - b.T) })
			rows = append(rows, Row{Labels: l, Samples: samples})
			if want[l.String()] == nil {
				want[l.String()] = map[int64]float64{}
			}
			for _, sample := range samples {
				if _, ok := want[l.String()][sample.T]; !ok {
					want[l.String()][sample.T] = sample.V
				}
			}
		}
		log = append(log, rows)
	}
	check := func(s *Store, when string) {
		t.Helper()
		got := history(t, s, base, base+1e6)
		for l, samples := range want {
			if len(got[l]) != len(samples) {
				t.Errorf("%s, %s: %d samples, want %d", when, l, len(got[l]), len(samples))
			}
			for _, sample := range got[l] {
				if v, ok := samples[sample.T]; !ok || v != sample.V {
					t.Fatalf("%s, %s: %v at %d, the first value was %v", when, l, sample.V, sample.T, v)
				}
			}
		}
	}
	s := open(t, options(dir))
	for _, rows := range log {
		firstWins(t, s, rows)
	}
	check(s, "at first")
	for range 3 {
		for _, rows := range log[r.IntN(len(log)):] {
			firstWins(t, s, rows)
		}
		check(s, "after a replay")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, options(dir))
	check(s, "after a restart")
	for _, rows := range log[len(log)/2:] {
		firstWins(t, s, rows)
	}
	check(s, "after a restart and a replay")
}

func TestAppendingTheSameRowsAgainChangesNothing(t *testing.T) {
	s := open(t, options(t.TempDir()))
	l := series("a")
	rows := []Row{row(l, ramp(100, 1000)...)}
	appendRows(t, s, rows...)
	appendRows(t, s, row(l, bus.Sample{T: base + 500, V: 0.5}))
	want := history(t, s, base, base+1e6)[l.String()]
	appendRows(t, s, rows...)
	appendRows(t, s, row(l, bus.Sample{T: base + 500, V: 0.5}))
	if err := testkit.Differ(history(t, s, base, base+1e6)[l.String()], want); err != nil {
		t.Error(err)
	}
}

func TestSamplesWithoutAPlaceAreCountedNotReported(t *testing.T) {
	s := open(t, options(t.TempDir()))
	l := series("a")
	appendRows(t, s, row(l, bus.Sample{T: base, V: 1}))
	appendRows(t, s, row(l, bus.Sample{T: base - outOfOrder.Milliseconds() - 1, V: 2}, bus.Sample{T: base, V: 3}, bus.Sample{T: base + 1, V: 4}))
	if err := testkit.Differ(history(t, s, base-2*outOfOrder.Milliseconds(), base+10)[l.String()], []bus.Sample{{T: base, V: 1}, {T: base + 1, V: 4}}); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		got  float64
		want float64
	}{
		"committed": {readCounter(s.metrics.committed), 2},
		"duplicate": {readCounter(s.metrics.duplicate), 1},
		"too old":   {readCounter(s.metrics.tooOld), 1},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
}

func TestWithoutAWindowLateSamplesAreLeftOut(t *testing.T) {
	o := options(t.TempDir())
	o.OutOfOrder = 0
	s := open(t, o)
	l := series("a")
	appendRows(t, s, row(l, bus.Sample{T: base, V: 1}))
	appendRows(t, s, row(l, bus.Sample{T: base - 1, V: 2}, bus.Sample{T: base + 1, V: 3}))
	if err := testkit.Differ(history(t, s, base-10, base+10)[l.String()], []bus.Sample{{T: base, V: 1}, {T: base + 1, V: 3}}); err != nil {
		t.Error(err)
	}
}

func TestAppendIsAllOrNothing(t *testing.T) {
	s := open(t, options(t.TempDir()))
	for name, bad := range map[string]labels.Labels{
		"empty": labels.EmptyLabels(),
		"twice": labels.New(labels.Label{Name: "a", Value: "1"}, labels.Label{Name: "a", Value: "2"}),
	} {
		err := s.Append([]Row{row(series("good"), bus.Sample{T: base, V: 1}), row(bad, bus.Sample{T: base, V: 1})})
		if !errors.Is(err, ErrInvalidSeries) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := history(t, s, base, base); len(got) != 0 {
		t.Errorf("stored %v", got)
	}
	if s.recovery.isNeeded() {
		t.Error("a bad label set counts as a failure of the disk")
	}
	appendRows(t, s, row(series("good"), bus.Sample{T: base, V: 1}))
}

func TestLookUpLooksEverywhereAndAtThisSeriesOnly(t *testing.T) {
	dir := t.TempDir()
	s := open(t, options(dir))
	l, longer := series("a"), series("a", "host", "x")
	appendRows(t, s, row(l, ramp(300, 1000)...)) // several chunks
	appendRows(t, s, row(l, bus.Sample{T: base + 500, V: math.Inf(1)}), row(longer, bus.Sample{T: base + 700, V: 1}))
	times := []int64{base - 1, base, base + 1, base + 500, base + 700, base + 200_000, base + 299_000, base + 299_001}
	want := []bool{false, true, false, true, false, true, true, false}
	check := func(s *Store, when string) {
		t.Helper()
		values, got, err := existing(s, l, times)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v (%v)", when, got, want, err)
		}
		if values[3] != math.Inf(1) || values[6] != values[5]+99 {
			t.Errorf("%s: values %v", when, values)
		}
	}
	check(s, "in the head")
	// Five hours more: the beginning moves into a block.
	for i := range int64(18) {
		appendRows(t, s, row(l, bus.Sample{T: base + 300_000 + i*1_000_000, V: 1}))
	}
	if err := s.eng.db.Compact(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(s.eng.db.Blocks()) == 0 {
		t.Fatal("no block was written")
	}
	check(s, "in blocks")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check(open(t, options(dir)), "after a restart")
	if _, got, err := existing(open(t, options(t.TempDir())), l, nil); err != nil || len(got) != 0 {
		t.Errorf("no times: %v, %v", got, err)
	}
}

// The questions of one call are of different ages and series, and each gets its own
// answer, as if it had been asked alone.
func TestLookUpAnswersManyQuestionsAtOnce(t *testing.T) {
	s := open(t, options(t.TempDir()))
	const hour = 3600_000
	a, b, gone, none := series("a"), series("a", "host", "x"), series("gone"), series("none")
	for i := range int64(12) {
		appendRows(t, s, row(a, bus.Sample{T: base + i*hour, V: float64(i)}), row(b, bus.Sample{T: base + i*hour + 1, V: -float64(i)}))
		if i == 3 {
			appendRows(t, s, row(gone, bus.Sample{T: base + i*hour + 7, V: 1}))
		}
	}
	now := base + 11*hour
	appendRows(t, s, row(a, bus.Sample{T: now - 30*60_000, V: 77})) // late
	if err := s.eng.db.Compact(context.Background()); err != nil {
		t.Fatal(err)
	}
	qs := []Question{
		{Labels: a, Times: []int64{now - 30*60_000, now}, From: base, To: now + hour},
		{Labels: b, Times: []int64{base, base + 1}},
		{Labels: gone, From: base, To: now},
		{Labels: gone, From: base + 4*hour, To: now},
		{Labels: none, Times: []int64{base}, From: base, To: now},
		{Labels: a, From: base, To: now - 31*60_000},
		{Labels: b},
	}
	if err := s.LookUp(context.Background(), qs); err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		there  []bool
		newest int64
	}{
		{[]bool{true, true}, now},
		{[]bool{false, true}, math.MinInt64},
		{nil, base + 3*hour + 7},
		{nil, math.MinInt64},
		{[]bool{false}, math.MinInt64},
		{nil, now - hour},
		{nil, math.MinInt64},
	} {
		if !slices.Equal(qs[i].There, want.there) || qs[i].Newest != want.newest {
			t.Errorf("question %d: %v and newest %d, want %v and %d", i, qs[i].There, qs[i].Newest-base, want.there, want.newest-base)
		}
	}
	if qs[0].Values[0] != 77 || qs[1].Values[1] != 0 {
		t.Errorf("values %v, %v", qs[0].Values, qs[1].Values)
	}
}

func TestSamplesBeyondTheRetentionAreDropped(t *testing.T) {
	o := options(t.TempDir())
	o.Retention = 6 * time.Hour
	s := open(t, o)
	l := series("a")
	const hours, step = 24, 10 * 60_000
	for at := int64(0); at < hours*3600_000; at += step {
		appendRows(t, s, row(l, bus.Sample{T: base + at, V: 1}))
	}
	if err := s.eng.db.Compact(context.Background()); err != nil {
		t.Fatal(err)
	}
	got := history(t, s, base, base+hours*3600_000)[l.String()]
	if len(got) == 0 || got[0].T < base+12*3600_000 || got[0].T > base+18*3600_000 {
		t.Errorf("%d samples, from hour %d on", len(got), (got[0].T-base)/3600_000)
	}
	if got[len(got)-1].T != base+hours*3600_000-step {
		t.Error("the newest is gone")
	}
}

func TestMaxTimeCoversHeadLateSamplesAndBlocks(t *testing.T) {
	dir := t.TempDir()
	s := open(t, options(dir))
	for i := range int64(20) {
		appendRows(t, s, row(series("a"), bus.Sample{T: base + i*1_000_000, V: 1}))
		if got := s.MaxTime(); got != base+i*1_000_000 {
			t.Fatalf("MaxTime is %d, want %d", got-base, i*1_000_000)
		}
	}
	appendRows(t, s, row(series("b"), bus.Sample{T: base + 5, V: 1}))
	for range 2 {
		if got := s.MaxTime(); got != base+19_000_000 {
			t.Fatalf("MaxTime is %d", got-base)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, options(dir))
	}
}

// TestEverythingAtOnce is for the race detector.
func TestEverythingAtOnce(t *testing.T) {
	dir := t.TempDir()
	s := open(t, options(dir))
	appendRows(t, s, row(series("a"), bus.Sample{T: base, V: 1}))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	loop := func(f func(i int64) error) {
		wg.Go(func() {
			for i := int64(1); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := f(i); err != nil && !errors.Is(err, ErrClosed) && !errors.Is(err, ErrSnapshotClosed) {
					t.Error(err)
					return
				}
			}
		})
	}
	ctx := context.Background()
	for n := range int64(2) {
		loop(func(i int64) error {
			return s.Append([]Row{row(series("a", "n", string(rune('a'+n))), bus.Sample{T: base + i*1000, V: 1}, bus.Sample{T: base + i*1000 + 1, V: 1})})
		})
		loop(func(int64) error {
			q, err := s.Snapshot(base, base+1e9)
			if err != nil {
				return err
			}
			defer q.Close()
			_, err = q.History(ctx, all(), base, base+1e9, 100)
			return err
		})
	}
	loop(func(int64) error { _, _, err := existing(s, series("a"), []int64{base, base + 1000}); return err })
	loop(func(int64) error { _, err := s.Series(ctx, all(), base, base+1000); return err })
	loop(func(int64) error { s.MaxTime(); s.Size(); s.Repaired(); return s.Writable() })
	loop(func(int64) error { return s.SetAddress("http://127.0.0.1:5000") })
	loop(func(int64) error { // as after a failed commit
		time.Sleep(50 * time.Millisecond)
		s.appendMu.Lock()
		defer s.appendMu.Unlock()
		s.recovery.failed(errors.New("pretended"))
		if _, err := s.writable(); err != nil {
			return err
		}
		s.recovery = recovery{}
		return nil
	})
	time.Sleep(500 * time.Millisecond)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	close(stop)
	wg.Wait()
}
