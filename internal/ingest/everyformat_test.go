package ingest

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang/snappy"
	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"

	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
)

// input is one sample as the table of all formats has it. Each format has a way to write it, or says that it has none.
type input struct {
	name   string            // of the series; the field value of it, in the line protocol
	labels map[string]string // beside the name
	value  string            // as text
	at     time.Duration     // before now
}

// writer is how a format writes a request with inputs. form returns false for what it cannot write.
type writer struct {
	form    func(all []input) (body []byte, written bool)
	path    string
	header  []string
	gzipped bool // compresses with gzip; otherwise, with snappy, in form
	good    int  // status when everything was written
	partly  int  // status when something was refused
	huge    int  // status of what is too large
}

func float(s string) (float64, bool) {
	switch s {
	case "stale":
		return math.Float64frombits(value.StaleNaN), true
	case "NaN":
		return math.NaN(), true
	}
	var f float64
	_, err := fmt.Sscan(s, &f)
	return f, err == nil
}

func (x *input) ordered() []string {
	var all []string
	labels.FromMap(x.labels).Range(func(l labels.Label) { all = append(all, l.Name, l.Value) })
	return all
}

// writers are all formats. Text lines name one series in the path, so their inputs have no labels.
func writers(t testing.TB, now time.Time) map[string]writer {
	remote1 := func(all []input) ([]byte, bool) {
		var series []prompb.TimeSeries
		for _, x := range all {
			v, ok := float(x.value)
			if !ok {
				return nil, false
			}
			series = append(series, series1(v, time.Since(now)+x.at, append([]string{"__name__", x.name}, x.ordered()...)...))
		}
		return snappy.Encode(nil, message1(t, series...)), true
	}
	remote := func(all []input) ([]byte, bool) {
		b := &bus.Batch{}
		for _, x := range all {
			v, ok := float(x.value)
			if !ok {
				return nil, false
			}
			ls := append([]string{"__name__", x.name}, x.ordered()...)
			b.Series = append(b.Series, bus.Series{Labels: labels.FromStrings(ls...), Samples: []bus.Sample{{T: now.Add(-x.at).UnixMilli(), V: v}}})
		}
		return encode(b), true
	}
	influx := func(all []input) ([]byte, bool) {
		var b strings.Builder
		escape := strings.NewReplacer(",", `\,`, "=", `\=`, " ", `\ `)
		for _, x := range all {
			if x.value == "stale" {
				return nil, false
			}
			b.WriteString(escape.Replace(x.name))
			for i, s := range x.ordered() {
				b.WriteString([]string{",", "="}[i%2] + escape.Replace(s))
			}
			fmt.Fprintf(&b, " value=%s %d\n", x.value, now.Add(-x.at).UnixNano())
		}
		return []byte(b.String()), true
	}
	lines := func(all []input) ([]byte, bool) {
		var b strings.Builder
		for _, x := range all {
			if len(x.labels) > 0 || x.value == "stale" {
				return nil, false
			}
			// The name of the path is m, so a series m_key stands for the name key.
			fmt.Fprintf(&b, "%d.%03d %s=%s\n", now.Add(-x.at).Unix(), now.Add(-x.at).UnixMilli()%1000, x.name, x.value)
		}
		return []byte(b.String()), true
	}
	otlpText := func(all []input) ([]byte, bool) {
		var metrics []string
		for _, x := range all {
			var attributes []string
			for i, s := 0, x.ordered(); i < len(s); i += 2 {
				attributes = append(attributes, fmt.Sprintf(`{"key":%q,"value":{"stringValue":%q}}`, s[i], s[i+1]))
			}
			v, flags := `"`+x.value+`"`, 0
			switch x.value {
			case "stale":
				v, flags = "0", 1
			case "+Inf":
				v = `"Infinity"`
			}
			metrics = append(metrics, fmt.Sprintf(`{"name":%q,"gauge":{"dataPoints":[{"timeUnixNano":"%d","asDouble":%s,"flags":%d,"attributes":[%s]}]}}`,
				x.name, now.Add(-x.at).UnixNano(), v, flags, strings.Join(attributes, ",")))
		}
		return []byte(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[` + strings.Join(metrics, ",") + `]}]}]}`), true
	}
	otlpWire := func(all []input) ([]byte, bool) {
		var metrics wireMessage
		for _, x := range all {
			v, ok := float(x.value)
			if !ok {
				return nil, false
			}
			point := wireMessage{{3, fixed(now.Add(-x.at).UnixNano())}, {4, v}}
			if x.value == "stale" {
				point = append(point, wireField{8, 1})
			}
			for i, s := 0, x.ordered(); i < len(s); i += 2 {
				point = append(point, wireField{7, wireAttribute(s[i], s[i+1])})
			}
			metrics = append(metrics, wireField{2, wireMessage{{1, x.name}, {5, wireMessage{{1, point}}}}})
		}
		return wireMessage{{1, wireMessage{{2, metrics}}}}.bytes(), true
	}
	return map[string]writer{
		"remote write 2.0": {form: remote, path: httpbus.WritePath, header: []string{"Content-Type", httpbus.ContentType, "Content-Encoding", "snappy"}, good: 204, partly: 400, huge: 413},
		"remote write 1.0": {form: remote1, path: httpbus.WritePath, header: []string{"Content-Type", "application/x-protobuf", "Content-Encoding", "snappy"}, good: 204, partly: 400, huge: 413},
		"line protocol 1":  {form: influx, path: influx1Path, gzipped: true, good: 204, partly: 400, huge: 413},
		"line protocol 2":  {form: influx, path: influx2Path, gzipped: true, good: 204, partly: 400, huge: 413},
		"text lines":       {form: lines, path: PushPath + "m", gzipped: true, good: 200, partly: 400, huge: 413},
		"OTLP in JSON":     {form: otlpText, path: otlpPath2, header: []string{"Content-Type", "application/json"}, gzipped: true, good: 200, partly: 200, huge: 413},
		"OTLP in protobuf": {form: otlpWire, path: otlpPath1, header: []string{"Content-Type", "application/x-protobuf"}, gzipped: true, good: 200, partly: 200, huge: 413},
	}
}

func (w writer) send(h http.Handler, body []byte, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", w.path, bytes.NewReader(body))
	for _, all := range [][]string{w.header, header} {
		for i := 0; i < len(all); i += 2 {
			r.Header.Set(all[i], all[i+1])
		}
	}
	out := httptest.NewRecorder()
	h.ServeHTTP(out, r)
	return out
}

// One table for all formats: what is bad is refused alike, in words that name the reason, and costs the good samples
// beside it nothing.
func TestEveryFormatTakesTheGoodBesideTheBad(t *testing.T) {
	many := map[string]string{}
	for i := range 70 {
		many[fmt.Sprintf("l%d", i)] = "x"
	}
	for name, c := range map[string]struct {
		bad    input
		reason string            // "": it is taken
		as     map[string]string // what else formats make of it; "taken", or another reason
	}{
		"NaN":             {input{name: "bad", value: "NaN"}, "", map[string]string{"line protocol": "unreadable"}},
		"Inf":             {input{name: "bad", value: "+Inf"}, "", map[string]string{"line protocol": "unreadable"}},
		"stale":           {input{name: "bad", value: "stale"}, "", nil},
		"far future":      {input{name: "bad", value: "1", at: -time.Hour}, "too_new", nil},
		"too old":         {input{name: "bad", value: "1", at: 25 * time.Hour}, "too_old", nil},
		"late":            {input{name: "good", value: "1", at: time.Hour}, "", nil},
		"duplicate":       {input{name: "good", value: "7"}, "duplicate", nil},
		"same again":      {input{name: "good", value: "2"}, "", nil},
		"too many labels": {input{name: "bad", value: "1", labels: many}, "invalid_labels", nil},
		"odd characters":  {input{name: "bad", value: "1", labels: map[string]string{"a.b c": "\u65e5\u672c=,\\ \""}}, "", nil},
		"empty label":     {input{name: "bad", value: "1", labels: map[string]string{"a": ""}}, "", nil},
		"a long label":    {input{name: "bad", value: "1", labels: map[string]string{"a": strings.Repeat("v", 3000)}}, "invalid_labels", nil},
		"a long name":     {input{name: strings.Repeat("n", 3000), value: "1"}, "invalid_labels", nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			now := time.Now()
			for format, w := range writers(t, now) {
				good := input{name: "good", value: "2"}
				body, written := w.form([]input{good, c.bad, {name: "after", value: "3"}})
				if !written {
					continue
				}
				reason := c.reason
				for prefix, other := range c.as {
					if strings.HasPrefix(format, prefix) {
						reason = other
					}
				}
				var p taken
				got := w.send(handler(t, Options{Publish: p.publish}), body)
				want := w.good
				if reason != "" {
					want = w.partly
				}
				if got.Code != want || !strings.Contains(got.Body.String(), reason) {
					t.Errorf("%s, %s: %d %q, want %d and %q", format, name, got.Code, got.Body, want, reason)
				}
				kept := held(p.batches, now)
				if !strings.Contains(kept, "2@0") || !strings.Contains(kept, "3@0") {
					t.Errorf("%s, %s: the good samples beside it: %s", format, name, kept)
				}
				if lines := strings.Count(kept, "@"); (reason == "" && name != "same again") != (lines == 3) {
					t.Errorf("%s, %s: %d samples are written:\n%s", format, name, lines, kept)
				}
			}
		})
	}
}

func TestEveryFormatRefusesWhatCannotBeABody(t *testing.T) {
	now := time.Now()
	small := Options{MaxBody: 10_000, MaxDecoded: 100_000}
	for format, w := range writers(t, now) {
		good, _ := w.form([]input{{name: "good", value: "2"}})
		send := func(body []byte, header ...string) (*httptest.ResponseRecorder, int) {
			var p taken
			o := small
			o.Publish = p.publish
			return w.send(handler(t, o), body, header...), len(p.batches)
		}
		if got, n := send(good); got.Code != w.good || n != 1 {
			t.Errorf("%s: %d %s", format, got.Code, got.Body)
		}
		bomb, oversized, encoding := snappy.Encode(nil, make([]byte, 1<<20)), bytes.Repeat([]byte("x"), 200_000), "snappy"
		if w.gzipped {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			_, _ = z.Write(make([]byte, 4<<20)) // into memory
			_ = z.Close()
			bomb, encoding = b.Bytes(), "gzip"
		}
		for name, c := range map[string]struct {
			body   []byte
			header []string
			status int
		}{
			"oversized":        {oversized, nil, w.huge},
			"compressed bomb":  {bomb, []string{"Content-Encoding", encoding}, w.huge},
			"not compressed":   {[]byte("hello, this is not compressed at all"), []string{"Content-Encoding", encoding}, 400},
			"another encoding": {good, []string{"Content-Encoding", "br"}, 415},
			"malformed":        {[]byte("\x05\xff\xfe<garbage>"), nil, 400},
		} {
			got, n := send(c.body, c.header...)
			if got.Code != c.status || n != 0 || got.Body.Len() == 0 {
				t.Errorf("%s, %s: %d %q, %d batches; want %d, with words", format, name, got.Code, got.Body, n, c.status)
			}
		}
		if strings.HasPrefix(format, "OTLP") || strings.HasPrefix(format, "remote") {
			if got, n := send(good, "Content-Type", "text/html"); got.Code != 415 || n != 0 {
				t.Errorf("%s, wrong type: %d %s", format, got.Code, got.Body)
			}
		}
	}
}
