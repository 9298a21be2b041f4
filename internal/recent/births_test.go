package recent

import (
	"fmt"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
)

// Births that are over are dropped, and no search loses its place by it.
func TestCompactKeepsTheOrderAndTheCursors(t *testing.T) {
	h := New(0, 0, 0, prometheus.NewRegistry())
	named := func(n int) *Series {
		s := NewSeries(labels.FromStrings(NameLabel, "m", "n", fmt.Sprint(n)), 0, nil)
		return &s
	}
	var all []*Series
	for n := range 3000 {
		s := named(n)
		h.Index.add(s)
		h.Index.bear(s, 0)
		all = append(all, s)
	}
	before := h.Index.AllBirths.After(1500)
	for _, s := range all[:2000] {
		h.Index.Remove(s)
	}
	h.Index.bear(all[2500], 7) // born again: the first birth is over
	h.compactOne(&h.Index.AllBirths)
	if n := len(h.Index.AllBirths.list); n != 1000 || h.Index.AllBirths.over != 0 {
		t.Errorf("%d births are kept, %d of them over", n, h.Index.AllBirths.over)
	}
	if !slices.IsSortedFunc(h.Index.AllBirths.list, func(a, b Birth) int { return int(a.Number) - int(b.Number) }) {
		t.Error("the order is lost")
	}
	left := h.Index.AllBirths.After(1500)
	if len(left) != 1000 || left[0].Series != all[2000] || left[999].Series != all[2500] {
		t.Errorf("%d births follow the cursor", len(left))
	}
	if len(before) != 1500 || before[0].Series != all[1500] {
		t.Error("what was returned before has changed")
	}
	for _, s := range all {
		h.Index.Remove(s)
	}
	h.Compact()
	if len(h.Index.AllBirths.list) > 0 || len(h.Index.byName) > 0 {
		t.Errorf("%d births and %d names are kept of series that are gone", len(h.Index.AllBirths.list), len(h.Index.byName))
	}
	if s := named(5000); true {
		h.Index.add(s)
		if s.Slot >= 3000 {
			t.Errorf("the slots of forgotten series are not used again: %d", s.Slot)
		}
	}
}
