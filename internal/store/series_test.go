package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
)

// The bound of series is worth something only if series that end are forgotten.
func TestSeriesThatEndedLeaveMemory(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	at := time.Now().Add(-4 * time.Hour).UnixMilli()
	var old []Row
	var all []labels.Labels
	for n := range 1000 {
		l := labels.FromStrings("__name__", "old", "n", fmt.Sprint(n))
		all = append(all, l)
		old = append(old, Row{Ref: new(Ref), Labels: l, Samples: []bus.Sample{{T: at, V: 1}}})
	}
	if err := s.Append(old); err != nil {
		t.Fatal(err)
	}
	stays := labels.FromStrings("__name__", "stays")
	all = append(all, stays, labels.FromStrings("__name__", "never"))
	ref := new(Ref)
	write := func(minutes int) {
		t.Helper()
		x := bus.Sample{T: at + int64(minutes)*60_000, V: 1}
		if err := s.Append([]Row{{Ref: ref, Labels: stays, Samples: []bus.Sample{x}}}); err != nil {
			t.Fatal(err)
		}
	}
	write(0)
	if n := s.SeriesInMemory(); n != 1001 {
		t.Errorf("%d series in memory, want 1001", n)
	}
	for i, there := range s.InMemory(all) {
		if there != (i < 1001) {
			t.Fatalf("%v in memory: %v", all[i], there)
		}
	}
	for minutes := 1; minutes <= 240; minutes++ {
		write(minutes)
	}
	for end := time.Now().Add(2 * time.Minute); s.SeriesInMemory() > 1; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d series are still in memory, 4 hours behind their end", s.SeriesInMemory())
		}
	}
	if got := s.InMemory(all); got[0] || !got[1000] || got[1001] {
		t.Errorf("in memory: an old one %v, the one that stays %v, one that never was %v", got[0], got[1000], got[1001])
	}
}
