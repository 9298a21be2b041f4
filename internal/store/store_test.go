package store

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"go.uber.org/goleak"

	"stripchart/internal/bus"
	"stripchart/internal/testkit"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		os.Exit(runChild(dir))
	}
	if dir := os.Getenv(fullEnv); dir != "" {
		os.Exit(runOnFullDisk(dir))
	}
	goleak.VerifyTestMain(m)
}

// nameLabel holds a series' metric name.
const nameLabel = "__name__"

// base is where tests' times start: 2026-01-01 00:00 UTC.
const base int64 = 1767225600000

const outOfOrder = 24*time.Hour + 5*time.Minute

// options are those of a test: no reserve, so that a full disk under the tests
// does not look like a bug.
func options(dir string) Options {
	return Options{Dir: dir, OutOfOrder: outOfOrder, ReserveBytes: -1}
}

func open(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func series(name string, kv ...string) labels.Labels {
	return labels.FromStrings(append([]string{nameLabel, name}, kv...)...)
}

func row(l labels.Labels, samples ...bus.Sample) Row { return Row{Labels: l, Samples: samples} }

func appendRows(t testing.TB, s *Store, rows ...Row) {
	t.Helper()
	if err := s.Append(rows); err != nil {
		t.Fatal(err)
	}
}

// all matches every series.
func all() []*labels.Matcher {
	return []*labels.Matcher{labels.MustNewMatcher(labels.MatchNotEqual, nameLabel, "")}
}

// history reads everything in [from, to] raw.
func history(t testing.TB, s *Store, from, to int64) map[string][]bus.Sample {
	t.Helper()
	return rawOf(t, s, from, to, all()...)
}

func rawOf(t testing.TB, s *Store, from, to int64, ms ...*labels.Matcher) map[string][]bus.Sample {
	t.Helper()
	q, err := s.Snapshot(from, to)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	return read(t, q, from, to, ms...)
}

// read reads the series that match ms, all without any, raw.
func read(t testing.TB, q *Snapshot, from, to int64, ms ...*labels.Matcher) map[string][]bus.Sample {
	t.Helper()
	if len(ms) == 0 {
		ms = all()
	}
	hs, err := q.History(context.Background(), ms, from, to, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]bus.Sample{}
	for _, h := range hs {
		for i := range h.T {
			if i > 0 && h.T[i] <= h.T[i-1] {
				t.Fatalf("%s: time %d after %d", h.Labels, h.T[i], h.T[i-1])
			}
			got[h.Labels.String()] = append(got[h.Labels.String()], bus.Sample{T: h.T[i], V: h.V[i]})
		}
	}
	return got
}

// logged collects what a store logs at info level and above.
type logged struct {
	mu    sync.Mutex
	lines []string
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(b))
	return len(b), nil
}

func (l *logged) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines
	l.lines = nil
	return lines
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func TestReopenedStoreHoldsWhatWasAppended(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	s := open(t, options(dir))
	if got := s.MaxTime(); got != math.MinInt64 {
		t.Errorf("MaxTime of an empty store is %d", got)
	}
	a, b := series("a"), series("b", "host", "x")
	appendRows(t, s, row(a, bus.Sample{T: base, V: 1}, bus.Sample{T: base + 10, V: 2}), row(b, bus.Sample{T: base + 5, V: math.Inf(1)}))
	appendRows(t, s, row(a, bus.Sample{T: base + 3, V: 1.5})) // late
	want := map[string][]bus.Sample{
		a.String(): {{T: base, V: 1}, {T: base + 3, V: 1.5}, {T: base + 10, V: 2}},
		b.String(): {{T: base + 5, V: math.Inf(1)}},
	}
	check := func(s *Store) {
		t.Helper()
		testkit.SameSamples(t, "the history", history(t, s, base-1000, base+1000), want)
		if s.MaxTime() != base+10 {
			t.Errorf("MaxTime is %d, want %d", s.MaxTime(), base+10)
		}
	}
	check(s)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, options(dir))
	check(s)
	if s.Repaired() != nil {
		t.Errorf("a clean store was repaired: %+v", s.Repaired())
	}
	if s.Size() == 0 {
		t.Error("Size is 0")
	}
}

func TestMethodsOfAClosedStoreSayClosed(t *testing.T) {
	s := open(t, options(t.TempDir()))
	appendRows(t, s, row(series("a"), bus.Sample{T: base, V: 1}))
	q, err := s.Snapshot(base, base)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	_, historyErr := q.History(ctx, all(), base, base, 100)
	if !errors.Is(historyErr, ErrSnapshotClosed) {
		t.Errorf("History: %v", historyErr)
	}
	if err := q.Close(); err != nil {
		t.Errorf("Snapshot.Close: %v", err)
	}
	_, snapshotErr := s.Snapshot(base, base)
	_, seriesErr := s.Series(ctx, all(), base, base)
	_, _, existingErr := existing(s, series("a"), []int64{base})
	for name, err := range map[string]error{
		"Append": s.Append(nil), "Snapshot": snapshotErr, "Series": seriesErr, "LookUp": existingErr, "SetAddress": s.SetAddress("x"),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOptionsOutOfRangeAreRefused(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"no directory":       func(o *Options) { o.Dir = "" },
		"negative retention": func(o *Options) { o.Retention = -time.Hour },
		"tiny retention":     func(o *Options) { o.Retention = time.Second },
		"negative size":      func(o *Options) { o.RetentionBytes = -1 },
		"negative window":    func(o *Options) { o.OutOfOrder = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			o := options(filepath.Join(t.TempDir(), "data"))
			change(&o)
			if s, err := Open(o); err == nil {
				t.Error("accepted", s.Close())
			}
			if o.Dir != "" {
				if _, err := os.Stat(o.Dir); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("the directory was made: %v", err)
				}
			}
		})
	}
}

func TestRetentionReachesTheDatabase(t *testing.T) {
	day := (24 * time.Hour).Milliseconds()
	for _, c := range []struct {
		given           time.Duration
		want, wantBlock int64
	}{
		{0, 30 * day, 3 * day},
		{365 * 24 * time.Hour, 365 * day, 31 * day},
		{time.Hour, day / 24, day / 12},
	} {
		o := Options{Dir: "x", Retention: c.given, RetentionBytes: 7}
		if err := o.setDefaults(); err != nil {
			t.Fatal(err)
		}
		got := tsdbOptions(o)
		if got.RetentionDuration != c.want || got.MaxBlockDuration != c.wantBlock || got.MaxBytes != 7 {
			t.Errorf("%s: retention %d, blocks up to %d, %d bytes", c.given, got.RetentionDuration, got.MaxBlockDuration, got.MaxBytes)
		}
	}
}

func TestNormalStartAndStopLogNothing(t *testing.T) {
	dir := t.TempDir()
	var log logged
	o := options(dir)
	o.Logger = log.logger()
	for i := range int64(3) {
		s := open(t, o)
		appendRows(t, s, row(series("a"), bus.Sample{T: base + i, V: 1}))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if lines := log.take(); len(lines) > 0 {
		t.Errorf("logged %q", lines)
	}
}

func TestMetricsOfStoreAndDatabaseGoWithTheStore(t *testing.T) {
	reg := prometheus.NewRegistry()
	o := options(t.TempDir())
	o.Registerer = reg
	for range 2 { // a second store can register after the first
		s := open(t, o)
		appendRows(t, s, row(series("a"), bus.Sample{T: base, V: 1}))
		appendRows(t, s, row(series("a"), bus.Sample{T: base, V: 2}))
		got := gather(t, reg)
		for name, want := range map[string]float64{
			"stripchart_store_samples_committed_total":             1,
			"stripchart_store_samples_duplicate_total":             1,
			"prometheus_tsdb_head_series":                          1,
			"prometheus_tsdb_out_of_order_wbl_writes_failed_total": 0,
		} {
			if v, ok := got[name]; !ok || v > want {
				t.Errorf("%s is %v (there: %v), want %v", name, v, ok, want)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for name := range gather(t, reg) {
		if strings.HasPrefix(name, "prometheus_tsdb") || strings.HasPrefix(name, "stripchart") {
			t.Errorf("%s is still there", name)
		}
	}
}

func gather(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		m := f.GetMetric()[0]
		got[f.GetName()] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
	}
	return got
}
