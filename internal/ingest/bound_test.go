package ingest

import (
	"context"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"

	"stripchart/internal/access"
	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
	"stripchart/internal/bus/rw"
)

// bound is an endpoint, and the requests of a session that is bound to the label room=lab.
type bound struct {
	*Endpoint
	session access.Session
	got     *bus.Batch
}

func newBound(t *testing.T, source string) *bound {
	t.Helper()
	b := &bound{session: access.Session{Name: "lab", Write: true, Labels: labels.FromStrings("room", "lab", "site", "north"), Source: source}}
	var err error
	b.Endpoint, err = New(Options{Publish: func(_ context.Context, x *bus.Batch) error {
		b.got = x
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bound) post(path, body string, header map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	b.got = nil
	b.ServeHTTP(w, r.WithContext(access.With(r.Context(), b.session)))
	return w
}

// series returns the labels of what was written last.
func (b *bound) series() (all []string) {
	if b.got != nil {
		for _, s := range b.got.Series {
			all = append(all, s.Labels.String())
		}
	}
	return all
}

// wireOf is a body of Remote-Write 1.0 with a sample for each series.
func wireOf(t *testing.T, series ...labels.Labels) string {
	t.Helper()
	var w prompb.WriteRequest
	for i, ls := range series {
		ts := prompb.TimeSeries{Samples: []prompb.Sample{{Value: float64(i), Timestamp: nowMillis()}}}
		ls.Range(func(l labels.Label) { ts.Labels = append(ts.Labels, prompb.Label{Name: l.Name, Value: l.Value}) })
		w.Timeseries = append(w.Timeseries, ts)
	}
	b, err := w.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return string(snappy.Encode(nil, b))
}

func TestABoundWriterHasItsLabelsInEveryFormatWhateverItSends(t *testing.T) {
	b := newBound(t, "")
	const want = `{__name__="m", room="lab", site="north"}`
	otlpBody := `{"resourceMetrics":[{"resource":{"attributes":[{"key":"room","value":{"stringValue":"vault"}}]},"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[` +
		`{"timeUnixNano":"` + nowNanos() + `","asDouble":1,"attributes":[{"key":"room","value":{"stringValue":"vault"}}]}]}}]}]}]}`
	for name, c := range map[string]struct {
		path, body string
		header     map[string]string
	}{
		"push":                  {"/api/v1/push/m?room=vault", "1", nil},
		"push without labels":   {"/api/v1/push/m", "1", nil},
		"line protocol":         {"/write", "m,room=vault value=1", nil},
		"line protocol 2":       {"/api/v2/write", "m,room=vault,site=south value=1", nil},
		"remote write 1":        {"/api/v1/write", wireOf(t, labels.FromStrings("__name__", "m", "room", "vault")), map[string]string{"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}},
		"otlp":                  {"/v1/metrics", otlpBody, map[string]string{"Content-Type": "application/json"}},
		"otlp under /api":       {"/api/v1/otlp/v1/metrics", otlpBody, map[string]string{"Content-Type": "application/json"}},
		"remote write, no room": {"/api/v1/write", wireOf(t, labels.FromStrings("__name__", "m")), map[string]string{"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}},
	} {
		w := b.post(c.path, c.body, c.header)
		if got := strings.Join(b.series(), "; "); w.Code/100 != 2 || got != want {
			t.Errorf("%s: %d %s: %s", name, w.Code, w.Body, got)
		}
	}
}

func TestSeriesThatATokenMakesOneAreWrittenAsOne(t *testing.T) {
	b := newBound(t, "")
	kind := map[string]string{"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
	w := b.post("/api/v1/write", wireOf(t, labels.FromStrings("__name__", "m", "room", "a"), labels.FromStrings("__name__", "m", "room", "b"), labels.FromStrings("__name__", "n")), kind)
	if got := strings.Join(b.series(), "; "); got != `{__name__="m", room="lab", site="north"}; {__name__="n", room="lab", site="north"}` {
		t.Errorf("%d %s: %s", w.Code, w.Body, got)
	}
	for _, s := range b.got.Series {
		for i := 1; i < len(s.Samples); i++ {
			if s.Samples[i].T <= s.Samples[i-1].T {
				t.Errorf("%v: the times do not ascend", s.Labels)
			}
		}
	}
	// The lines of text know which line had the other value.
	w = b.post("/write?precision=ms", "m,room=a value=1 "+nowMillisText()+"\nm,room=b value=2 "+nowMillisText(), nil)
	if w.Code != 400 || len(b.series()) != 1 {
		t.Errorf("%d %s: %v", w.Code, w.Body, b.series())
	}
}

func TestTheLabelsOfATokenCountAgainstTheBounds(t *testing.T) {
	b := newBound(t, "")
	ls := map[string]string{"__name__": "m"}
	for n := range bus.EndpointLabels().Labels - 2 {
		ls["l"+strings.Repeat("x", n)] = "v"
	}
	kind := map[string]string{"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
	w := b.post("/api/v1/write", wireOf(t, labels.FromMap(ls), labels.FromStrings("__name__", "n")), kind)
	if w.Code != 400 || !strings.Contains(w.Body.String(), "more than 64 labels") || len(b.series()) != 1 {
		t.Errorf("%d %s: %v", w.Code, w.Body, b.series())
	}
}

func TestATokenThatIsBoundToASourceWritesUnderNoOther(t *testing.T) {
	b := newBound(t, "lab-1")
	body := rw.Encode(&bus.Batch{Series: []bus.Series{{Labels: labels.FromStrings("__name__", "m"), Samples: []bus.Sample{{T: nowMillis(), V: 1}}}}})
	for source, status := range map[string]int{"lab-1": 204, "lab-2": 403, "LAB-1": 403, "": 204} {
		h := map[string]string{"Content-Type": httpbus.ContentType, "Content-Encoding": httpbus.ContentEncoding}
		if source != "" {
			h[httpbus.HeaderSource], h[httpbus.HeaderSeq], h[httpbus.HeaderMerged] = source, "1", "0"
		}
		w := b.post("/api/v1/write", string(body), h)
		if w.Code != status || (b.got != nil) != (status == 204) {
			t.Errorf("%q: %d %s", source, w.Code, w.Body)
		}
		if status == 403 && !strings.Contains(w.Body.String(), "bound to the source lab-1") {
			t.Errorf("%q: %s", source, w.Body)
		}
		if b.got != nil && b.got.Source != source {
			t.Errorf("the batch is of %q, not %q", b.got.Source, source)
		}
	}
}

// A counter that grows by increases is that of the labels it ends up with: two writers whose
// labels their tokens set have two counters, though they send the same.
func TestIncreasesAreAddedUnderTheLabelsOfTheToken(t *testing.T) {
	b := newBound(t, "")
	delta := func(ns string) string {
		return `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"c","sum":{"aggregationTemporality":1,"isMonotonic":true,"dataPoints":[` +
			`{"startTimeUnixNano":"1","timeUnixNano":"` + ns + `","asDouble":5}]}}]}]}]}`
	}
	kind := map[string]string{"Content-Type": "application/json"}
	at := nowNanos()
	for _, room := range []string{"lab", "vault"} {
		b.session.Labels = labels.FromStrings("room", room)
		w := b.post("/v1/metrics", delta(at), kind)
		if w.Code != 200 || b.got == nil || len(b.got.Series) != 1 || b.got.Series[0].Samples[0].V != 5 {
			t.Errorf("%s: %d %s: %v", room, w.Code, w.Body, b.got)
		}
	}
}

func nowMillis() int64 { return time.Now().UnixMilli() }

func nowMillisText() string { return strconv.FormatInt(nowMillis(), 10) }

func nowNanos() string { return strconv.FormatInt(time.Now().UnixNano(), 10) }
