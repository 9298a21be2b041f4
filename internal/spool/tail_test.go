package spool

import "testing"

func TestWhatIsPublishedAgainHasNoHole(t *testing.T) {
	var m marks
	if m.from() != ^uint64(0) {
		t.Errorf("nothing was acknowledged, but %d is published again", m.from())
	}
	for seq := uint64(1); seq <= 5; seq++ {
		m.add(header{seq: seq, time: base + int64(seq)*1000})
	}
	if m.from() != 1 {
		t.Errorf("published again from %d, want 1", m.from())
	}
	m.add(header{seq: 9, time: base + 6000}) // 6 to 8 ended with a process whose disk was full
	m.add(header{seq: 12, merged: 2, time: base + 7000})
	if m.from() != 9 {
		t.Errorf("published again from %d, want 9", m.from())
	}
	m.add(header{seq: 13, time: base + 17_000})
	if m.from() != 13 {
		t.Errorf("published again from %d, want 13: the last 10 s", m.from())
	}
}
