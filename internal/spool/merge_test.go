package spool

import (
	"reflect"
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
)

func TestMergedSeriesAreJoined(t *testing.T) {
	a, b := labels.FromStrings("__name__", "a"), labels.FromStrings("__name__", "b")
	samples := func(tv ...float64) (s []bus.Sample) {
		for i := 0; i < len(tv); i += 2 {
			s = append(s, bus.Sample{T: int64(tv[i]), V: tv[i+1]})
		}
		return s
	}
	spare := append(make([]bus.Sample, 0, 10), samples(1, 1, 3, 3)...)
	batches := []*bus.Batch{
		{Sequence: bus.Sequence{Source: "s", Seq: 7, Merged: 2}, Series: []bus.Series{{Labels: a, Samples: spare}}},
		{Sequence: bus.Sequence{Source: "s", Seq: 8}, Series: []bus.Series{{Labels: b, Samples: samples(4, 4)}, {Labels: a, Samples: samples(2, 2, 3, 30, 5, 5)}}},
		{Sequence: bus.Sequence{Source: "s", Seq: 10, Merged: 1}, Series: []bus.Series{{Labels: b, Samples: samples(5, 5)}}},
	}
	var entries []entry
	for _, b := range batches {
		entries = append(entries, entry{header: headerOf(b), batch: b})
	}
	want := &bus.Batch{Sequence: bus.Sequence{Source: "s", Seq: 10, Merged: 5}, Series: []bus.Series{
		{Labels: a, Samples: samples(1, 1, 2, 2, 3, 3, 5, 5)}, // the first value of 3 stays
		{Labels: b, Samples: samples(4, 4, 5, 5)},
	}}
	if got := merge(entries); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	if spare[:3][2] != (bus.Sample{}) || spare[1].T != 3 {
		t.Errorf("merging changed a batch: %v", spare[:3])
	}
	if merge(entries[1:2]) != batches[1] {
		t.Error("a single batch was copied")
	}
}

func TestMergingHasBounds(t *testing.T) {
	e := func(seq uint64, size, samples int) entry {
		return entry{header: header{seq: seq}, size: size, samples: samples}
	}
	many := gathering{limit: maxMergeBatches}
	for i := range uint64(maxMergeBatches) {
		if !many.take(e(i+1, 1, 1)) {
			t.Fatalf("batch %d was not taken", i)
		}
	}
	if many.take(e(maxMergeBatches+1, 1, 1)) {
		t.Error("one batch too many")
	}
	for name, next := range map[string]entry{
		"bytes": e(2, maxMergeBytes, 1), "samples": e(2, 1, maxMergeSamples), "a hole": e(3, 1, 1),
	} {
		g := gathering{limit: maxMergeBatches}
		if !g.take(e(1, maxMergeBytes+1-1, 1)) || g.take(next) {
			t.Errorf("%s: not bounded", name)
		}
	}
	behind := gathering{after: 4, limit: maxMergeBatches}
	if !behind.take(e(7, 1, 1)) || behind.take(e(8, 1, 1)) {
		t.Error("the batch behind a hole does not go alone")
	}
	alone := gathering{limit: maxMergeBatches}
	if !alone.take(e(1, 10*maxMergeBytes, 1)) {
		t.Error("a large batch cannot be sent at all")
	}
}
