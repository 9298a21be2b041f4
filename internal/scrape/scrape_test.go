package scrape

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/value"
	"go.uber.org/goleak"

	"stripchart/internal/bus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// exposed is a target whose answers a test gives, and its scraper.
type exposed struct {
	t       *testing.T
	handler atomic.Pointer[http.HandlerFunc]
	scraper *Scraper
	tick    int64
}

// openMetrics is the head of an answer in that format.
const openMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8"

func expose(t *testing.T, interval time.Duration) *exposed {
	x := &exposed{t: t, tick: time.Now().UnixMilli() / 1000 * 1000}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*x.handler.Load())(w, r) }))
	t.Cleanup(s.Close)
	target, err := ParseTarget(s.URL+",name=app", interval, time.ParseDuration)
	if err != nil {
		t.Fatal(err)
	}
	x.scraper, err = New(Options{Targets: []Target{target}, Behind: 24 * time.Hour, Ahead: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.scraper.client.CloseIdleConnections)
	return x
}

// answers makes the target answer as f does.
func (x *exposed) answers(f http.HandlerFunc) { x.handler.Store(&f) }

// says makes the target answer with a text.
func (x *exposed) says(media, text string) {
	x.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		_, _ = io.WriteString(w, text)
	})
}

// scrape asks once, and returns the samples by series, without the labels that all have, and without the two
// reports that up does not need.
func (x *exposed) scrape() map[string]string {
	x.t.Helper()
	x.tick += 1000
	return x.read(x.scraper.targets[0].scrape(x.t.Context(), x.tick))
}

func (x *exposed) read(b *bus.Batch) map[string]string {
	x.t.Helper()
	got := map[string]string{}
	for _, s := range b.Series {
		name := strings.NewReplacer(`instance="`+x.scraper.targets[0].Instance+`", `, "", `job="app"`, "job").Replace(s.Labels.String())
		if got[name] != "" {
			x.t.Errorf("%s is in the batch twice", name)
		}
		if strings.Contains(name, "scrape_duration_seconds") {
			continue
		}
		var all []string
		for i, sample := range s.Samples {
			v := fmt.Sprint(sample.V)
			if math.Float64bits(sample.V) == value.StaleNaN {
				v = "stale"
			}
			if sample.T != x.tick {
				v += fmt.Sprintf("@%+d", sample.T-x.tick)
			}
			if i > 0 && sample.T <= s.Samples[i-1].T {
				x.t.Errorf("%s: times do not ascend", name)
			}
			all = append(all, v)
		}
		got[name] = strings.Join(all, " ")
	}
	return got
}

func (x *exposed) want(got map[string]string, want ...string) {
	x.t.Helper()
	var have []string
	for name, v := range got {
		name = strings.NewReplacer(`__name__=`, "", `, job,`, ",", `, job}`, "}", `, job,`, ",", `{job}`, "").Replace(name)
		have = append(have, name+" "+v)
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		x.t.Errorf("got\n%s\nwant\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
}

func (x *exposed) leftOut(reason string) int {
	return int(testutil.ToFloat64(x.scraper.targets[0].metrics.leftOut.WithLabelValues(reason)))
}

func TestValuesLabelsAndTimesAreThoseOfPrometheus(t *testing.T) {
	x := expose(t, time.Second)
	now := time.Now().UnixMilli()
	x.says("text/plain; version=0.0.4", fmt.Sprintf(`# HELP a A.
# TYPE requests_total counter
requests_total{code="200",job="theirs",instance="x",exported_job="y"} 12
requests_total{code="500"} 1e3
# TYPE h histogram
h_bucket{le="1"} 2
h_bucket{le="+Inf"} 3
h_sum 4.5
h_count 3
nan NaN
inf -Inf
timed 7 %d
{"with.dots",empty=""} 1
`, now-5000))
	age := func(at int64) string { return fmt.Sprintf("%+d", at-x.tick) }
	got := x.scrape()
	x.want(got,
		`{"requests_total", code="200", exported_exported_job="theirs", exported_instance="x", exported_job="y"} 12`,
		`{"requests_total", code="500"} 1000`, `{"h_bucket", le="1.0"} 2`, `{"h_bucket", le="+Inf"} 3`, `{"h_sum"} 4.5`, `{"h_count"} 3`,
		`{"nan"} NaN`, `{"inf"} -Inf`, `{"timed"} 7@`+age(now-5000), `{"with.dots"} 1`, `{"up"} 1`, `{"scrape_samples_scraped"} 10`)
	if got := x.scrape(); got[`{__name__="timed", job}`] != "" {
		t.Errorf("a time that is named again is a new sample: %v", got)
	}
}

func TestASeriesThatGoesIsMarkedAndSoAreAllWhenTheTargetGoes(t *testing.T) {
	x := expose(t, time.Second)
	timed := fmt.Sprintf("timed 1 %d\n", time.Now().UnixMilli())
	x.says("", "a 1\nb 2\n"+timed)
	x.scrape()
	x.says("", "b 3\n")
	x.want(x.scrape(), `{"a"} stale`, `{"b"} 3`, `{"up"} 1`, `{"scrape_samples_scraped"} 1`)
	x.says("", "b 3\n")
	x.want(x.scrape(), `{"b"} 3`, `{"up"} 1`, `{"scrape_samples_scraped"} 1`)
	x.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	x.want(x.scrape(), `{"b"} stale`, `{"up"} 0`, `{"scrape_samples_scraped"} 0`)
	x.want(x.scrape(), `{"up"} 0`, `{"scrape_samples_scraped"} 0`)
	x.says("", "a 4\n")
	x.want(x.scrape(), `{"a"} 4`, `{"up"} 1`, `{"scrape_samples_scraped"} 1`)
}

// Each answer comes after a good one of the series a, which has to go with the target, or go on.
func TestAnAnswerThatIsBrokenCostsWhatIsBroken(t *testing.T) {
	now := time.Now().UnixMilli()
	down := []string{`{"a"} stale`, `{"up"} 0`, `{"scrape_samples_scraped"} 0`}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		media  string
		text   string
		want   []string
		left   string // the reason of what is left out, once
	}{
		"garbage line":             {text: "a 2\n<b>no</b>\nc 3\n", want: []string{`{"a"} 2`, `{"c"} 3`, `{"up"} 1`, `{"scrape_samples_scraped"} 2`}, left: leftUnreadable},
		"garbage line of the type": {text: "# TYPE a banana\na 2\n", want: []string{`{"a"} 2`, `{"up"} 1`, `{"scrape_samples_scraped"} 1`}, left: leftUnreadable},
		"garbage in OpenMetrics":   {media: openMetrics, text: "a 2\n???\n# EOF\n", want: []string{`{"a"} 2`, `{"up"} 1`, `{"scrape_samples_scraped"} 1`}, left: leftUnreadable},
		"exemplar":                 {media: openMetrics, text: "# TYPE a counter\na_total 2 # {trace=\"x\"} 1\n# EOF\n", want: []string{`{"a"} stale`, `{"a_total"} 2`, `{"up"} 1`, `{"scrape_samples_scraped"} 1`}, left: leftExemplar},
		"duplicate":                {text: "a 2\na 2\na 3\n", want: []string{`{"a"} 2`, `{"up"} 1`, `{"scrape_samples_scraped"} 1`}, left: leftDuplicate},
		"duplicate in other words": {text: "a{x=\"1\",y=\"2\"} 2\na{y=\"2\",x=\"1\"} 3\n", want: []string{`{"a"} stale`, `{"a", x="1", y="2"} 2`, `{"up"} 1`, `{"scrape_samples_scraped"} 1`}, left: leftDuplicate},
		"label twice":              {text: "a 2\nb{x=\"1\",x=\"2\"} 2\n", want: []string{`{"a"} 2`, `{"up"} 1`, `{"scrape_samples_scraped"} 1`}, left: leftLabels},
		"too long a label":         {text: "a 2\nb{x=\"" + strings.Repeat("x", 3000) + "\"} 2\n", want: []string{`{"a"} 2`, `{"up"} 1`, `{"scrape_samples_scraped"} 1`}, left: leftLabels},
		"too old":                  {text: fmt.Sprintf("a 2\nb 1 %d\n", now-25*time.Hour.Milliseconds()), want: []string{`{"a"} 2`, `{"up"} 1`, `{"scrape_samples_scraped"} 2`}, left: leftTooOld},
		"far future":               {text: fmt.Sprintf("a 2\nb 1 %d\n", now+time.Hour.Milliseconds()), want: []string{`{"a"} 2`, `{"up"} 1`, `{"scrape_samples_scraped"} 2`}, left: leftTooNew},
		"the scraper's own name":   {text: "a 2\nup 7\n", want: []string{`{"a"} 2`, `{"up"} 1`, `{"scrape_samples_scraped"} 1`}, left: leftDuplicate},
		"times out of order":       {text: fmt.Sprintf("a 2\nb 2 %d\nb 1 %d\n", now-1000, now-2000), want: []string{`{"a"} 2`, fmt.Sprintf(`{"b"} 1@%+d 2@%+d`, now-2000-now/1000*1000-2000, now-1000-now/1000*1000-2000), `{"up"} 1`, `{"scrape_samples_scraped"} 2`}},
		"empty":                    {text: "", want: []string{`{"a"} stale`, `{"up"} 1`, `{"scrape_samples_scraped"} 0`}},
		"a page of HTML":           {media: "text/html", text: "<html>\n<body>sign in</body>\n</html>", want: down},
		"only garbage":             {text: strings.Repeat("???\n", 5000) + "a 2\n", want: down},
		"OpenMetrics cut off":      {media: openMetrics, text: "a 2\nb 3\n", want: down},
		"protobuf":                 {media: "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily", text: "\x01", want: down},
		"too many series":          {text: many(MaxSeries + 1), want: down},
		"cut off": {want: down, answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "a 2\n")
			panic(http.ErrAbortHandler)
		}},
		"too large": {want: down, answer: func(w http.ResponseWriter, _ *http.Request) {
			for range MaxBody/1000 + 1 {
				if _, err := io.WriteString(w, "# "+strings.Repeat("x", 997)+"\n"); err != nil {
					return
				}
			}
		}},
		"gzip bomb": {want: down, answer: func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept-Encoding") != "gzip" {
				t.Error("gzip is not asked for")
			}
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			for range 4 * MaxBody / 1000 {
				if _, err := z.Write([]byte("# " + strings.Repeat("x", 997) + "\n")); err != nil {
					return
				}
			}
			_ = z.Close()
		}},
		"gzip": {want: []string{`{"a"} 2`, `{"up"} 1`, `{"scrape_samples_scraped"} 1`}, answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, "a 2\n")
			_ = z.Close()
		}},
		"not gzip": {want: down, answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, "a 2\n")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			x := expose(t, time.Second)
			x.tick = now / 1000 * 1000
			x.says("", "a 1\n")
			x.scrape()
			if c.answer != nil {
				x.answers(c.answer)
			} else {
				x.says(c.media, c.text)
			}
			x.want(x.scrape(), c.want...)
			if c.left != "" && x.leftOut(c.left) != 1 {
				t.Errorf("%d left out as %s, want 1", x.leftOut(c.left), c.left)
			}
			x.says("", "a 5\n")
			if got := x.scrape(); got[`{__name__="a", job}`] != "5" {
				t.Errorf("the next good answer: %v", got)
			}
		})
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "m{i=\"%d\"} 1\n", i)
	}
	return b.String()
}

func TestATargetThatDoesNotAnswerInTimeIsDown(t *testing.T) {
	x := expose(t, 50*time.Millisecond)
	x.answers(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	_, err := x.scraper.targets[0].fetch(t.Context())
	if err == nil || !strings.Contains(err.Error(), "within 1s") {
		t.Errorf("%v", err)
	}
}

func TestTheSeriesThatATargetHasInAnHourAreBoundedAndKnownOnesGoOn(t *testing.T) {
	x := expose(t, time.Second)
	x.scraper.targets[0].most = 100
	for i := range 5 {
		var b strings.Builder
		b.WriteString("a 1\n")
		for n := range 49 {
			fmt.Fprintf(&b, "m{i=\"%d.%d\"} 1\n", i, n)
		}
		x.says("", b.String())
		got := x.scrape()
		if got[`{__name__="a", job}`] != "1" || got[`{__name__="up", job}`] != "1" {
			t.Fatalf("answer %d: a is %q, up is %q", i, got[`{__name__="a", job}`], got[`{__name__="up", job}`])
		}
	}
	if n := len(x.scraper.targets[0].byName); n != 100 {
		t.Errorf("%d series are known", n)
	}
	if x.leftOut(leftNew) == 0 {
		t.Error("no new series was left out")
	}
	x.tick += 2 * time.Hour.Milliseconds()
	x.scraper.targets[0].swept = time.Time{}
	x.says("", "a 1\nlater 1\n")
	x.want(map[string]string{"later": x.scrape()[`{__name__="later", job}`]}, "later 1")
}

func TestPasswordsOfTargetsAreNotTold(t *testing.T) {
	target, err := ParseTarget("http://user:secret@127.0.0.1:1/metrics", time.Second, time.ParseDuration)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Targets: []Target{target}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = s.targets[0].fetch(t.Context()); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
	for _, bad := range []string{"http://user:secret@[/", "ftp://user:secret@x/", "user:secret@:80"} {
		if _, err := ParseTarget(bad, time.Second, time.ParseDuration); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestTargetsAreNamedAsPeopleWriteThem(t *testing.T) {
	for s, want := range map[string]string{
		"127.0.0.1:9100":                             "http://127.0.0.1:9100/metrics scrape 127.0.0.1:9100 1s",
		"https://example.org/a,b?x=1,2,name=n":       "https://example.org/a,b?x=1,2 n example.org:443 1s",
		"http://[::1]/m,interval=250ms":              "http://[::1]/m scrape [::1]:80 250ms",
		"localhost:1,name=a.b,interval=1m30s":        "http://localhost:1/metrics a.b localhost:1 1m30s",
		"localhost:1,interval=1s,name=x,interval=2s": "http://localhost:1/metrics x localhost:1 2s",
		"http://x/,name=":                            "error",
		"http://x/,interval=10ms":                    "error",
		"http://x/,interval=soon":                    "error",
		"http://x/,name=a,colour=red":                "error",
		"http://":                                    "error",
		"":                                           "error",
		"http://x/,name=" + strings.Repeat("x", 300): "error",
		"http://x/,name=\xff":                        "error",
	} {
		target, err := ParseTarget(s, time.Second, time.ParseDuration)
		got := "error"
		if err == nil {
			got = fmt.Sprint(target.URL, " ", target.Job, " ", target.Instance, " ", target.Interval)
		}
		if got != want {
			t.Errorf("%s: %s, %v; want %s", s, got, err, want)
		}
	}
	a, _ := ParseTarget("localhost:1", time.Second, time.ParseDuration)
	b, _ := ParseTarget("localhost:1/other", time.Second, time.ParseDuration)
	if err := Check([]Target{a, b}); err == nil || !strings.Contains(err.Error(), "name=") {
		t.Errorf("two targets that are called alike: %v", err)
	}
	if _, err := New(Options{Targets: make([]Target, MaxTargets+1)}); err == nil {
		t.Error("too many targets")
	}
}

// transport answers without a network, so that the clock can be a test's.
type transport func() (*http.Response, error)

func (f transport) RoundTrip(*http.Request) (*http.Response, error) { return f() }

func TestTargetsAreReadAtMultiplesOfTheirInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := expose2(t, "http://a/metrics,interval=250ms", "http://b/metrics,interval=2s")
		x.client.Transport = transport(func() (*http.Response, error) {
			time.Sleep(30 * time.Millisecond)
			return nil, errors.New("away")
		})
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second+100*time.Millisecond)
		defer cancel()
		times := map[string][]int64{}
		batches := make(chan *bus.Batch, 100)
		x.Run(ctx, func(b *bus.Batch) { batches <- b })
		close(batches)
		for b := range batches {
			up := b.Series[len(b.Series)-1]
			times[up.Labels.Get("instance")] = append(times[up.Labels.Get("instance")], up.Samples[0].T)
		}
		if len(times["a:80"]) != 16 || len(times["b:80"]) != 2 {
			t.Errorf("%d and %d answers, want 16 and 2", len(times["a:80"]), len(times["b:80"]))
		}
		for _, at := range times["a:80"] {
			if at%250 != 0 {
				t.Errorf("tick at %d", at)
			}
		}
	})
}

func expose2(t *testing.T, targets ...string) *Scraper {
	var all []Target
	for _, s := range targets {
		target, err := ParseTarget(s, time.Second, time.ParseDuration)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, target)
	}
	s, err := New(Options{Targets: all, Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Whatever a target answers, the batch is as the bus wants it.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{"a 1\n", "a{b=\"c\"} 1 1764270000000\n", "# TYPE h histogram\nh_bucket{le=\"1\"} 2\n", "a 1\na 2\n", "{\"a.b\"} NaN\n", "a_total 2 # {t=\"x\"} 1 1.5\n# EOF\n", "a 1\n\xff\n# EOF", "# EOF", "a{job=\"x\",exported_job=\"y\"} +Inf", "up{} 1\r\n"} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, openMetrics bool) {
		target, _ := ParseTarget("http://x/", time.Second, time.ParseDuration)
		s, err := New(Options{Targets: []Target{target}, Behind: 24 * time.Hour, Ahead: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		x := s.targets[0]
		for range 2 {
			x.begin(x.tick + 1000)
			if x.take(answer{slices.Clone(body), openMetrics}) != nil {
				x.live = x.live[:0]
			}
			seen := map[string]bool{}
			for _, s := range x.batch().Series {
				name := s.Labels.String()
				if seen[name] || s.Labels.Get("job") != "scrape" || s.Labels.Get("instance") != "x:80" || s.Labels.Get("__name__") == "" || len(s.Samples) == 0 {
					t.Fatalf("series %s with %d samples, there before: %v", name, len(s.Samples), seen[name])
				}
				seen[name] = true
				for i := 1; i < len(s.Samples); i++ {
					if s.Samples[i].T <= s.Samples[i-1].T {
						t.Fatalf("%s: times do not ascend", name)
					}
				}
			}
		}
	})
}
