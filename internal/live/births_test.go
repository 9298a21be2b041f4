package live

import (
	"fmt"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
)

// Births that are over are dropped, and no search loses its place by it.
func TestCompactKeepsTheOrderAndTheCursors(t *testing.T) {
	h := newRecent(0, 0, 0, prometheus.NewRegistry())
	named := func(n int) *series {
		s := newSeries(labels.FromStrings(nameLabel, "m", "n", fmt.Sprint(n)), 0, nil)
		return &s
	}
	var all []*series
	for n := range 3000 {
		s := named(n)
		h.index.add(s)
		h.index.bear(s, 0)
		all = append(all, s)
	}
	before := h.index.all.after(1500)
	for _, s := range all[:2000] {
		h.index.remove(s)
	}
	h.index.bear(all[2500], 7) // born again: the first birth is over
	h.compactOne(&h.index.all)
	if n := len(h.index.all.list); n != 1000 || h.index.all.over != 0 {
		t.Errorf("%d births are kept, %d of them over", n, h.index.all.over)
	}
	if !slices.IsSortedFunc(h.index.all.list, func(a, b birth) int { return int(a.number) - int(b.number) }) {
		t.Error("the order is lost")
	}
	left := h.index.all.after(1500)
	if len(left) != 1000 || left[0].series != all[2000] || left[999].series != all[2500] {
		t.Errorf("%d births follow the cursor", len(left))
	}
	if len(before) != 1500 || before[0].series != all[1500] {
		t.Error("what was returned before has changed")
	}
	for _, s := range all {
		h.index.remove(s)
	}
	h.compact()
	if len(h.index.all.list) > 0 || len(h.index.byName) > 0 {
		t.Errorf("%d births and %d names are kept of series that are gone", len(h.index.all.list), len(h.index.byName))
	}
	if s := named(5000); true {
		h.index.add(s)
		if s.slot >= 3000 {
			t.Errorf("the slots of forgotten series are not used again: %d", s.slot)
		}
	}
}
