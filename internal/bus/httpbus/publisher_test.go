package httpbus

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"stripchart/internal/bus"
)

// batch is encoded as its source: here the body is opaque.
func batch(seq uint64) *bus.Batch { return &bus.Batch{Sequence: bus.Sequence{Source: "s", Seq: seq}} }

func encode(b *bus.Batch) []byte { return []byte("batch of " + b.Source) }

func newPublisher(t *testing.T, o Options) *Publisher {
	t.Helper()
	o.Encode = encode
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// taken answers like a server that has written a batch.
func taken(w http.ResponseWriter) {
	w.Header().Set(HeaderSamplesWritten, "0")
	w.WriteHeader(http.StatusNoContent)
}

func TestRequestIsRemoteWrite2(t *testing.T) {
	var got *http.Request
	var body []byte
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		taken(w)
	})
	p := newPublisher(t, Options{URL: strings.Replace(s.URL, "http://", "http://ada:pass%20word@", 1) + "/sub/", UserAgent: "stripchart/1.2.3"})
	if err := p.Publish(t.Context(), &bus.Batch{Sequence: bus.Sequence{Source: "s", Seq: 9, Merged: 3}}); err != nil {
		t.Fatal(err)
	}
	if got.Method != "POST" || got.URL.Path != "/sub/api/v1/write" || string(body) != "batch of s" || got.ContentLength != 10 {
		t.Errorf("%s %s, %d bytes: %s", got.Method, got.URL, got.ContentLength, body)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request", "Content-Encoding": "snappy",
		"X-Prometheus-Remote-Write-Version": "2.0.0", "User-Agent": "stripchart/1.2.3",
		"Stripchart-Source": "s", "Stripchart-Seq": "9", "Stripchart-Merged": "3",
	} {
		if v := got.Header.Get(name); v != want {
			t.Errorf("%s: %q, want %q", name, v, want)
		}
	}
	if user, password, ok := got.BasicAuth(); !ok || user != "ada" || password != "pass word" {
		t.Errorf("user %q, password %q", user, password)
	}
	if err := p.Publish(t.Context(), &bus.Batch{}); err != nil {
		t.Fatal(err)
	}
	if len(got.Header.Values(HeaderSource))+len(got.Header.Values(HeaderSeq))+len(got.Header.Values(HeaderMerged)) > 0 {
		t.Errorf("without a sequence: %v", got.Header)
	}
}

func TestAnswersMeanWhatTheyMean(t *testing.T) {
	said := `{"error":{"code":"x","message":"what to do"}}`
	for _, c := range []struct {
		name    string
		status  int
		header  string
		body    string
		is      []error // all of them
		not     []error
		message string
	}{
		{"written", 204, HeaderSamplesWritten + ": 3", "", nil, nil, ""},
		{"written, with 200", 200, HeaderSamplesWritten + ": 0", "", nil, nil, ""},
		{"a success of something else", 200, "", "<html>welcome", []error{ErrWrongAddress}, []error{bus.ErrRefused}, "Remote-Write"},
		{"a bad batch", 400, "", said, []error{bus.ErrRefused}, []error{ErrWrongAddress}, "what to do"},
		{"a batch of which some was refused", 400, "", `{"error":{"code":"not_all_written","message":"1 too_old"}}`, []error{bus.ErrNotAllWritten}, []error{bus.ErrRefused, bus.ErrNotStored}, "1 too_old"},
		{"an answer that breaks off", 400, "Content-Length: 1000", said, nil, []error{bus.ErrRefused, bus.ErrNotAllWritten}, "broke off"},
		{"a large batch", 413, "", said, []error{bus.ErrRefused, bus.ErrTooLarge}, []error{ErrWrongAddress}, "what to do"},
		{"no such path", 404, "", "<html>", []error{ErrWrongAddress}, []error{bus.ErrRefused}, "404"},
		{"an older server", 415, "", said, []error{ErrWrongAddress}, []error{bus.ErrRefused}, "what to do"},
		{"no door", 405, "", said, []error{ErrWrongAddress}, []error{bus.ErrRefused}, "what to do"},
		{"a redirect", 307, "Location: /other", "", []error{ErrWrongAddress}, []error{bus.ErrRefused}, "redirect"},
		{"a wrong password", 401, "", said, nil, []error{bus.ErrRefused}, "what to do"},
		{"a proxy that may not", 403, "", said, nil, []error{bus.ErrRefused}, "what to do"},
		{"a disk that is full", 507, "", `{"error":{"code":"disk_full","message":"what to do"}}`, nil, []error{bus.ErrRefused, bus.ErrNotStored}, "what to do"},
		{"shown and not recorded", 507, "", `{"error":{"code":"not_recorded","message":"shown"}}`, []error{bus.ErrNotStored}, []error{bus.ErrRefused}, ""},
		{"a bus that is away", 503, "", said, nil, []error{bus.ErrRefused}, "what to do"},
		{"a proxy without a server", 502, "", "<html>" + strings.Repeat("x", 1<<20), nil, []error{bus.ErrRefused}, "502"},
		{"a long sentence", 500, "", `{"error":{"message":"` + strings.Repeat("é", 1000) + `"}}`, nil, []error{bus.ErrRefused}, "é"},
	} {
		requests := 0
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			requests++
			if k, v, ok := strings.Cut(c.header, ": "); ok {
				w.Header().Set(k, v)
			}
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		err := newPublisher(t, Options{URL: s.URL}).Publish(t.Context(), batch(1))
		if (err == nil) != (c.status/100 == 2 && c.header != "") {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, is := range c.is {
			if !errors.Is(err, is) {
				t.Errorf("%s: %v, want %v", c.name, err, is)
			}
		}
		for _, not := range c.not {
			if errors.Is(err, not) {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		if err != nil && (!strings.Contains(err.Error(), c.message) || len(err.Error()) > 800) {
			t.Errorf("%s: %v (%d bytes), want %q in it", c.name, err, len(err.Error()), c.message)
		}
		if requests != 1 {
			t.Errorf("%s: %d requests", c.name, requests)
		}
	}
}

func TestAnswerWithoutEndIsReadToABound(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		for {
			if _, err := io.WriteString(w, strings.Repeat("x", 1<<10)); err != nil {
				return
			}
		}
	})
	err := newPublisher(t, Options{URL: s.URL, Timeout: 2 * time.Minute}).Publish(t.Context(), batch(1))
	if err == nil || !strings.Contains(err.Error(), "502") || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v; it read on until the timeout", err)
	}
}

func TestBatchesShareOneConnection(t *testing.T) {
	var conns atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get(HeaderSeq) {
		case "2":
			http.Error(w, "not now", http.StatusInternalServerError)
		default:
			taken(w)
		}
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	registry := prometheus.NewRegistry()
	p := newPublisher(t, Options{URL: s.URL, Registerer: registry})
	for seq := uint64(1); seq <= 5; seq++ {
		if err := p.Publish(t.Context(), batch(seq)); (err != nil) != (seq == 2) {
			t.Errorf("%d: %v", seq, err)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
	if n, err := testutil.GatherAndCount(registry, "stripchart_push_seconds"); err != nil || n != 2 {
		t.Errorf("%d series of answers, %v; want 204 and 500", n, err)
	}
}

func TestServerOverTLSMustBeKnown(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { taken(w) }))
	s.Config.ErrorLog = nil
	t.Cleanup(s.Close)
	if err := newPublisher(t, Options{URL: s.URL}).Publish(t.Context(), batch(1)); err == nil || errors.Is(err, bus.ErrRefused) {
		t.Errorf("an unknown certificate: %v", err)
	}
	trusting := s.Client().Transport.(*http.Transport).TLSClientConfig
	if err := newPublisher(t, Options{URL: s.URL, TLS: trusting}).Publish(t.Context(), batch(1)); err != nil {
		t.Errorf("a known one: %v", err)
	}
}

func TestPasswordAppearsInNoError(t *testing.T) {
	const secret = "hunter2"
	for _, u := range []string{
		"http://ada:hunter2@127.0.0.1:1/", "http://ada:hunter2@nowhere.invalid/", "http://ada:hunter2@127.0.0.1:port/", "http://ada:hunter2@/",
		"http://ada:hunter2 @host/", "ftp://ada:hunter2@host/", "http://ada:hunter2@host/?a", "http://ada:hunter2@host/#a", "ada:hunter2@host", "http://%zz:hunter2@host/", "\x7f:hunter2",
		"http://ada:hunter2@host/api/v1/write",
	} {
		p, err := New(Options{URL: u, Encode: encode})
		if err == nil {
			err = p.Publish(t.Context(), batch(1))
			p.Close()
		}
		if err == nil || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "ada") {
			t.Errorf("%s: %v", u, err)
		}
	}
}

func TestBatchThatCannotBeSentIsRefused(t *testing.T) {
	p := newPublisher(t, Options{URL: "http://127.0.0.1:1"})
	for _, b := range []*bus.Batch{{Sequence: bus.Sequence{Seq: 1}}, {Sequence: bus.Sequence{Source: "a b", Seq: 1}}, {Sequence: bus.Sequence{Source: "a\r\nHost: evil", Seq: 1}}, {Sequence: bus.Sequence{Source: strings.Repeat("x", 129), Seq: 1}}, {Sequence: bus.Sequence{Source: "a"}}, {Sequence: bus.Sequence{Source: "a", Seq: 1, Merged: 1}}} {
		if err := p.Publish(t.Context(), b); !errors.Is(err, bus.ErrRefused) {
			t.Errorf("%+v: %v", b, err)
		}
	}
}

func TestCallsHonourTheirContextAndTheTimeout(t *testing.T) {
	release := make(chan struct{})
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-release
	})
	defer close(release)
	p := newPublisher(t, Options{URL: s.URL, Timeout: 50 * time.Millisecond})
	if err := p.Publish(t.Context(), batch(1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("timeout: %v", err)
	}
	p = newPublisher(t, Options{URL: s.URL})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Publish(ctx, batch(1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("context: %v", err)
	}
}

func TestCloseEndsCallsUnderWayAndIsIdempotent(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		entered <- struct{}{}
		<-release
	})
	defer close(release)
	p := newPublisher(t, Options{URL: s.URL, Timeout: time.Hour})
	done := make(chan error)
	go func() { done <- p.Publish(t.Context(), batch(1)) }()
	<-entered
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, bus.ErrClosed) {
		t.Errorf("under way: %v", err)
	}
	if err := p.Publish(t.Context(), batch(1)); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("afterwards: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// A server that asks for a pause gets it, whoever calls Publish and however often,
// but never more than the bound.
func TestServerIsLeftAloneForAsLongAsItAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ask := make(chan string, 1)
		listener := newPipes()
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			select {
			case after := <-ask:
				w.Header().Set("Retry-After", after)
				w.WriteHeader(http.StatusTooManyRequests)
			default:
				taken(w)
			}
		})}
		served := make(chan error)
		go func() { served <- server.Serve(listener) }()
		p, err := New(Options{URL: "http://server", Encode: encode})
		if err != nil {
			t.Fatal(err)
		}
		p.client.Transport.(*http.Transport).DialContext = listener.dial
		for _, c := range []struct {
			after string
			want  time.Duration
		}{
			{"7", 7 * time.Second},
			{time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), 30 * time.Second},
			{"86400", 30 * time.Second},
			{"-1", 0}, {"soon", 0}, {"", 0},
		} {
			ask <- c.after
			if err := p.Publish(t.Context(), batch(1)); err == nil {
				t.Fatal("429 was no error")
			}
			began := time.Now()
			if c.want > 0 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				if err := p.Publish(ctx, batch(1)); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
					t.Errorf("Retry-After %s: a call of one second ended after %v with %v", c.after, time.Since(began), err)
				}
				cancel()
			}
			if err := p.Publish(t.Context(), batch(1)); err != nil || time.Since(began) != c.want {
				t.Errorf("Retry-After %s: %v after %v, want %v", c.after, err, time.Since(began), c.want)
			}
		}
		p.Close()
		server.Close()
		<-served
	})
}

// pipes is a listener whose connections are in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (l *pipes) dial(context.Context, string, string) (net.Conn, error) {
	a, b := net.Pipe()
	l.conns <- b
	return a, nil
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error   { close(l.closed); return nil }
func (l *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }
