package ingest

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"

	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
)

// post1 sends what Prometheus sends by default.
func post1(h http.Handler, body []byte, encoding string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", httpbus.WritePath, strings.NewReader(string(body)))
	r.Header.Set("Content-Type", "application/x-protobuf")
	r.Header.Set("Content-Encoding", encoding)
	r.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	return ask(h, r)
}

func message1(t testing.TB, series ...prompb.TimeSeries) []byte {
	t.Helper()
	raw, err := (&prompb.WriteRequest{Timeseries: series}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func series1(v float64, age time.Duration, namesAndValues ...string) prompb.TimeSeries {
	var ls []prompb.Label
	for i := 0; i < len(namesAndValues); i += 2 {
		ls = append(ls, prompb.Label{Name: namesAndValues[i], Value: namesAndValues[i+1]})
	}
	return prompb.TimeSeries{Labels: ls, Samples: []prompb.Sample{{Timestamp: time.Now().Add(-age).UnixMilli(), Value: v}}}
}

func zstdOf(raw []byte) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return w.EncodeAll(raw, nil)
}

// A good series beside anything is written, and the answer is one that Prometheus and vmagent
// judge rightly.
func TestRemoteWrite1(t *testing.T) {
	good := series1(1, 0, "__name__", "good")
	many := []string{"__name__", "m"}
	for _, l := range strings.Split("a b c d e f g h i j k l m n o p q r s t u v w x y z", " ") {
		many = append(many, l, "1", l+l, "1", l+l+l, "1")
	}
	for _, c := range []struct {
		name    string
		body    []byte
		encoded string
		status  int
		code    string
		says    string
		written int
	}{
		{"good", message1(t, good), "", 204, "", "", 1},
		{"zstd", zstdOf(message1(t, good)), "zstd", 204, "", "", 1},
		{"nothing", nil, "", 204, "", "", 0},
		{"unsorted labels", message1(t, good, series1(2, 0, "b", "1", "__name__", "m")), "", 204, "", "", 2},
		{"an empty label", message1(t, good, series1(2, 0, "__name__", "m", "a", "")), "", 204, "", "", 2},
		{"odd characters", message1(t, good, series1(2, 0, "__name__", "räum.1", "ü b", "\x00")), "", 204, "", "", 2},
		{"NaN and the infinities", message1(t, good, series1(math.NaN(), 0, "__name__", "n"), series1(math.Inf(1), 0, "__name__", "i"), series1(math.Inf(-1), 0, "__name__", "j")), "", 204, "", "", 4},
		{"late", message1(t, good, series1(2, 23*time.Hour, "__name__", "m")), "", 204, "", "", 2},
		{"a stale marker", message1(t, good, series1(math.Float64frombits(value.StaleNaN), 0, "__name__", "m")), "", 204, "", "", 2},
		{"a label twice", message1(t, good, series1(2, 0, "__name__", "m", "a", "1", "a", "2")), "", 400, "not_all_written", "1 invalid_labels", 1},
		{"no name", message1(t, good, series1(2, 0, "a", "1")), "", 400, "not_all_written", "no metric name", 1},
		{"too many labels", message1(t, good, series1(2, 0, many...)), "", 400, "not_all_written", "more than 64 labels", 1},
		{"too old", message1(t, good, series1(2, 25*time.Hour, "__name__", "m")), "", 400, "not_all_written", "1 too_old", 1},
		{"far future", message1(t, good, series1(2, -2*time.Minute, "__name__", "m")), "", 400, "not_all_written", "1 too_new", 1},
		{"a histogram", message1(t, good, prompb.TimeSeries{Labels: []prompb.Label{{Name: "__name__", Value: "h"}}, Histograms: make([]prompb.Histogram, 2)}), "", 400, "not_all_written", "2 histogram", 1},
		{"an exemplar", message1(t, prompb.TimeSeries{Labels: good.Labels, Samples: good.Samples, Exemplars: make([]prompb.Exemplar, 1)}), "", 400, "not_all_written", "1 exemplar", 1},
		{"duplicate", message1(t, good, prompb.TimeSeries{Labels: good.Labels, Samples: []prompb.Sample{{Timestamp: good.Samples[0].Timestamp, Value: 9}}}), "", 400, "not_all_written", "1 duplicate", 1},
		{"malformed", []byte("\xff\xff"), "", 400, "bad_body", "not a Remote-Write request", 0},
		{"not snappy", []byte("\xff\xff\xff\xff\xff\xff\xff"), "snappy", 400, "bad_body", "snappy", 0},
		{"not zstd", []byte("zzzz"), "zstd", 400, "bad_body", "zstd", 0},
		{"a bomb of snappy", snappy.Encode(nil, make([]byte, 3<<20)), "snappy", 413, "too_large", "decompressed", 0},
		{"a bomb of zstd", zstdOf(make([]byte, 3<<20)), "zstd", 413, "too_large", "decompressed", 0},
		{"oversized", []byte(strings.Repeat("x", 3<<20)), "snappy", 413, "too_large", "as sent", 0},
		{"another encoding", message1(t, good), "gzip", 415, "unsupported_encoding", "snappy", 0},
	} {
		var p taken
		h := handler(t, Options{Publish: p.publish, MaxBody: 1 << 20, MaxDecoded: 2 << 20})
		body, encoded := c.body, c.encoded
		if encoded == "" {
			body, encoded = snappy.Encode(nil, c.body), "snappy"
		}
		w := post1(h, body, encoded)
		code, message := "", ""
		if w.Code != 204 {
			code, message = said(t, w)
		}
		if w.Code != c.status || code != c.code || !strings.Contains(message, c.says) {
			t.Errorf("%s: %d %s %s", c.name, w.Code, code, message)
		}
		// With this header the answer would be one of 2.0.
		if w.Header().Get(httpbus.HeaderSamplesWritten) != "" {
			t.Errorf("%s: %v", c.name, w.Header())
		}
		written := 0
		for _, b := range p.batches {
			written += b.Samples()
			if b.Series[0].Labels.Get("__name__") != "good" || b.Series[0].Samples[0].V != 1 {
				t.Errorf("%s: the good sample became %v", c.name, b.Series[0])
			}
			if c.name == "a stale marker" && math.Float64bits(b.Series[1].Samples[0].V) != value.StaleNaN {
				t.Errorf("the mark of a series that ended became %x", math.Float64bits(b.Series[1].Samples[0].V))
			}
		}
		if written != c.written {
			t.Errorf("%s: %d written, want %d", c.name, written, c.written)
		}
		if writes, bytes := h.load.held(); writes != 0 || bytes != 0 {
			t.Errorf("%s: %d writes and %d bytes have not been given back", c.name, writes, bytes)
		}
	}
}

// Prometheus gives up what is answered 429, so it is 503.
func TestRemoteWrite1IsToldToComeAgainWith503(t *testing.T) {
	body := snappy.Encode(nil, message1(t, series1(1, 0, "__name__", "m")))
	for name, c := range map[string]struct {
		o      Options
		status int
	}{
		"overloaded":   {Options{MaxWrites: -1}, 503},
		"the bus away": {Options{Publish: func(context.Context, *bus.Batch) error { return errors.New("away") }}, 503},
		"disk full":    {Options{Writable: func() error { return errors.New("full") }}, 507},
	} {
		w := post1(handler(t, c.o), body, "snappy")
		if said(t, w); w.Code != c.status || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d %s %v", name, w.Code, w.Body, w.Header())
		}
	}
}
