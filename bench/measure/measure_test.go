//go:build linux

package measure

import (
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

func TestPercentileIsTheNearestRank(t *testing.T) {
	d := NewDelays()
	if got := d.Percentile(0.99); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
	for ms := 1; ms <= 100; ms++ {
		d.Add(time.Duration(ms) * time.Millisecond)
	}
	for p, want := range map[float64]time.Duration{
		0: time.Millisecond, 0.01: time.Millisecond, 0.5: 50 * time.Millisecond,
		0.99: 99 * time.Millisecond, 0.991: 100 * time.Millisecond, 1: 100 * time.Millisecond,
	} {
		if got := d.Percentile(p); got != want {
			t.Errorf("%v: %v, want %v", p, got, want)
		}
	}
	d.Reset()
	d.Add(-time.Second)
	if got := d.Percentile(1); got != 0 {
		t.Errorf("a clock that went back: %v", got)
	}
	d.Add(time.Hour)
	if got := d.Percentile(1); got != 20*time.Second || d.Len() != 2 {
		t.Errorf("beyond the range: %v of %d", got, d.Len())
	}
}

func TestMedian(t *testing.T) {
	values := []float64{5, 1, 3}
	if got := Median(values); got != 3 || values[0] != 5 {
		t.Errorf("got %v, and the values are now %v", got, values)
	}
	if got := Median([]float64{4, 1, 2, 3}); got != 2.5 {
		t.Errorf("even: %v", got)
	}
	if got := Median(nil); !math.IsNaN(got) {
		t.Errorf("none: %v", got)
	}
}

func TestMetricsAreReadWithTheirLabels(t *testing.T) {
	m, err := parseMetrics(strings.NewReader("# HELP a b c\na 1\nb{x=\"y z\"} 2.5e+06\n\n"))
	if err != nil || len(m) != 2 || m["a"] != 1 || m[`b{x="y z"}`] != 2.5e6 {
		t.Errorf("%v, %v", m, err)
	}
	for _, bad := range []string{"a\n", "a b\n"} {
		if _, err := parseMetrics(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestProcessorTimeGrowsWithWork(t *testing.T) {
	before, err := CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for after := before; after <= before; { // or it works for ever
		if after, err = CPU(os.Getpid()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := CPU(1<<22 + 1); err == nil {
		t.Error("a number above the largest process id has a time")
	}
	if rss, err := Resident(os.Getpid()); err != nil || rss < 1<<20 {
		t.Errorf("%d bytes (%v)", rss, err)
	}
}
