package rw

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/labels"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"go.uber.org/goleak"

	"stripchart/internal/bus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// same says where a and b differ, to the bit.
func same(a, b *bus.Batch) error {
	if len(a.Series) != len(b.Series) {
		return fmt.Errorf("%d and %d series", len(a.Series), len(b.Series))
	}
	for i := range a.Series {
		x, y := a.Series[i], b.Series[i]
		if !labels.Equal(x.Labels, y.Labels) || len(x.Samples) != len(y.Samples) {
			return fmt.Errorf("series %d: %v (%d samples) and %v (%d)", i, x.Labels, len(x.Samples), y.Labels, len(y.Samples))
		}
		for k := range x.Samples {
			p, q := x.Samples[k], y.Samples[k]
			if p.T != q.T || math.Float64bits(p.V) != math.Float64bits(q.V) {
				return fmt.Errorf("series %d, sample %d: %v and %v", i, k, p, q)
			}
		}
	}
	return nil
}

func awkward() *bus.Batch {
	values := []float64{
		0, 1.5, -1e300, 5e-324, math.Inf(1), math.Inf(-1), math.NaN(),
		math.Float64frombits(0x7ff0000000000002), // Prometheus's mark of a series that ended
		math.Float64frombits(0xfff8000000000abc),
	}
	b := &bus.Batch{}
	for i, l := range []labels.Labels{
		labels.FromStrings("__name__", "a"),
		labels.FromStrings("__name__", "a", "b", "c"),
		labels.FromStrings("__name__", "température", "où", "日本\n\"\\"),
		labels.FromStrings("__name__", "b", "a", "b", "b", "a"),
	} {
		s := bus.Series{Labels: l}
		for k, v := range values {
			s.Samples = append(s.Samples, bus.Sample{T: int64(k*i) - 3 + int64(k), V: v})
		}
		b.Series = append(b.Series, s)
	}
	b.Series = append(b.Series, bus.Series{Labels: labels.FromStrings("__name__", "times"), Samples: []bus.Sample{
		{T: math.MinInt64}, {T: -1}, {T: 0}, {T: 1}, {T: math.MaxInt64},
	}})
	return b
}

func TestABatchSurvivesTheWayToTheBit(t *testing.T) {
	var e Encoder
	d := NewDecoder(Limits{})
	for range 3 { // the second time everything is reused
		for _, want := range []*bus.Batch{awkward(), {}, many(100, 3)} {
			got, report, err := d.Decode(e.Append(nil, want))
			if err != nil || report.Lost() {
				t.Fatalf("decode: %v, %+v", err, report)
			}
			if err := same(got, want); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestAppendKeepsWhatIsBefore(t *testing.T) {
	p := new(Encoder).Append([]byte("before"), awkward())
	if !strings.HasPrefix(string(p), "before") {
		t.Fatalf("the beginning is %q", p[:6])
	}
	got, _, err := Decode(p[6:], Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := same(got, awkward()); err != nil {
		t.Fatal(err)
	}
}

// A decoded batch lives on in the ring while its decoder reads the next.
func TestABatchKeepsNothingOfItsDecoder(t *testing.T) {
	d := NewDecoder(Limits{})
	p := Encode(awkward())
	got, _, err := d.Decode(p)
	if err != nil {
		t.Fatal(err)
	}
	clear(p)
	for i := range 10 {
		if _, _, err := d.Decode(Encode(many(50, i+1))); err != nil {
			t.Fatal(err)
		}
	}
	if err := same(got, awkward()); err != nil {
		t.Fatal(err)
	}
}

// What we write is what Prometheus's own type reads.
func TestARequestIsPrometheus(t *testing.T) {
	raw, err := snappy.Decode(nil, Encode(awkward()))
	if err != nil {
		t.Fatal(err)
	}
	var r writev2.Request
	if err := r.Unmarshal(raw); err != nil {
		t.Fatal(err)
	}
	if r.Symbols[0] != "" {
		t.Errorf("the first symbol is %q; the specification wants it empty", r.Symbols[0])
	}
	builder := labels.NewScratchBuilder(0)
	for i, s := range r.Timeseries {
		l, err := s.ToLabels(&builder, r.Symbols)
		if want := awkward().Series[i]; err != nil || !labels.Equal(l, want.Labels) || len(s.Samples) != len(want.Samples) {
			t.Errorf("series %d is %v with %d samples (%v), want %v with %d", i, l, len(s.Samples), err, want.Labels, len(want.Samples))
		}
	}
}

// request returns the bytes of a stranger's request.
func request(t testing.TB, r writev2.Request) []byte {
	t.Helper()
	raw, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return snappy.Encode(nil, raw)
}

func at(times ...int64) (out []writev2.Sample) {
	for i, ts := range times {
		out = append(out, writev2.Sample{Timestamp: ts, Value: float64(i)})
	}
	return out
}

func TestStrangersSeriesAreMadeToFitOrRefused(t *testing.T) {
	symbols := []string{"", "__name__", "m", "a", "1", "b", "2", "\xff"}
	one := at(1)
	for _, c := range []struct {
		name   string
		series []writev2.TimeSeries
		want   string // series and times
		report Report // without errors
		says   string
	}{
		{"labels out of order", []writev2.TimeSeries{{LabelsRefs: []uint32{5, 6, 3, 4, 1, 2}, Samples: one}}, `{__name__="m", a="1", b="2"} 1;`, Report{}, ""},
		{"no metric name", []writev2.TimeSeries{{LabelsRefs: []uint32{3, 4}, Samples: one}}, "", Report{Series: 1, Refused: 1}, "no metric name"},
		{"empty metric name", []writev2.TimeSeries{{LabelsRefs: []uint32{1, 0}, Samples: one}}, "", Report{Series: 1, Refused: 1}, "no metric name"},
		{"label without a name", []writev2.TimeSeries{{LabelsRefs: []uint32{0, 4, 1, 2}, Samples: one}}, "", Report{Series: 1, Refused: 1}, "has no name"},
		{"label twice", []writev2.TimeSeries{{LabelsRefs: []uint32{1, 2, 3, 4, 3, 6}, Samples: one}}, "", Report{Series: 1, Refused: 1}, `"a" is there twice`},
		{"odd references", []writev2.TimeSeries{{LabelsRefs: []uint32{1, 2, 3}, Samples: one}}, "", Report{Series: 1, Refused: 1}, "odd length"},
		{"reference beyond the symbols", []writev2.TimeSeries{{LabelsRefs: []uint32{1, 8}, Samples: one}}, "", Report{Series: 1, Refused: 1}, "outside of the 8 symbols"},
		{"not UTF-8", []writev2.TimeSeries{{LabelsRefs: []uint32{1, 2, 3, 7}, Samples: at(1, 2)}}, "", Report{Series: 1, Refused: 2}, "not UTF-8"},
		{"the good beside the bad", []writev2.TimeSeries{{LabelsRefs: []uint32{3, 4}, Samples: one}, {LabelsRefs: []uint32{1, 2}, Samples: one}}, `{__name__="m"} 1;`, Report{Series: 1, Refused: 1}, "series 0"},
		{"times out of order", []writev2.TimeSeries{{LabelsRefs: []uint32{1, 2}, Samples: at(3, 1, 2)}}, `{__name__="m"} 1 2 3;`, Report{}, ""},
		{"a time twice with two values", []writev2.TimeSeries{{LabelsRefs: []uint32{1, 2}, Samples: at(1, 1, 2)}}, `{__name__="m"} 1 2;`, Report{Conflicts: 1}, ""},
		{"a time twice with one value", []writev2.TimeSeries{{LabelsRefs: []uint32{1, 2}, Samples: append(at(1), at(1)...)}}, `{__name__="m"} 1;`, Report{}, ""},
		{"a series twice", []writev2.TimeSeries{{LabelsRefs: []uint32{1, 2}, Samples: at(1, 4)}, {LabelsRefs: []uint32{1, 2, 3, 4}, Samples: one}, {LabelsRefs: []uint32{1, 2}, Samples: at(2, 3)}}, `{__name__="m"} 1 2 3 4;{__name__="m", a="1"} 1;`, Report{}, ""},
		{"an empty value", []writev2.TimeSeries{{LabelsRefs: []uint32{1, 2, 3, 0, 5, 6}, Samples: one}}, `{__name__="m", b="2"} 1;`, Report{}, ""},
		{"an empty value beside one with that name", []writev2.TimeSeries{{LabelsRefs: []uint32{1, 2, 3, 0, 3, 4}, Samples: one}}, `{__name__="m", a="1"} 1;`, Report{}, ""},
		{"a series twice, with and without an empty value", []writev2.TimeSeries{{LabelsRefs: []uint32{1, 2, 3, 0}, Samples: at(1)}, {LabelsRefs: []uint32{1, 2}, Samples: at(2)}, {LabelsRefs: []uint32{5, 0, 1, 2}, Samples: at(3)}}, `{__name__="m"} 1 2 3;`, Report{}, ""},
		{"a series twice, with an empty value and two values at one time", []writev2.TimeSeries{{LabelsRefs: []uint32{1, 2}, Samples: at(1, 2)}, {LabelsRefs: []uint32{1, 2, 3, 0}, Samples: at(2)}}, `{__name__="m"} 1 2;`, Report{Conflicts: 1}, ""},
		{"a series twice, in two orders", []writev2.TimeSeries{{LabelsRefs: []uint32{3, 4, 1, 2}, Samples: at(1)}, {LabelsRefs: []uint32{1, 2, 3, 4}, Samples: at(2)}}, `{__name__="m", a="1"} 1 2;`, Report{}, ""},
		{"histograms and exemplars", []writev2.TimeSeries{{LabelsRefs: []uint32{1, 2}, Histograms: make([]writev2.Histogram, 2), Exemplars: make([]writev2.Exemplar, 3)}}, "", Report{Histograms: 2, Exemplars: 3}, ""},
		{"metadata alone", []writev2.TimeSeries{{LabelsRefs: []uint32{1, 2}, Metadata: writev2.Metadata{HelpRef: 4}}}, "", Report{}, ""},
		{"too many labels", []writev2.TimeSeries{{LabelsRefs: make([]uint32, 2*maxPairs+2), Samples: one}}, "", Report{Series: 1, Refused: 1}, "more than 256 labels"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, report, err := Decode(request(t, writev2.Request{Symbols: symbols, Timeseries: c.series}), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, s := range b.Series {
				fmt.Fprint(&got, s.Labels)
				for _, x := range s.Samples {
					fmt.Fprint(&got, " ", x.T)
				}
				got.WriteByte(';')
			}
			if got.String() != c.want {
				t.Errorf("got %s, want %s", &got, c.want)
			}
			if said := fmt.Sprint(report.Errors); !strings.Contains(said, c.says) || (c.says == "") != (report.Errors == nil) {
				t.Errorf("errors %s, want %q", said, c.says)
			}
			report.Errors = nil
			if fmt.Sprint(report) != fmt.Sprint(c.report) {
				t.Errorf("report %+v, want %+v", report, c.report)
			}
		})
	}
}

func TestRequestsBeyondALimitAreRefusedWhole(t *testing.T) {
	small := request(t, writev2.Request{Symbols: []string{"", "__name__", "m"}, Timeseries: []writev2.TimeSeries{
		{LabelsRefs: []uint32{1, 2}, Samples: at(1, 2)}, {LabelsRefs: []uint32{1, 2}, Samples: at(3)},
	}})
	for _, c := range []struct {
		name   string
		p      []byte
		limits Limits
		want   error
	}{
		{"within", small, Limits{Bytes: 1000, Series: 2, Samples: 3}, nil},
		{"bytes", small, Limits{Bytes: 10}, ErrTooLarge},
		{"series", small, Limits{Series: 1}, ErrTooLarge},
		{"samples", small, Limits{Samples: 2}, ErrTooLarge},
		{"symbols", small, Limits{Symbols: 2}, ErrTooLarge},
		{"symbols, within", small, Limits{Symbols: 3}, nil},
		{"labels of all series", small, Limits{AllLabels: 10}, ErrTooLarge},
		{"length announced only", []byte{0xff, 0xff, 0xff, 0xff, 0x0f}, Limits{}, ErrTooLarge},
		{"not snappy", []byte("hello"), Limits{}, ErrMalformed},
		{"not a request", snappy.Encode(nil, []byte{0xff}), Limits{}, ErrMalformed},
		{"cut in a sample", snappy.Encode(nil, []byte{0x2a, 4, 0x12, 2, 0x09, 1}), Limits{}, ErrMalformed},
		{"empty", nil, Limits{}, ErrMalformed},
	} {
		if _, _, err := Decode(c.p, c.limits); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// A request of a few bytes can name a million symbols, and refer to one long symbol
// any number of times.
func TestMemoryOfARequestIsBoundedByWhatItSpellsOut(t *testing.T) {
	r := writev2.Request{Symbols: []string{"", "__name__", "m", strings.Repeat("v", 1<<20)}}
	refs := []uint32{1, 2}
	for i := range 200 {
		r.Symbols = append(r.Symbols, fmt.Sprint("a", i))
		refs = append(refs, uint32(4+i), 3)
	}
	r.Timeseries = []writev2.TimeSeries{{LabelsRefs: []uint32{1, 2}, Samples: at(1)}, {LabelsRefs: refs, Samples: at(1)}}
	for name, l := range map[string]Limits{"a stranger's": {}, "one that was acknowledged": Kept()} {
		p := request(t, r)
		var b *bus.Batch
		var report Report
		got := allocated(func() {
			var err error
			if b, report, err = Decode(p, l); err != nil {
				t.Fatal(err)
			}
		})
		if len(b.Series) != 1 || report.Series != 1 || got > 64<<20 {
			t.Errorf("one series with labels of 200 MiB, %s: %d series taken, %v, %d MiB allocated", name, len(b.Series), report.Errors, got>>20)
		}
	}

	r = writev2.Request{Symbols: []string{"", "__name__", "m", "n", strings.Repeat("v", 1500), strings.Repeat("w", 1500)}}
	for i := range 50_000 {
		r.Symbols = append(r.Symbols, fmt.Sprint(i))
		r.Timeseries = append(r.Timeseries, writev2.TimeSeries{LabelsRefs: []uint32{1, 2, 3, uint32(6 + i), 4, 4, 5, 5}, Samples: at(1)})
	}
	r.Symbols[4], r.Symbols[5] = strings.Repeat("v", 250), strings.Repeat("w", 250)
	p := request(t, r)
	got := allocated(func() {
		if _, _, err := Decode(p, Limits{}); !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "labels of all series") {
			t.Errorf("50,000 series that share labels of 1,000 bytes: %v", err)
		}
	})
	if got > 200<<20 {
		t.Errorf("%d MiB were allocated", got>>20)
	}

	symbols := snappy.Encode(nil, bytes.Repeat([]byte{0x22, 0}, 15<<20))
	got = allocated(func() {
		if _, _, err := Decode(symbols, Limits{}); !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "1000000 symbols") {
			t.Errorf("15 million symbols: %v", err)
		}
	})
	if got > 200<<20 {
		t.Errorf("%d MiB were allocated for symbols", got>>20)
	}
}

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// What was acknowledged is never refused later: an older version took longer labels.
func TestWhatAnOlderVersionKeptIsRead(t *testing.T) {
	var sets []string
	for i := range 200 {
		sets = append(sets, fmt.Sprint("a", i), "x")
	}
	old := &bus.Batch{Series: []bus.Series{
		{Labels: labels.FromStrings("__name__", "m", "a", strings.Repeat("v", 100_000)), Samples: []bus.Sample{{T: 1}}},
		{Labels: labels.FromStrings(append(sets, "__name__", "m")...), Samples: []bus.Sample{{T: 1}}},
		{Labels: labels.FromStrings("__name__", "m", strings.Repeat("n", 10_000), "x"), Samples: []bus.Sample{{T: 1}}},
	}}
	got, report, err := Decode(Encode(old), Kept())
	if err != nil || report.Lost() {
		t.Fatalf("%v, %+v", err, report)
	}
	if err := same(got, old); err != nil {
		t.Error(err)
	}
	old.Series = append(old.Series, bus.Series{Labels: labels.FromStrings("__name__", "m"), Samples: []bus.Sample{{T: 1}}})
	got, report, err = Decode(Encode(old), Limits{})
	if err != nil || report.Series != 3 || len(got.Series) != 1 {
		t.Errorf("from a stranger: %v, %+v, %d series", err, report, len(got.Series))
	}
	for i, says := range []string{`label "a": its value has 100000 bytes, at most 2048`, "more than 64 labels", "its name has 10000 bytes, at most 256"} {
		if !strings.Contains(fmt.Sprint(report.Errors[i]), says) {
			t.Errorf("%v, want %q", report.Errors[i], says)
		}
	}
}

// What is remembered has a bound, whatever comes.
func TestRememberedLabelsAreBounded(t *testing.T) {
	d := NewDecoder(Limits{})
	long := strings.Repeat("x", 2000)
	for i := range 30 {
		b := &bus.Batch{}
		for k := range 1000 {
			b.Series = append(b.Series, bus.Series{Labels: labels.FromStrings("__name__", fmt.Sprint(long, i, "_", k)), Samples: []bus.Sample{{T: 1}}})
		}
		if _, _, err := d.Decode(Encode(b)); err != nil {
			t.Fatal(err)
		}
	}
	if d.held > maxKnownBytes+6<<20 || len(d.known) > 1000*10 {
		t.Errorf("%d bytes in %d series are remembered", d.held, len(d.known))
	}
}

// many returns a batch of n series with k samples each.
func many(n, k int) *bus.Batch {
	b := &bus.Batch{}
	for i := range n {
		s := bus.Series{Labels: labels.FromStrings("__name__", "cpu_usage_percent", "host", "web1", "cpu", fmt.Sprint(i), "mode", "user")}
		for j := range k {
			s.Samples = append(s.Samples, bus.Sample{T: 1544608800000 + int64(j)*1000, V: float64(i) + float64(j)/10})
		}
		b.Series = append(b.Series, s)
	}
	return b
}

func BenchmarkBatchesOf1000Samples(b *testing.B) {
	for _, shape := range []struct{ series, samples int }{{1000, 1}, {100, 10}, {1, 1000}} {
		batch := many(shape.series, shape.samples)
		name := fmt.Sprintf("%dx%d", shape.series, shape.samples)
		p := Encode(batch)
		rate := func(b *testing.B) {
			b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "samples/s")
			b.ReportMetric(float64(len(p)), "bytes")
		}
		b.Run("Encode/"+name, func(b *testing.B) {
			b.ReportAllocs()
			var e Encoder
			var dst []byte
			for b.Loop() {
				dst = e.Append(dst[:0], batch)
			}
			rate(b)
		})
		b.Run("Decode/"+name, func(b *testing.B) {
			b.ReportAllocs()
			d := NewDecoder(Limits{})
			for b.Loop() {
				if _, _, err := d.Decode(p); err != nil {
					b.Fatal(err)
				}
			}
			rate(b)
		})
		// The yardstick: Prometheus's generated type, and labels built each time.
		b.Run("Prometheus/"+name, func(b *testing.B) {
			b.ReportAllocs()
			builder := labels.NewScratchBuilder(0)
			for b.Loop() {
				raw, err := snappy.Decode(nil, p)
				if err != nil {
					b.Fatal(err)
				}
				var r writev2.Request
				if err := r.Unmarshal(raw); err != nil {
					b.Fatal(err)
				}
				for _, s := range r.Timeseries {
					if _, err := s.ToLabels(&builder, r.Symbols); err != nil {
						b.Fatal(err)
					}
				}
			}
			rate(b)
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Encode(awkward()))
	f.Add(Encode(&bus.Batch{}))
	f.Add([]byte{})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Add(snappy.Encode(nil, []byte{0x22, 0, 0x2a, 4, 0x0a, 2, 0, 0}))
	f.Add(request(f, writev2.Request{Symbols: []string{"", "__name__", "m"}, Timeseries: []writev2.TimeSeries{
		{LabelsRefs: []uint32{1, 2}, Samples: at(3, 1, 3), Histograms: make([]writev2.Histogram, 1)}, {LabelsRefs: []uint32{1, 9}, Samples: at(1)},
	}}))
	f.Add(request(f, writev2.Request{Symbols: []string{"", "__name__", "m", "a", strings.Repeat("v", 1500)}, Timeseries: []writev2.TimeSeries{
		{LabelsRefs: []uint32{1, 2, 3, 0}, Samples: at(1)}, {LabelsRefs: []uint32{1, 2}, Samples: at(1)}, {LabelsRefs: []uint32{1, 2, 3, 0, 3, 4}, Samples: at(1)},
		{LabelsRefs: []uint32{1, 4, 3, 4, 2, 4}, Samples: at(1)},
	}}))
	f.Add(snappy.Encode(nil, bytes.Repeat([]byte{0x22, 0}, 5000)))
	kept := NewDecoder(Limits{Bytes: 1 << 20})
	f.Fuzz(func(t *testing.T, p []byte) {
		got, report, err := Decode(p, Limits{Bytes: 1 << 20})
		again, report2, err2 := kept.Decode(p)
		if (err == nil) != (err2 == nil) {
			t.Fatalf("a fresh decoder says %v, a used one %v", err, err2)
		}
		if err != nil {
			return
		}
		if err := same(got, again); err != nil || fmt.Sprint(report) != fmt.Sprint(report2) {
			t.Fatalf("a fresh decoder and a used one: %v, %v and %v", err, report, report2)
		}
		once := map[string]bool{}
		for _, s := range got.Series {
			if !labels.Equal(s.Labels, s.Labels.WithoutEmpty()) {
				t.Fatalf("%v has an empty value, which the store leaves out", s.Labels)
			}
			if once[s.Labels.String()] || s.Labels.Get("__name__") == "" || len(s.Samples) == 0 {
				t.Fatalf("series %v (%d samples) has no name, no samples or comes twice", s.Labels, len(s.Samples))
			}
			once[s.Labels.String()] = true
			for i := 1; i < len(s.Samples); i++ {
				if s.Samples[i-1].T >= s.Samples[i].T {
					t.Fatalf("times %d, %d", s.Samples[i-1].T, s.Samples[i].T)
				}
			}
		}
		back, _, err := Decode(Encode(got), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if err := same(back, got); err != nil {
			t.Fatal(err)
		}
	})
}
