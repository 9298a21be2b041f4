package api

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"stripchart/internal/bus"
	"stripchart/internal/store"
)

// What was appended is in the answer with its very bits, at its millisecond.
func TestEachSampleIsInTheAnswerExactly(t *testing.T) {
	v := serve(t, store.Options{}, Options{})
	r := rand.New(rand.NewPCG(1, 2))
	values := []float64{
		0, math.Copysign(0, -1), 1, -1, 0.1, 1e-6, 9.99e-7, 1e21, 1e20, 123456789.123456789, math.MaxFloat64, math.SmallestNonzeroFloat64,
		math.NaN(), math.Inf(1), math.Inf(-1), math.Pi, -math.E, 1 << 53, 1<<53 + 2,
	}
	for range 2000 {
		values = append(values, math.Float64frombits(r.Uint64()))
	}
	ls := labels.FromStrings("__name__", "m", "odd", "quote\" back\\ <&> tab\t ü 日本 \u2028")
	var want []point
	at := base
	for i, x := range values {
		if math.IsNaN(x) {
			if value.IsStaleNaN(x) {
				continue
			}
			x = math.NaN() // all others are one in text
		}
		at += 1 + r.Int64N(2000)
		v.append(t, ls, bus.Sample{T: at, V: x})
		want = append(want, point{at, x})
		if i < 40 { // as soon as it was acknowledged
			got := v.value(t, post("query", form("query", "m", "time", ms(at)))).series(t)
			if len(got) != 1 || !same(got[0].Value, point{at, x}) {
				t.Fatalf("%v at once: %v", x, got)
			}
		}
	}
	res := v.value(t, get("query", form("query", "m[2h]", "time", ms(at))))
	got := res.series(t)
	if res.ResultType != "matrix" || len(got) != 1 || len(got[0].Values) != len(want) {
		t.Fatalf("%s of %d series", res.ResultType, len(got))
	}
	if got[0].Metric["odd"] != ls.Get("odd") || got[0].Metric["__name__"] != "m" {
		t.Errorf("labels %q", got[0].Metric)
	}
	for i := range want {
		if !same(got[0].Values[i], want[i]) {
			t.Errorf("sample %d: %v, want %v", i, got[0].Values[i], want[i])
		}
	}
}

func same(a, b point) bool {
	return a.t == b.t && (math.Float64bits(a.v) == math.Float64bits(b.v) || math.IsNaN(a.v) && math.IsNaN(b.v))
}

func TestNumbersAreWrittenAsPrometheusWritesThem(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1", -1.5: "-1.5", 0.1: "0.1", 1e-6: "0.000001", 1e-7: "1e-07", 1e20: "100000000000000000000", 1e21: "1e+21",
		math.Inf(1): "+Inf", math.Inf(-1): "-Inf", 1795788837.444: "1795788837.444",
	} {
		if got := string(appendFloat(nil, v)); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
	if got := string(appendFloat(nil, math.NaN())); got != "NaN" {
		t.Error(got)
	}
	for ms, want := range map[int64]string{0: "0", 1000: "1", 1: "0.001", 1010: "1.010", 1795788837444: "1795788837.444", -1500: "-1.500", -1: "-0.001"} {
		if got := string(appendTime(nil, ms)); got != want {
			t.Errorf("%d: %s, want %s", ms, got, want)
		}
	}
}
