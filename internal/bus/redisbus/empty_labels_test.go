package redisbus

import (
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/bus/redisbus/redistest"
)

// An older version put labels with empty values on the log. To the store they are not
// there, and a reader that kept them would know two series where there is one.
func TestEmptyLabelsThatAnOlderVersionPutOnTheLogAreLeftOut(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	b := open(t, Options{URL: s.URL})
	publish(t, b, &bus.Batch{Series: []bus.Series{
		{Labels: labels.FromStrings("__name__", "m", "a", ""), Samples: []bus.Sample{{T: 1, V: 2}}},
		{Labels: labels.FromStrings("__name__", "m"), Samples: []bus.Sample{{T: 1, V: 99}, {T: 2, V: 3}}},
	}})
	got := read(t, b, bus.Position{}, 1)[0].Batch
	if len(got.Series) != 1 || !labels.Equal(got.Series[0].Labels, labels.FromStrings("__name__", "m")) {
		t.Fatalf("read: %v", got.Series)
	}
	if s := got.Series[0].Samples; len(s) != 2 || s[0] != (bus.Sample{T: 1, V: 2}) || s[1] != (bus.Sample{T: 2, V: 3}) {
		t.Errorf("the samples are %v; the first value of a time stands", s)
	}
}
