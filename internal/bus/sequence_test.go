package bus

import "testing"

func TestASequenceThatCannotBeIsRefused(t *testing.T) {
	for _, c := range []struct {
		s  Sequence
		ok bool
	}{
		{Sequence{}, true},
		{Sequence{Source: "a", Seq: 1}, true},
		{Sequence{Source: "a", Seq: MaxSeq, Merged: MaxSeq - 1}, true},
		{Sequence{Source: "a", Seq: 9, Merged: 2, Dropped: 6, DroppedAfter: -1}, true},
		{Sequence{Source: "b\u00fcro", Seq: 1}, true},
		{Sequence{Source: "a"}, false},
		{Sequence{Seq: 1}, false},
		{Sequence{Source: "a", Seq: MaxSeq + 1}, false},
		{Sequence{Source: "a", Seq: 2, Merged: 2}, false},
		{Sequence{Merged: 1}, false},
		{Sequence{Dropped: 1}, false},
		{Sequence{Source: "a", Seq: 9, Merged: 2, Dropped: 7}, false},
	} {
		if err := c.s.Check(); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.s, err)
		}
	}
}
