package recent

import (
	"testing"

	"stripchart/internal/bus"
)

// A batch leaves the ring as a whole, and what is found by its position is what came
// after all of it.
func TestTheRingKeepsABatchWhole(t *testing.T) {
	at := func(ms int64) bus.Position { return bus.Position{Epoch: "e", Offset: bus.Offset{Ms: ms}} }
	r := Ring{maxBytes: 1000, maxAge: 1 << 40}
	r.Restart(at(0))
	add := func(ms int64, more ...bool) {
		for _, m := range more {
			r.Add(Entry{Position: at(ms), Size: 100, More: m})
		}
	}
	add(1, false)
	add(2, true, true, false)
	add(3, true)
	for i, want := range []int64{0, 1, 1, 1, 2, 2} {
		if got := r.Position(uint64(i)); got != at(want) {
			t.Errorf("before entry %d the position is %v, want %d", i, got, want)
		}
	}
	for ms, want := range []uint64{0, 1, 4} {
		if got, covered := r.Find(at(int64(ms))); got != want || !covered {
			t.Errorf("behind %d comes entry %d (%v), want %d", ms, got, covered, want)
		}
	}
	add(3, true, true, true, true, true, true, false) // 8 pieces
	if r.first != 4 || r.before != at(2) {
		t.Errorf("the ring begins with entry %d behind %v, want what fits: the batch of 8 pieces", r.first, r.before)
	}
	for range 20 {
		add(4, true)
	}
	if got := r.Position(r.End()); got != at(3) {
		t.Errorf("the end is at %v, want 3", got)
	}
	if _, covered := r.Find(at(2)); covered {
		t.Error("a batch whose beginning is gone is covered")
	}
	bytes := 0
	for _, e := range r.entries {
		bytes += e.Size
	}
	if bytes != r.bytes {
		t.Errorf("%d bytes are counted, and %d are there", r.bytes, bytes)
	}
}

// Gaps that are declared between two pieces of a batch do not end it: who has seen what
// came before the batch would be sent the second piece alone, once the first is dropped.
func TestAnEntryOfGapsDoesNotEndABatch(t *testing.T) {
	at := func(ms int64) bus.Position { return bus.Position{Epoch: "e", Offset: bus.Offset{Ms: ms}} }
	r := Ring{maxBytes: 1 << 20, maxAge: 1000}
	r.Restart(at(1))
	r.Add(r.GapsOnly(nil, 1))
	r.Add(Entry{Position: at(2), At: 2, More: true})
	r.Add(r.GapsOnly(nil, 2))
	if p := r.Position(r.End()); p != at(1) {
		t.Errorf("after half a batch the position is %s, want %s", p, at(1))
	}
	r.Add(Entry{Position: at(2), At: 2})
	r.Add(r.GapsOnly(nil, 3))
	if p := r.Position(r.End()); p != at(2) {
		t.Errorf("after the batch the position is %s, want %s", p, at(2))
	}
	r.drop(2) // the gaps before it, and half of it
	if _, covered := r.Find(at(1)); covered {
		t.Error("the ring begins inside of a batch, and goes on from before it")
	}
}
