package api

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb"

	"stripchart/internal/bus"
	"stripchart/internal/store"
)

// expressions are of every kind that people write.
var expressions = strings.Split(strings.TrimSpace(`
load1
load1{host="a"}
load1{host=~"a|b"}
load1{host!~"a.*"}
{__name__=~"load.*",host="b"}
{"load1",host="c"}
-load1
load1 + 1
load1 * load1
load1 > 2
load1 > bool 2
2 ^ load1 % 3
load1 offset 30s
load1 offset -30s
load1 @ 1767225700
load1 @ end()
rate(requests_total[1m])
irate(requests_total[1m])
increase(requests_total[5m])
delta(load1[1m])
idelta(load1[1m])
deriv(load1[1m])
predict_linear(load1[1m], 60)
resets(requests_total[5m])
changes(load1[1m])
sum(load1)
sum by (host) (rate(requests_total[1m]))
sum without (code) (rate(requests_total[1m]))
avg(load1)
min(load1)
max by (host) (requests_total)
count(load1)
stddev(load1)
stdvar(load1)
group(load1)
quantile(0.9, load1)
topk(2, load1)
bottomk(1, load1)
count_values("value", ceil(load1))
histogram_quantile(0.9, sum by (le) (rate(seconds_bucket[1m])))
histogram_quantile(0.5, rate(seconds_bucket[5m]))
avg_over_time(load1[30s])
min_over_time(load1[30s])
max_over_time(load1[30s])
sum_over_time(load1[30s])
count_over_time(load1[30s])
stddev_over_time(load1[30s])
quantile_over_time(0.5, load1[30s])
last_over_time(load1[30s])
present_over_time(load1[30s])
absent(nothing{x="y"})
absent_over_time(nothing[1m])
max_over_time(rate(requests_total[30s])[2m:10s])
avg_over_time((load1 * 2)[1m:500ms])
sum_over_time(load1[1m:])
requests_total{code="500"} / on (host) group_left requests_total{code="200"}
rate(requests_total{code="500"}[1m]) / ignoring (code) rate(requests_total{code="200"}[1m])
load1 and on (host) requests_total
load1 or requests_total
load1 unless on (host) load1{host="a"}
label_replace(load1, "machine", "$1-x", "host", "(.*)")
label_join(load1, "both", "/", "host", "host")
abs(-load1)
ceil(load1)
floor(load1)
round(load1, 0.25)
clamp(load1, 1, 2)
exp(load1)
ln(load1)
log2(load1 - 2)
sqrt(load1)
sgn(load1 - 1)
sin(load1)
time()
vector(1)
scalar(load1{host="a"})
timestamp(load1)
hour()
day_of_week(load1)
sort_desc(load1)
sort(load1)
1 / 0
-1 / 0
0 / 0
1 + 2 * 3
holes
rate(holes[1m])
changes(holes[5m])
`), "\n")

// writtenSamples are gauges, counters with resets, classic buckets and a series with holes, at
// times that are on no grid.
func writtenSamples() map[string][]bus.Sample {
	all := map[string][]bus.Sample{}
	add := func(series string, t int64, v float64) {
		all[series] = append(all[series], bus.Sample{T: base + t, V: v})
	}
	for i := range int64(600) {
		at := i*1000 + i*i%37
		for n, host := range []string{"a", "b", "c"} {
			add(fmt.Sprintf("load1 host %s", host), at, 1.5+float64(n)+math.Sin(float64(i)/20+float64(n)))
			for m, code := range []string{"200", "500"} {
				add(fmt.Sprintf("requests_total host %s code %s", host, code), at, float64((i*int64(3+n)+int64(m))%1000)/float64(1+9*m))
			}
		}
		for b, le := range []string{"0.1", "0.5", "1", "5", "+Inf"} {
			add("seconds_bucket le "+le, at, float64(i*int64(b+1)*2))
		}
		if i%200 < 20 {
			add("holes x y", at, float64(i))
		}
	}
	return all
}

// The numbers of an answer are those that the engine gives over the same samples in a
// database that this test has written itself.
func TestNumbersAreThoseOfTheEngine(t *testing.T) {
	if len(expressions) < 60 {
		t.Fatalf("only %d expressions", len(expressions))
	}
	v := serve(t, store.Options{}, Options{})
	db, err := tsdb.Open(t.TempDir(), nil, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	samples := writtenSamples()
	app := db.Appender(t.Context())
	var rows []store.Row
	for name, ss := range samples {
		ls := labels.FromStrings(append([]string{"__name__"}, strings.Fields(name)...)...)
		rows = append(rows, store.Row{Labels: ls, Samples: ss})
		for _, s := range ss {
			if _, err := app.Append(0, ls, s.T, s.V); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := v.store.Append(rows); err != nil {
		t.Fatal(err)
	}
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1e7, Timeout: time.Minute, EnableAtModifier: true, EnableNegativeOffset: true, Parser: parser.NewParser(parser.Options{}),
		NoStepSubqueryIntervalFn: func(int64) int64 { return 60_000 },
	})
	filled := 0
	for _, expr := range expressions {
		for _, at := range []int64{base + 300_000, base + 599_123, base + 10} {
			q, err := engine.NewInstantQuery(t.Context(), db, nil, expr, time.UnixMilli(at))
			if err != nil {
				t.Fatalf("%s: %v", expr, err)
			}
			want := pointsOf(t, q, expr)
			got := v.value(t, post("query", form("query", expr, "time", ms(at))))
			compare(t, fmt.Sprintf("%s at %s", expr, ms(at)), got, want, strings.HasPrefix(expr, "sort") || strings.HasPrefix(expr, "topk"))
		}
		for _, step := range []struct {
			text string
			step time.Duration
		}{{"15", 15 * time.Second}, {"0.05", 50 * time.Millisecond}, {"1m", time.Minute}} {
			start, end := base-1000, base+400_000
			if step.step < time.Second {
				start, end = base+299_900, base+305_000
			}
			q, err := engine.NewRangeQuery(t.Context(), db, nil, expr, time.UnixMilli(start), time.UnixMilli(end), step.step)
			if err != nil {
				t.Fatalf("%s: %v", expr, err)
			}
			want := pointsOf(t, q, expr)
			if len(want) > 0 && len(want[0].points) > 0 {
				filled++
			}
			f := form("query", expr, "start", ms(start), "end", time.UnixMilli(end).UTC().Format(time.RFC3339Nano), "step", step.text)
			compare(t, fmt.Sprintf("%s, step %s", expr, step.text), v.value(t, get("query_range", f)), want, false)
			compare(t, fmt.Sprintf("%s, step %s", expr, step.text), v.value(t, post("query_range", f)), want, false)
		}
	}
	if filled < 2*len(expressions) {
		t.Errorf("only %d range queries gave anything", filled)
	}
}

// points of one series, as the engine has them.
type points struct {
	metric string
	points []point
}

// pointsOf executes a query directly.
func pointsOf(t *testing.T, q promql.Query, expr string) (out []points) {
	t.Helper()
	defer q.Close()
	res := q.Exec(context.Background())
	if res.Err != nil {
		t.Fatalf("%s: %v", expr, res.Err)
	}
	switch v := res.Value.(type) {
	case promql.Scalar:
		return []points{{points: []point{{v.T, v.V}}}}
	case promql.Vector:
		for _, s := range v {
			out = append(out, points{s.Metric.String(), []point{{s.T, s.F}}})
		}
	case promql.Matrix:
		for _, s := range v {
			p := points{metric: s.Metric.String()}
			for _, f := range s.Floats {
				p.points = append(p.points, point{f.T, f.F})
			}
			out = append(out, p)
		}
	default:
		t.Fatalf("%s: %T", expr, v)
	}
	return out
}

func compare(t *testing.T, what string, got queryData, want []points, ordered bool) {
	t.Helper()
	var have []points
	if got.ResultType == "scalar" {
		var p point
		if err := p.UnmarshalJSON(got.Result); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		have = []points{{points: []point{p}}}
	} else {
		for _, m := range got.series(t) {
			ls := labels.FromMap(m.Metric).String()
			ps := m.Values
			if got.ResultType == "vector" {
				ps = []point{m.Value}
			}
			have = append(have, points{ls, ps})
		}
	}
	if !ordered {
		byName := func(a, b points) int { return cmp.Compare(a.metric, b.metric) }
		slices.SortFunc(have, byName)
		slices.SortFunc(want, byName)
	}
	if !slices.EqualFunc(have, want, func(a, b points) bool {
		return a.metric == b.metric && slices.EqualFunc(a.points, b.points, same)
	}) {
		t.Errorf("%s: %v, want %v", what, have, want)
	}
}

// A few whose numbers anybody can work out.
func TestNumbersWorkedOutByHand(t *testing.T) {
	v := serve(t, store.Options{}, Options{})
	for i := range int64(61) {
		v.append(t, labels.FromStrings("__name__", "up_by_two", "host", "a"), bus.Sample{T: base + i*1000, V: float64(2 * i)})
		v.append(t, labels.FromStrings("__name__", "up_by_two", "host", "b"), bus.Sample{T: base + i*1000, V: float64(4 * i)})
		v.append(t, labels.FromStrings("__name__", "cosine"), bus.Sample{T: base + i*1000, V: []float64{1, 0, -1, 0}[i%4]})
	}
	for expr, want := range map[string]float64{
		`rate(up_by_two{host="a"}[1m])`:                             2,
		`sum(rate(up_by_two[1m]))`:                                  6,
		`increase(up_by_two{host="b"}[30s])`:                        120,
		`up_by_two{host="b"} - ignoring (host) up_by_two{host="a"}`: 120,
		`max_over_time(cosine[1m])`:                                 1,
		`avg_over_time(cosine[8s])`:                                 0,
		`up_by_two{host="a"} offset 10s`:                            100,
		`up_by_two{host="a"} @ 1767225605`:                          10,
		`count(up_by_two)`:                                          2,
		`quantile(0.5, up_by_two)`:                                  180,
	} {
		got := v.value(t, get("query", form("query", expr, "time", ms(base+60_000)))).series(t)
		if len(got) != 1 || math.Abs(got[0].Value.v-want) > 1e-9 || got[0].Value.t != base+60_000 {
			t.Errorf("%s: %v, want %v", expr, got, want)
		}
	}
	if status, _ := v.answer(t, get("query", form("query", "up_by_two * on () group_left up_by_two"))); status != http.StatusOK {
		t.Errorf("an expression over nothing at this time: status %d", status)
	}
}
