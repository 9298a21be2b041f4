package ingest

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// otlpAsk posts a body of OTLP.
func otlpAsk(h *Endpoint, media string, body []byte, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", otlpPath2, strings.NewReader(string(body)))
	r.Header.Set("Content-Type", media)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return ask(h, r)
}

// wireMessage makes a message of protobuf of fields: []byte and string of bytes, wireMessage of another message, float64
// and fixed of 64 bits, int of a varint.
type (
	wireField struct {
		n protowire.Number
		v any
	}
	wireMessage []wireField
	fixed       uint64
)

func (m wireMessage) bytes() []byte {
	var b []byte
	for _, f := range m {
		switch v := f.v.(type) {
		case wireMessage:
			b = protowire.AppendBytes(protowire.AppendTag(b, f.n, protowire.BytesType), v.bytes())
		case []byte:
			b = protowire.AppendBytes(protowire.AppendTag(b, f.n, protowire.BytesType), v)
		case string:
			b = protowire.AppendString(protowire.AppendTag(b, f.n, protowire.BytesType), v)
		case float64:
			b = protowire.AppendFixed64(protowire.AppendTag(b, f.n, protowire.Fixed64Type), math.Float64bits(v))
		case fixed:
			b = protowire.AppendFixed64(protowire.AppendTag(b, f.n, protowire.Fixed64Type), uint64(v))
		case int:
			b = protowire.AppendVarint(protowire.AppendTag(b, f.n, protowire.VarintType), uint64(v))
		}
	}
	return b
}

// packed is a packed list of 64-bit numbers.
func packed(all ...uint64) []byte {
	var b []byte
	for _, n := range all {
		b = protowire.AppendFixed64(b, n)
	}
	return b
}

func wireAttribute(key, v string) wireMessage {
	return wireMessage{{1, key}, {2, wireMessage{{1, v}}}}
}

// The same data in both encodings; what the metrics are of stands behind them.
func otlpEverything(at time.Time) (protobuf, text []byte) {
	ns := fixed(at.UnixNano())
	metrics := wireMessage{
		{2, wireMessage{{1, "room.temperature"}, {2, "words"}, {3, "Cel"}, {5, wireMessage{
			{1, wireMessage{{7, wireAttribute("room.name", "lab")}, {7, wireAttribute("empty", "")}, {3, ns}, {4, 21.5}}},
			{1, wireMessage{{7, wireAttribute("room.name", "hall")}, {3, ns}, {6, fixed(math.MaxUint64)}}},
		}}}},
		{2, wireMessage{{1, "requests"}, {7, wireMessage{{2, 2}, {3, 1}, {1, wireMessage{{3, ns}, {6, fixed(12)}}}}}}},
		{2, wireMessage{{1, "duration"}, {3, "s"}, {9, wireMessage{{2, 2}, {1, wireMessage{
			{3, ns}, {4, fixed(6)}, {5, 4.5}, {6, packed(1, 2, 3)}, {7, packed(math.Float64bits(0.5), math.Float64bits(1))}, {8, wireMessage{{3, 1.5}}},
		}}}}}},
		{2, wireMessage{{1, "size"}, {3, "By"}, {11, wireMessage{{1, wireMessage{
			{3, ns}, {4, fixed(2)}, {5, 7.0}, {6, wireMessage{{1, 0.5}, {2, 3.0}}},
		}}}}}},
	}
	protobuf = wireMessage{{1, wireMessage{{2, metrics}, {1, wireMessage{
		{1, wireAttribute("service.name", "shop")}, {1, wireAttribute("service.namespace", "eu")}, {1, wireAttribute("service.instance.id", "a1")},
	}}}}}.bytes()
	text = fmt.Appendf(nil, `
{"resourceMetrics":[{"schemaUrl":"x","scopeMetrics":[{"scope":{"name":"s"},"metrics":[
 {"gauge":{"dataPoints":[
   {"attributes":[{"key":"room.name","value":{"stringValue":"lab"}},{"key":"empty","value":{"stringValue":""}}],"timeUnixNano":"%[1]d","asDouble":21.5},
   {"attributes":[{"value":{"stringValue":"hall"},"key":"room.name"}],"timeUnixNano":%[1]d,"asInt":"-1"}]},"name":"room.temperature","unit":"Cel"},
 {"name":"requests","sum":{"dataPoints":[{"timeUnixNano":"%[1]d","asInt":12}],"aggregationTemporality":"AGGREGATION_TEMPORALITY_CUMULATIVE","isMonotonic":true}},
 {"name":"duration","unit":"s","histogram":{"aggregationTemporality":2,"dataPoints":[{"timeUnixNano":"%[1]d","count":"6","sum":4.5,"bucketCounts":["1","2",3],"explicitBounds":[0.5,1],"exemplars":[{"asDouble":1.5}]}]}},
 {"name":"size","unit":"By","summary":{"dataPoints":[{"timeUnixNano":"%[1]d","count":"2","sum":7,"quantileValues":[{"quantile":0.5,"value":3}]}]}}
]}],"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}},{"key":"service.namespace","value":{"stringValue":"eu"}},{"key":"service.instance.id","value":{"stringValue":"a1"}}]}}]}
`, at.UnixNano())
	return protobuf, text
}

func TestOTLPInBothEncodingsIsWhatPrometheusMakesOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const of = `instance="a1", job="eu/shop"`
		want := strings.Join([]string{
			`{__name__="duration_seconds_bucket", ` + of + `, le="+Inf"} 6@0`,
			`{__name__="duration_seconds_bucket", ` + of + `, le="0.5"} 1@0`,
			`{__name__="duration_seconds_bucket", ` + of + `, le="1"} 3@0`,
			`{__name__="duration_seconds_count", ` + of + `} 6@0`,
			`{__name__="duration_seconds_sum", ` + of + `} 4.5@0`,
			`{__name__="requests_total", ` + of + `} 12@0`,
			`{__name__="room_temperature_celsius", ` + of + `, room_name="hall"} -1@0`,
			`{__name__="room_temperature_celsius", ` + of + `, room_name="lab"} 21.5@0`,
			`{__name__="size_bytes", ` + of + `, quantile="0.5"} 3@0`,
			`{__name__="size_bytes_count", ` + of + `} 2@0`,
			`{__name__="size_bytes_sum", ` + of + `} 7@0`,
		}, "\n")
		protobuf, text := otlpEverything(time.Now())
		for media, body := range map[string][]byte{"application/x-protobuf": protobuf, "application/json; charset=utf-8": text} {
			var p taken
			w := otlpAsk(handler(t, Options{Publish: p.publish}), media, body)
			if w.Code != 200 || w.Header().Get("Content-Type") != strings.TrimSuffix(media, "; charset=utf-8") {
				t.Errorf("%s: %d %v %s", media, w.Code, w.Header(), w.Body)
			}
			if body := w.Body.String(); body != "" && body != "{}" || (body == "{}") != strings.Contains(media, "json") {
				t.Errorf("%s: answered %q", media, body)
			}
			if got := held(p.batches, time.Now()); got != want {
				t.Errorf("%s:\n%s\nwant\n%s", media, got, want)
			}
		}
	})
}

// deltas is a sum of delta temporality.
func deltas(at time.Time, by float64) []byte {
	return fmt.Appendf(nil, `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"jobs","sum":{"aggregationTemporality":1,"isMonotonic":true,"dataPoints":[{"timeUnixNano":"%d","asDouble":%v}]}}]}]}]}`, at.UnixNano(), by)
}

func TestIncreasesAreAddedUpOnceThoughTheyAreSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p taken
		h := handler(t, Options{Publish: p.publish})
		start := time.Now()
		send := func(at time.Time, by float64) string {
			w := otlpAsk(h, "application/json", deltas(at, by))
			return fmt.Sprintf("%d%s", w.Code, w.Body)
		}
		for _, x := range []struct {
			at time.Duration
			by float64
		}{{0, 2}, {time.Second, 3}, {time.Second, 3}, {2 * time.Second, 1}} {
			if got := send(start.Add(x.at), x.by); got != "200{}" {
				t.Error(got)
			}
			time.Sleep(time.Second)
		}
		var got []string
		for _, b := range p.batches {
			got = append(got, fmt.Sprintf("%v@%v", b.Series[0].Samples[0].V, b.Series[0].Samples[0].T-start.UnixMilli()))
		}
		if s := strings.Join(got, " "); s != "2@0 5@1000 5@1000 6@2000" {
			t.Errorf("totals %s", s)
		}
		if got := send(start, 5); !strings.Contains(got, `"rejectedDataPoints":"1"`) || !strings.Contains(got, "delta_state") {
			t.Errorf("an increase before others: %s", got)
		}
	})
}

func TestTotalsAreBoundedAndForgotten(t *testing.T) {
	s := newTotals()
	now := time.Unix(1e9, 0)
	for i := range maxTotals {
		if _, refused := s.grow(fmt.Sprint(i), 1, 1, now); refused != "" {
			t.Fatal(i, refused)
		}
	}
	if _, refused := s.grow("one more", 1, 1, now); refused == "" {
		t.Error("there is no bound")
	}
	if v, refused := s.grow("7", 2, 1, now); v != 2 || refused != "" {
		t.Errorf("a known one: %v %s", v, refused)
	}
	if v, refused := s.grow("one more", 1, 1, now.Add(2*keepTotal)); v != 1 || refused != "" {
		t.Errorf("after the others were silent: %v %s", v, refused)
	}
}

func TestOTLPErrorsHaveTheFormOfTheProtocol(t *testing.T) {
	full := Options{Writable: func() error { return fmt.Errorf("full") }}
	for name, c := range map[string]struct {
		o      Options
		media  string
		body   string
		status int
		code   float64
	}{
		"not JSON":          {Options{}, "application/json", "{", 400, 3},
		"JSON of the like":  {Options{}, "application/json", `{"resourceMetrics":[7]}`, 400, 3},
		"not protobuf":      {Options{}, "application/x-protobuf", "\xff\xff", 400, 3},
		"another type":      {Options{}, "text/plain", "", 415, 3},
		"disk full":         {full, "application/json", "{}", 503, 14},
		"too large":         {Options{MaxDecoded: 100}, "application/json", strings.Repeat(" ", 200), 413, 3},
		"no body, protobuf": {Options{}, "application/x-protobuf", "", 200, 0},
		"no body, JSON":     {Options{}, "application/json", "", 400, 3},
		"empty":             {Options{}, "application/json", " {} ", 200, 0},
	} {
		w := otlpAsk(handler(t, c.o), c.media, []byte(c.body))
		if w.Code != c.status {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if w.Code == 503 && w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", name)
		}
		if c.media == "application/json" && c.status != 200 {
			var status struct {
				Code    float64
				Message string
			}
			if err := json.Unmarshal(w.Body.Bytes(), &status); err != nil || status.Code != c.code || status.Message == "" {
				t.Errorf("%s: %s", name, w.Body)
			}
		}
	}
}

// Whatever a stranger sends, the answer is one of the protocol's, and nothing that was not good is published.
func FuzzOTLP(f *testing.F) {
	now := time.Now()
	protobuf, text := otlpEverything(now)
	f.Add(protobuf, false)
	f.Add(text, true)
	f.Add(deltas(now, 1), true)
	for _, s := range []string{"{}", `{"resourceMetrics":{}}`, `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"a","gauge":{"dataPoints":[{"asInt":"x"},{},null]}}]}]}]}`, `[]`, `"`} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, text bool) {
		media := "application/x-protobuf"
		if text {
			media = "application/json"
		}
		var p taken
		w := otlpAsk(handler(t, Options{Publish: p.publish, MaxDecoded: 1 << 16, MaxBody: 1 << 16}), media, body)
		if w.Code != 200 && w.Code != 400 && w.Code != 413 || w.Code != 200 && len(p.batches) > 0 {
			t.Fatalf("%d %s, %d batches", w.Code, w.Body, len(p.batches))
		}
		if text && !json.Valid(w.Body.Bytes()) {
			t.Fatalf("answered %s", w.Body)
		}
		for _, b := range p.batches {
			if len(b.Series) == 0 {
				t.Fatal("a batch without series")
			}
			for _, s := range b.Series {
				for i := range s.Samples {
					if i > 0 && s.Samples[i].T <= s.Samples[i-1].T {
						t.Fatalf("%s: times do not ascend", s.Labels)
					}
				}
			}
		}
	})
}
