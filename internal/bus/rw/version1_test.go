package rw

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/prompb"

	"stripchart/internal/bus"
)

// request1 returns a message of Remote-Write 1.0.
func request1(t testing.TB, series ...prompb.TimeSeries) []byte {
	t.Helper()
	raw, err := (&prompb.WriteRequest{Timeseries: series, Metadata: []prompb.MetricMetadata{{MetricFamilyName: "m", Help: "x"}}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func spelled(namesAndValues ...string) (ls []prompb.Label) {
	for i := 0; i < len(namesAndValues); i += 2 {
		ls = append(ls, prompb.Label{Name: namesAndValues[i], Value: namesAndValues[i+1]})
	}
	return ls
}

func at1(times ...int64) (out []prompb.Sample) {
	for i, ts := range times {
		out = append(out, prompb.Sample{Timestamp: ts, Value: float64(i)})
	}
	return out
}

// Both versions carry the same batch.
func TestABatchIsTheSameInVersion1(t *testing.T) {
	d := NewDecoder(Limits{})
	for range 2 { // and again with what the decoder remembers of the other version
		var all []prompb.TimeSeries
		for _, s := range awkward().Series {
			one := prompb.TimeSeries{Labels: prompb.FromLabels(s.Labels, nil)}
			for _, x := range s.Samples {
				one.Samples = append(one.Samples, prompb.Sample{Timestamp: x.T, Value: x.V})
			}
			all = append(all, one)
		}
		got, report, err := d.DecodeMessage1(request1(t, all...))
		if err != nil || report.Lost() {
			t.Fatalf("%+v, %v", report, err)
		}
		want, _, err := d.Decode(Encode(awkward()))
		if err != nil {
			t.Fatal(err)
		}
		if err := same(got, want); err != nil {
			t.Error(err)
		}
	}
}

func TestVersion1SeriesAreMadeToFitOrRefused(t *testing.T) {
	many := spelled("__name__", "m")
	for i := range 70 {
		many = append(many, prompb.Label{Name: fmt.Sprint("l", i), Value: "x"})
	}
	endless := spelled("__name__", "m")
	for range 1000 {
		endless = append(endless, prompb.Label{Name: "a", Value: ""})
	}
	good := prompb.TimeSeries{Labels: spelled("__name__", "good"), Samples: at1(1)}
	for _, c := range []struct {
		name   string
		series prompb.TimeSeries
		labels string // "": refused
		says   string
		values string
	}{
		{"unsorted", prompb.TimeSeries{Labels: spelled("b", "2", "__name__", "m", "a", "1"), Samples: at1(1)}, `{__name__="m", a="1", b="2"}`, "", "[{1 0}]"},
		{"an empty value", prompb.TimeSeries{Labels: spelled("__name__", "m", "a", ""), Samples: at1(1)}, `{__name__="m"}`, "", "[{1 0}]"},
		{"unsorted samples", prompb.TimeSeries{Labels: spelled("__name__", "m"), Samples: at1(3, 1, 2)}, `{__name__="m"}`, "", "[{1 1} {2 2} {3 0}]"},
		{"two values at one time", prompb.TimeSeries{Labels: spelled("__name__", "m"), Samples: at1(1, 1)}, `{__name__="m"}`, "", "[{1 0}]"},
		{"a label twice", prompb.TimeSeries{Labels: spelled("__name__", "m", "a", "1", "a", "1"), Samples: at1(1)}, "", "there twice", ""},
		{"no name", prompb.TimeSeries{Labels: spelled("a", "1"), Samples: at1(1)}, "", "no metric name", ""},
		{"an empty label name", prompb.TimeSeries{Labels: spelled("__name__", "m", "", "1"), Samples: at1(1)}, "", "has no name", ""},
		{"no labels", prompb.TimeSeries{Samples: at1(1)}, "", "no metric name", ""},
		{"not UTF-8", prompb.TimeSeries{Labels: spelled("__name__", "m", "a", "\xff"), Samples: at1(1)}, "", "not UTF-8", ""},
		{"a long value", prompb.TimeSeries{Labels: spelled("__name__", "m", "a", strings.Repeat("v", 3000)), Samples: at1(1)}, "", "3000 bytes", ""},
		{"many labels", prompb.TimeSeries{Labels: many, Samples: at1(1)}, "", "more than 64 labels", ""},
		{"labels without end", prompb.TimeSeries{Labels: endless, Samples: at1(1)}, "", "more than 256 labels", ""},
	} {
		b, report, err := NewDecoder(Limits{}).DecodeMessage1(request1(t, good, c.series, good))
		if err != nil || len(b.Series) == 0 || b.Series[0].Labels.Get("__name__") != "good" {
			t.Errorf("%s: %+v, %v: the good series is not kept", c.name, b, err)
			continue
		}
		if c.labels == "" {
			if len(b.Series) != 1 || report.Series != 1 || report.Refused != 1 || !strings.Contains(report.Errors[0].Error(), c.says) {
				t.Errorf("%s: %v, %+v", c.name, b.Series, report)
			}
			continue
		}
		if len(b.Series) != 2 || b.Series[1].Labels.String() != c.labels || fmt.Sprint(b.Series[1].Samples) != c.values {
			t.Errorf("%s: %v, %+v", c.name, b.Series, report)
		}
	}
}

func TestVersion1CountsWhatHasNoPlace(t *testing.T) {
	b, report, err := NewDecoder(Limits{}).DecodeMessage1(request1(t,
		prompb.TimeSeries{Labels: spelled("__name__", "m"), Samples: at1(1), Exemplars: make([]prompb.Exemplar, 2)},
		prompb.TimeSeries{Labels: spelled("__name__", "h"), Histograms: make([]prompb.Histogram, 3)},
	))
	if err != nil || b.Samples() != 1 || report.Exemplars != 2 || report.Histograms != 3 {
		t.Errorf("%+v, %+v, %v", b, report, err)
	}
}

func FuzzDecodeVersion1(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0xff})
	f.Add([]byte{0x0a, 4, 0x0a, 2, 0x0a, 0})
	f.Add(request1(f, prompb.TimeSeries{Labels: spelled("b", "2", "__name__", "m", "a", ""), Samples: at1(3, 1, 1), Exemplars: make([]prompb.Exemplar, 1)},
		prompb.TimeSeries{Labels: spelled("__name__", "m", "b", "2"), Samples: []prompb.Sample{{Timestamp: 5, Value: math.NaN()}}},
		prompb.TimeSeries{Labels: spelled("a", "1", "a", "1"), Samples: at1(1)}))
	kept := NewDecoder(Limits{Bytes: 1 << 20})
	f.Fuzz(func(t *testing.T, p []byte) {
		got, report, err := NewDecoder(Limits{Bytes: 1 << 20}).DecodeMessage1(p)
		again, report2, err2 := kept.DecodeMessage1(p)
		if (err == nil) != (err2 == nil) {
			t.Fatalf("a fresh decoder says %v, a used one %v", err, err2)
		}
		if err != nil {
			return
		}
		if err := same(got, again); err != nil || fmt.Sprint(report) != fmt.Sprint(report2) {
			t.Fatalf("a fresh decoder and a used one: %v, %v and %v", err, report, report2)
		}
		// What is kept can be written as 2.0, and read, without any loss.
		back, lost, err := Decode(Encode(&bus.Batch{Series: got.Series}), Limits{})
		if err != nil || lost.Lost() {
			t.Fatal(err, lost)
		}
		if err := same(back, got); err != nil {
			t.Fatal(err)
		}
	})
}
