package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/client_golang/exp/api/remote"
	writev2 "github.com/prometheus/client_golang/exp/api/remote/genproto/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
)

// taken publishes into a slice.
type taken struct{ batches []*bus.Batch }

func (p *taken) publish(_ context.Context, b *bus.Batch) error {
	p.batches = append(p.batches, b)
	return nil
}

func handler(t testing.TB, o Options) *Endpoint {
	t.Helper()
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func post(body []byte, header ...string) *http.Request {
	r := httptest.NewRequest("POST", httpbus.WritePath, bytes.NewReader(body))
	r.Header.Set("Content-Type", httpbus.ContentType)
	r.Header.Set("Content-Encoding", "snappy")
	for i := 0; i < len(header); i += 2 {
		if header[i+1] == "" {
			r.Header.Del(header[i])
		} else {
			r.Header.Add(header[i], header[i+1])
		}
	}
	return r
}

func ask(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// said returns the code and the message of an error, which must have the form
// that all errors of the server have.
func said(t testing.TB, w *httptest.ResponseRecorder) (code, message string) {
	t.Helper()
	var body map[string]map[string]string
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || len(body) != 1 || len(body["error"]) != 2 || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%d %q: %v", w.Code, w.Body, err)
	}
	code, message = body["error"]["code"], body["error"]["message"]
	if code == "" || message == "" {
		t.Fatalf("%d %q says nothing", w.Code, w.Body)
	}
	return code, message
}

func TestWhatIsNoRemoteWrite2IsRefusedWithTheReason(t *testing.T) {
	good := encode(batch(0))
	var p taken
	h := handler(t, Options{Publish: p.publish, MaxBody: 1000, MaxDecoded: 2000, Writable: func() error { return nil }})
	endless := post(nil)
	endless.Body, endless.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("x", 1001))), -1
	claimed := post(nil)
	claimed.Body, claimed.ContentLength = io.NopCloser(unreadable{t}), 1001
	short := post(good)
	short.ContentLength++
	for _, c := range []struct {
		name   string
		r      *http.Request
		status int
		code   string
	}{
		{"GET", httptest.NewRequest("GET", httpbus.WritePath, nil), 405, "method_not_allowed"},
		{"another message", post(good, "Content-Type", "", "Content-Type", "application/x-protobuf;proto=other"), 415, "unsupported_media_type"},
		{"no type", post(good, "Content-Type", ""), 415, "unsupported_media_type"},
		{"JSON", post(good, "Content-Type", "", "Content-Type", "application/json"), 415, "unsupported_media_type"},
		{"gzip", post(good, "Content-Encoding", "", "Content-Encoding", "gzip"), 415, "unsupported_encoding"},
		{"not compressed", post(good, "Content-Encoding", ""), 415, "unsupported_encoding"},
		{"large, and says so", claimed, 413, "too_large"},
		{"large, and does not say so", endless, 413, "too_large"},
		{"large when decompressed", post(snappy.Encode(nil, make([]byte, 2001))), 413, "too_large"},
		{"not snappy", post([]byte("\xff\xff\xff\xff\xff\xff\xff")), 400, "bad_body"},
		{"empty", post(nil), 400, "bad_body"},
		{"not protobuf", post(snappy.Encode(nil, []byte("\xff\xff"))), 400, "bad_body"},
		{"cut off", short, 503, "incomplete"},
		{"a source without a number", post(good, httpbus.HeaderSource, "a"), 400, "bad_sequence"},
		{"a number without a source", post(good, httpbus.HeaderSeq, "1", httpbus.HeaderMerged, "0"), 400, "bad_sequence"},
	} {
		w := ask(h, c.r)
		if code, message := said(t, w); w.Code != c.status || code != c.code {
			t.Errorf("%s: %d %s %s, want %d %s", c.name, w.Code, code, message, c.status, c.code)
		}
	}
	if w := ask(h, httptest.NewRequest("GET", httpbus.WritePath, nil)); w.Header().Get("Allow") != "POST" {
		t.Errorf("GET: %v", w.Header())
	}
	if len(p.batches) > 0 {
		t.Errorf("%d batches were published", len(p.batches))
	}
	if w := ask(h, post(good)); w.Code != 204 || w.Body.Len() > 0 || len(p.batches) != 1 || w.Header().Get(httpbus.HeaderSamplesWritten) != "1" {
		t.Errorf("a good one: %d %v %s", w.Code, w.Header(), w.Body)
	}
	if writes, held := h.load.held(); writes != 0 || held != 0 {
		t.Errorf("%d writes and %d bytes have not been given back", writes, held)
	}
}

// unreadable is a body that must not be read.
type unreadable struct{ t *testing.T }

func (r unreadable) Read([]byte) (int, error) {
	r.t.Error("the body was read")
	return 0, io.EOF
}

func TestGoodSamplesAreWrittenBesideRefusedOnes(t *testing.T) {
	var p taken
	registry := prometheus.NewRegistry()
	h := handler(t, Options{Publish: p.publish, Registerer: registry})
	w := ask(h, post(encode(batch(0, 25*time.Hour, 26*time.Hour, -2*time.Minute, 23*time.Hour))))
	code, message := said(t, w)
	if w.Code != 400 || code != "not_all_written" || w.Header().Get(httpbus.HeaderSamplesWritten) != "2" {
		t.Errorf("%d %s, %v", w.Code, code, w.Header())
	}
	for _, part := range []string{"samples written: 2;", "2 too_old", "1 too_new", `{__name__="m", n="1"} at 20`, `{__name__="m", n="3"}`} {
		if !strings.Contains(message, part) {
			t.Errorf("%q is not in %q", part, message)
		}
	}
	if len(p.batches) != 1 || p.batches[0].Samples() != 2 || len(p.batches[0].Series) != 2 || p.batches[0].Series[1].Samples[0].V != 4 {
		t.Fatalf("published: %+v", p.batches)
	}
	if err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP stripchart_write_refused_total What write requests held and was not written, by reason; their writers were told.
# TYPE stripchart_write_refused_total counter
stripchart_write_refused_total{reason="too_new"} 1
stripchart_write_refused_total{reason="too_old"} 2
# HELP stripchart_write_requests_total Write requests answered, by format and status code.
# TYPE stripchart_write_requests_total counter
stripchart_write_requests_total{code="400",format="remote_write"} 1
# HELP stripchart_write_samples_total Samples of write requests that the bus acknowledged, by format.
# TYPE stripchart_write_samples_total counter
stripchart_write_samples_total{format="remote_write"} 2
`), "stripchart_write_refused_total", "stripchart_write_requests_total", "stripchart_write_samples_total"); err != nil {
		t.Error(err)
	}

	w = ask(h, post(encode(batch(25*time.Hour))))
	if _, message := said(t, w); w.Code != 400 || !strings.Contains(message, "samples written: 0;") || len(p.batches) != 1 {
		t.Errorf("all too old: %d %s, %d published", w.Code, message, len(p.batches))
	}
}

func TestHistogramsAndExemplarsAreToldAsNotWritten(t *testing.T) {
	var p taken
	h := handler(t, Options{Publish: p.publish})
	r := request(batch(0))
	r.Timeseries[0].Exemplars = []*writev2.Exemplar{{}, {}}
	r.Timeseries = append(r.Timeseries, &writev2.TimeSeries{LabelsRefs: r.Timeseries[0].LabelsRefs, Histograms: []*writev2.Histogram{{}, {}, {}}})
	w := ask(h, post(compress(r)))
	_, message := said(t, w)
	if w.Code != 400 || !strings.Contains(message, "3 histogram ") || !strings.Contains(message, "2 exemplar ") || len(p.batches) != 1 {
		t.Errorf("%d %s, %d published", w.Code, message, len(p.batches))
	}
	for name, want := range map[string]string{httpbus.HeaderSamplesWritten: "1", httpbus.HeaderHistogramsWritten: "0", httpbus.HeaderExemplarsWritten: "0"} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// The rule of acceptance is applied to it by log time, behind the bus.
func TestBatchWithASequenceIsNotCut(t *testing.T) {
	var p taken
	h := handler(t, Options{Publish: p.publish})
	header := []string{httpbus.HeaderSource, "s", httpbus.HeaderSeq, "7", httpbus.HeaderMerged, "2"}
	for _, b := range []*bus.Batch{batch(0, 25*time.Hour, -time.Hour), batch(48 * time.Hour), batch()} {
		if w := ask(h, post(encode(b), header...)); w.Code != 204 || w.Header().Get(httpbus.HeaderSamplesWritten) != fmt.Sprint(b.Samples()) {
			t.Errorf("%d samples: %d %v %s", b.Samples(), w.Code, w.Header(), w.Body)
		}
		got := p.batches[len(p.batches)-1]
		if got.Source != "s" || got.Seq != 7 || got.Merged != 2 || got.Samples() != b.Samples() {
			t.Errorf("published %+v", got)
		}
	}
	if len(p.batches) != 3 {
		t.Errorf("%d batches: an empty one has a number too", len(p.batches))
	}
}

func TestRequestOfNothingIsNotPublished(t *testing.T) {
	var p taken
	if w := ask(handler(t, Options{Publish: p.publish}), post(encode(batch()))); w.Code != 204 || w.Header().Get(httpbus.HeaderSamplesWritten) != "0" || len(p.batches) > 0 {
		t.Errorf("%d %v, %d published", w.Code, w.Header(), len(p.batches))
	}
}

func TestWhatTheBusSaysBecomesAnAnswer(t *testing.T) {
	for _, c := range []struct {
		name    string
		publish error
		status  int
		code    string
		retry   string
	}{
		{"away", errors.New("connection refused"), 503, "unavailable", "1"},
		{"late", context.DeadlineExceeded, 503, "unavailable", "1"},
		{"closed", bus.ErrClosed, 503, "unavailable", "1"},
		{"not recorded", fmt.Errorf("x: %w", bus.ErrNotStored), 507, "not_recorded", "10"},
		{"too large", fmt.Errorf("x: %w", bus.ErrTooLarge), 413, "too_large", ""},
	} {
		h := handler(t, Options{Publish: func(context.Context, *bus.Batch) error { return c.publish }})
		w := ask(h, post(encode(batch(0, 25*time.Hour)))) // what is refused does not turn this into a 400, which would be for good
		code, message := said(t, w)
		if w.Code != c.status || code != c.code || w.Header().Get("Retry-After") != c.retry || w.Header().Get(httpbus.HeaderSamplesWritten) != "0" {
			t.Errorf("%s: %d %s %v", c.name, w.Code, code, w.Header())
		}
		if strings.Contains(message, "connection refused") {
			t.Errorf("%s: a stranger is told about the inside: %s", c.name, message)
		}
	}
}

func TestNothingReachesTheBusWhileTheDiskIsFull(t *testing.T) {
	var p taken
	full := errors.New("disk is full")
	h := handler(t, Options{Publish: p.publish, Writable: func() error { return full }})
	w := ask(h, post(encode(batch(0))))
	if code, _ := said(t, w); w.Code != 507 || code != "disk_full" || w.Header().Get("Retry-After") == "" || len(p.batches) > 0 {
		t.Errorf("%d %s, %d published", w.Code, code, len(p.batches))
	}
	full = nil
	if w := ask(h, post(encode(batch(0)))); w.Code != 204 || len(p.batches) != 1 {
		t.Errorf("with room again: %d", w.Code)
	}
}

func TestWritesAboveTheBoundAreToldToComeAgain(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	publish := func(context.Context, *bus.Batch) error {
		entered <- struct{}{}
		<-release
		return nil
	}
	body := encode(batch(0))
	var size int64 // that one request occupies while it is published
	var measured *Endpoint
	measured = handler(t, Options{Publish: func(context.Context, *bus.Batch) error {
		_, size = measured.load.held()
		return nil
	}})
	if w := ask(measured, post(body)); w.Code != 204 || size <= int64(len(body)) {
		t.Fatalf("%d, %d bytes", w.Code, size)
	}
	for name, o := range map[string]Options{
		"writes": {MaxWrites: 1},
		"bytes":  {MaxBody: int64(len(body)), MaxDecoded: 1 << 7, MaxInFlight: 2*size - 1},
	} {
		o.Publish = publish
		h := handler(t, o)
		done := make(chan int)
		go func() { done <- ask(h, post(body)).Code }()
		<-entered
		if _, held := h.load.held(); held != size {
			t.Errorf("%s: %d bytes in flight, want %d", name, held, size)
		}
		w := ask(h, post(body))
		if code, _ := said(t, w); w.Code != 429 || code != "overloaded" || w.Header().Get("Retry-After") != "1" {
			t.Errorf("%s: %d %s %v", name, w.Code, code, w.Header())
		}
		release <- struct{}{}
		if first := <-done; first != 204 {
			t.Errorf("%s: the first one: %d", name, first)
		}
		if writes, held := h.load.held(); writes != 0 || held != 0 {
			t.Errorf("%s: %d writes and %d bytes have not been given back", name, writes, held)
		}
	}
}

func TestBoundsThatHoldNoRequestAreRefused(t *testing.T) {
	if _, err := New(Options{MaxInFlight: 1 << 20}); err == nil {
		t.Error("no error")
	}
}

// The client of the Prometheus project, as a judge of the headers.
func TestPrometheusClientIsServed(t *testing.T) {
	var p taken
	s := httptest.NewServer(handler(t, Options{Publish: p.publish}))
	defer s.Close()
	api, err := remote.NewAPI(s.URL, remote.WithAPIHTTPClient(s.Client()))
	if err != nil {
		t.Fatal(err)
	}
	stats, err := api.Write(t.Context(), remote.WriteV2MessageType, request(batch(0, time.Minute)))
	if err != nil || stats.Samples != 2 || len(p.batches) != 1 {
		t.Errorf("%+v, %v, %d published", stats, err, len(p.batches))
	}
	stats, err = api.Write(t.Context(), remote.WriteV2MessageType, request(batch(0, 25*time.Hour)))
	if err == nil || stats.Samples != 1 || !strings.Contains(err.Error(), "too_old") {
		t.Errorf("a partial write: %+v, %v", stats, err)
	}
}
