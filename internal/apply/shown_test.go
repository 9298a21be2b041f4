package apply

import (
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/recent"
)

func TestWhatIsRememberedOfWhatWasShownIsBounded(t *testing.T) {
	x := shown{most: 1000}
	for i := range int64(10_000) {
		x.add(uint64(i%7), []bus.Sample{{T: i, V: float64(i)}})
		if x.count > 1000 {
			t.Fatalf("%d are remembered", x.count)
		}
	}
	if v, there, sure := x.value(9_999%7, 9_999); v != 9_999 || !there || !sure {
		t.Errorf("the newest is %v, %v, %v", v, there, sure)
	}
	if _, there, sure := x.value(0, 7); there || sure || !x.withheld {
		t.Error("what was forgotten is taken for known")
	}
	if _, _, sure := x.value(8, 7); !sure {
		t.Error("a series that nothing was shown of is not sure")
	}
}

// Samples of a commit that failed are in doubt until they are in the ring.
func TestDoubtsAreSettled(t *testing.T) {
	d := doubts{times: map[*series]map[int64]struct{}{}}
	s := newSeries(labels.FromStrings("n", "0"), 0, 0)
	samples := []bus.Sample{{T: 1}, {T: 2}}
	parts := []writing{{Part: recent.Part{Series: &s.Series, Samples: samples, Fresh: samples}, of: s}}
	d.add(parts)
	if !d.has(s, 1) || !d.has(s, 2) || d.has(s, 3) || s.floor != 2 {
		t.Errorf("the samples are not in doubt, or the store is not asked about them: %+v, floor %d", d, s.floor)
	}
	d.settle(parts)
	if len(d.times) != 0 || d.count != 0 {
		t.Errorf("doubts are left: %v, %d", d.times, d.count)
	}
}
