package live

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestBitsetIsASet(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var b bitset
	want := map[uint32]bool{}
	for range 20_000 {
		i := uint32(rng.IntN(5000))
		if rng.IntN(2) == 0 {
			if b.add(i) == want[i] {
				t.Fatalf("add(%d) when it is there: %v", i, want[i])
			}
			want[i] = true
		} else {
			if b.remove(i) != want[i] {
				t.Fatalf("remove(%d) when it is there: %v", i, want[i])
			}
			delete(want, i)
		}
		if b.n != len(want) || b.has(i) != want[i] {
			t.Fatalf("%d members, want %d", b.n, len(want))
		}
	}
}

// Births that are over are dropped, and no search loses its place by it.
func TestCompactKeepsTheOrderAndTheCursors(t *testing.T) {
	h, err := New(Options{Store: newMemStore(), Transport: fakeTransport{}, DefaultSeries: "m"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	var all []*series
	for n := range 3000 {
		s := &newWritten(crowdLabels(n), 0, 0).series
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
	if s := &newWritten(crowdLabels(5000), 0, 0).series; true {
		h.index.add(s)
		if s.slot >= 3000 {
			t.Errorf("the slots of forgotten series are not used again: %d", s.slot)
		}
	}
}
