package store

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/testkit"
)

func historyOf(t *testing.T, s *Store, from, to int64, points int, ms ...*labels.Matcher) []History {
	t.Helper()
	q, err := s.Snapshot(from, to)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if len(ms) == 0 {
		ms = all()
	}
	hs, err := q.History(context.Background(), ms, from, to, points)
	if err != nil {
		t.Fatal(err)
	}
	return hs
}

// ramp has n samples, interval ms apart, from base on.
func ramp(n int, interval int64) []bus.Sample {
	samples := make([]bus.Sample, n)
	for i := range samples {
		samples[i] = bus.Sample{T: base + int64(i)*interval, V: float64(i)}
	}
	return samples
}

func split(samples []bus.Sample) (t []int64, v []float64) {
	for _, s := range samples {
		t, v = append(t, s.T), append(v, s.V)
	}
	return t, v
}

func TestHistoryIsRawUpToThePointsAndM4Beyond(t *testing.T) {
	s := open(t, options(t.TempDir()))
	few, many := ramp(100, 1000), ramp(101, 1000)
	appendRows(t, s, row(series("few"), few...), row(series("many"), many...))
	from, to := base, base+100*1000
	hs := historyOf(t, s, from, to, 100)
	if len(hs) != 2 {
		t.Fatalf("%d series", len(hs))
	}
	times, values := split(few)
	if !slices.Equal(hs[0].T, times) || !slices.Equal(hs[0].V, values) || hs[0].M4 != nil {
		t.Errorf("few: %+v", hs[0])
	}
	g, err := GridFor(from, to, 100)
	if err != nil {
		t.Fatal(err)
	}
	times, values = split(many)
	if hs[1].T != nil || hs[1].V != nil || hs[1].X0 != g.X0 || hs[1].Step != g.Step || !sameValues(hs[1].M4, bruteM4(g, times, values)) {
		t.Errorf("many: %+v", hs[1])
	}
	for _, h := range hs {
		if h.IntervalMS != 1000 {
			t.Errorf("%s: interval %d", h.Labels, h.IntervalMS)
		}
	}
}

func TestHistoryEndsAreIncludedAndOthersLeftOut(t *testing.T) {
	s := open(t, options(t.TempDir()))
	appendRows(t, s,
		row(series("here"), ramp(10, 1000)...),
		row(series("before"), bus.Sample{T: base, V: 1}),
		row(series("after"), bus.Sample{T: base + 9000, V: 1}))
	hs := historyOf(t, s, base+1000, base+3000, 100)
	if len(hs) != 1 || !slices.Equal(hs[0].T, []int64{base + 1000, base + 2000, base + 3000}) {
		t.Errorf("got %+v", hs)
	}
}

func TestHistoryIsSortedByLabels(t *testing.T) {
	s := open(t, options(t.TempDir()))
	for _, n := range []string{"c", "a", "b"} { // in several places: late ones, too
		appendRows(t, s, row(series("m", "n", n), bus.Sample{T: base + 10, V: 1}))
	}
	appendRows(t, s, row(series("m", "n", "b"), bus.Sample{T: base + 5, V: 1}))
	hs := historyOf(t, s, base, base+100, 100)
	if !slices.IsSortedFunc(hs, func(a, b History) int { return labels.Compare(a.Labels, b.Labels) }) || len(hs) != 3 {
		t.Errorf("got %+v", hs)
	}
}

func TestLateSamplesAppearInOrder(t *testing.T) {
	s := open(t, options(t.TempDir()))
	var odd, even []bus.Sample
	for _, sample := range ramp(1000, 1000) {
		if (sample.T-base)/1000%2 == 0 {
			even = append(even, sample)
		} else {
			odd = append(odd, sample)
		}
	}
	l := series("a")
	appendRows(t, s, row(l, even...))
	slices.Reverse(odd)
	for chunk := range slices.Chunk(odd, 7) {
		for _, sample := range chunk { // newest first, in many commits
			appendRows(t, s, row(l, sample))
		}
	}
	got := history(t, s, base, base+1e6)[l.String()]
	if err := testkit.Differ(got, ramp(1000, 1000)); err != nil {
		t.Error(err)
	}
}

func TestPeakOfOneSampleInAMonthStaysVisible(t *testing.T) {
	s := open(t, options(t.TempDir()))
	const minute, month = 60_000, 30 * 24 * 60
	l := series("a")
	peak := month / 3
	for i := 0; i < month; i += 1440 {
		samples := make([]bus.Sample, 1440)
		for k := range samples {
			samples[k] = bus.Sample{T: base + int64(i+k)*minute, V: 1}
			if i+k == peak {
				samples[k].V = 1000
			}
		}
		appendRows(t, s, row(l, samples...))
	}
	hs := historyOf(t, s, base, base+month*minute, 400)
	if len(hs) != 1 || len(hs[0].M4) > 400 {
		t.Fatalf("%d series", len(hs))
	}
	if got := slices.Max(hs[0].M4); got != 1000 {
		t.Errorf("the highest value is %v", got)
	}
}

func TestGapsStayEmptyColumns(t *testing.T) {
	s := open(t, options(t.TempDir()))
	samples := ramp(3000, 1000)
	appendRows(t, s, row(series("a"), slices.Concat(samples[:1000], samples[2000:])...))
	h := historyOf(t, s, base, base+3000*1000, 400)[0]
	empty := 0
	for i := 0; i < len(h.M4); i += 4 {
		column := h.X0 + int64(i/4)*h.Step
		if math.IsNaN(h.M4[i]) {
			empty++
			if column+h.Step > base+1000*1000+h.Step && column < base+2000*1000 {
				continue
			}
			if column <= base+2999*1000 {
				t.Errorf("column at %d s is empty", (column-base)/1000)
			}
		}
	}
	if empty < 30 {
		t.Errorf("%d columns are empty", empty)
	}
}

func TestIntervalIsTheUsualDistanceOfTheNewest(t *testing.T) {
	for name, c := range map[string]struct {
		times []int64
		want  int64
	}{
		"one sample":      {[]int64{0}, 0},
		"two":             {[]int64{0, 250}, 250},
		"with a gap":      {[]int64{0, 1000, 2000, 90000, 91000, 92000}, 1000},
		"jitter":          {[]int64{0, 1003, 2000, 3000, 3999, 5001}, 1000},
		"changed lately":  {append(steps(200, 1000), shift(steps(100, 50), 200_000)...), 50},
		"exactly the cap": {steps(65, 7), 7},
	} {
		t.Run(name, func(t *testing.T) {
			var r, seeded recent
			for _, at := range c.times {
				r.add(at)
			}
			seeded.seed(c.times)
			if r.interval() != c.want || seeded.interval() != c.want {
				t.Errorf("interval %d, seeded %d, want %d", r.interval(), seeded.interval(), c.want)
			}
		})
	}
}

func steps(n int, by int64) []int64 {
	t := make([]int64, n)
	for i := range t {
		t[i] = int64(i) * by
	}
	return t
}

func shift(t []int64, by int64) []int64 {
	for i := range t {
		t[i] += by
	}
	return t
}

func TestHistoryRefusesWhatItCannotAnswer(t *testing.T) {
	s := open(t, options(t.TempDir()))
	appendRows(t, s, row(series("a"), ramp(10, 1000)...))
	q, err := s.Snapshot(base, base+1000)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	ctx := context.Background()
	for name, call := range map[string]func() error{
		"range before the snapshot's": func() error { _, err := q.History(ctx, all(), base-1, base, 100); return err },
		"range after the snapshot's":  func() error { _, err := q.History(ctx, all(), base, base+1001, 100); return err },
		"range turned round":          func() error { _, err := q.History(ctx, all(), base+1, base, 100); return err },
		"too few points":              func() error { _, err := q.History(ctx, all(), base, base, 7); return err },
	} {
		if call() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := q.History(cancelled, all(), base, base+1000, 100); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestSeriesListsThoseWithASampleInTheRange(t *testing.T) {
	s := open(t, options(t.TempDir()))
	appendRows(t, s,
		row(series("ended"), ramp(10, 1000)...),
		row(series("going"), ramp(100, 1000)...),
		row(series("late"), bus.Sample{T: base + 99_000, V: 1}))
	appendRows(t, s, row(series("late"), bus.Sample{T: base + 50_000, V: 1}))
	for _, c := range []struct {
		from, to int64
		want     []string
	}{
		{0, 99_000, []string{"ended", "going", "late"}},
		{9001, 49_000, []string{"going"}},
		{50_000, 50_000, []string{"going", "late"}},
		{50_001, 50_999, nil},
		{100_000, 200_000, nil},
	} {
		ls, err := s.Series(context.Background(), all(), base+c.from, base+c.to)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range ls {
			got = append(got, l.Get(nameLabel))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%d to %d: %v, want %v", c.from, c.to, got, c.want)
		}
	}
}
