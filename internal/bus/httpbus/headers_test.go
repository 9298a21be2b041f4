package httpbus

import (
	"net/http"
	"testing"

	"stripchart/internal/bus"
)

func TestSequenceIsWholeOrAbsent(t *testing.T) {
	for _, c := range []struct {
		source, seq, merged []string
		dropped, after      []string
		ok                  bool
	}{
		{nil, nil, nil, nil, nil, true},
		{[]string{"a"}, []string{"1"}, []string{"0"}, nil, nil, true},
		{[]string{"a"}, []string{"9007199254740991"}, []string{"9007199254740990"}, nil, nil, true},
		{[]string{"a"}, []string{"9007199254740992"}, []string{"0"}, nil, nil, false},
		{[]string{"a"}, []string{"18446744073709551615"}, []string{"0"}, nil, nil, false},
		{[]string{"a"}, []string{"1"}, nil, nil, nil, false},
		{[]string{"a"}, nil, []string{"0"}, nil, nil, false},
		{nil, []string{"1"}, []string{"0"}, nil, nil, false},
		{[]string{"a", "b"}, []string{"1"}, []string{"0"}, nil, nil, false},
		{[]string{"a"}, []string{"1", "1"}, []string{"0"}, nil, nil, false},
		{[]string{""}, []string{"1"}, []string{"0"}, nil, nil, false},
		{[]string{"a"}, []string{"0"}, []string{"0"}, nil, nil, false},
		{[]string{"a"}, []string{"2"}, []string{"2"}, nil, nil, false},
		{[]string{"a"}, []string{"+2"}, []string{"0"}, nil, nil, false},
		{[]string{"a"}, []string{"2"}, []string{"-1"}, nil, nil, false},
		{[]string{"a"}, []string{"9"}, []string{"2"}, []string{"6"}, []string{"-1"}, true},
		{[]string{"a"}, []string{"9"}, []string{"2"}, []string{"7"}, []string{"1"}, false},
		{[]string{"a"}, []string{"9"}, []string{"2"}, []string{"0"}, []string{"1"}, false},
		{[]string{"a"}, []string{"9"}, []string{"2"}, []string{"1"}, nil, false},
		{[]string{"a"}, []string{"9"}, []string{"2"}, nil, []string{"1"}, false},
		{[]string{"a"}, []string{"9"}, []string{"2"}, []string{"1"}, []string{"now"}, false},
		{nil, nil, nil, []string{"1"}, []string{"1"}, false},
		{[]string{"a\x00"}, []string{"2"}, []string{"0"}, nil, nil, false},
	} {
		h := http.Header{HeaderSource: c.source, HeaderSeq: c.seq, HeaderMerged: c.merged, HeaderDropped: c.dropped, HeaderDroppedAfter: c.after}
		s, err := ReadSequence(h)
		if (err == nil) != c.ok || err != nil && s != (bus.Sequence{}) {
			t.Errorf("%v: %+v, %v", h, s, err)
		}
		if err != nil {
			continue
		}
		again := http.Header{}
		if err := WriteSequence(again, s); err != nil {
			t.Error(err)
		}
		if s2, err := ReadSequence(again); err != nil || s2 != s {
			t.Errorf("%+v became %+v, %v", s, s2, err)
		}
	}
}
