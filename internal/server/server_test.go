package server

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/labels"
	"go.uber.org/goleak"

	"stripchart/internal/bus"
	"stripchart/internal/bus/membus"
	"stripchart/internal/ingest"
	"stripchart/internal/live"
	"stripchart/internal/socketio"
	"stripchart/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newServer returns a server whose hub does not run, so it is never ready.
func newServer(t testing.TB, anyHost bool) *Server {
	t.Helper()
	return newServerWith(t, func(o *Options) { o.AnyHost = anyHost })
}

func newServerWith(t testing.TB, with func(*Options)) *Server {
	t.Helper()
	st, err := store.Open(store.Options{Dir: t.TempDir(), ReserveBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	sockets := socketio.NewServer(socketio.Config{})
	t.Cleanup(func() { sockets.Close() })
	hub, err := live.New(live.Options{Bus: membus.New(membus.Options{}), Store: live.NewStore(st), Transport: Transport(sockets), DefaultSeries: "m"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hub.Close() })
	door, err := ingest.New(ingest.Options{
		Publish: func(context.Context, *bus.Batch) error { return nil },
		// Shorter than by default, for a test waits for it.
		ReadTimeout: 5 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Sockets: sockets, Hub: hub, Registry: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
		Window: 100 * time.Second, Ingest: door,
	}
	with(&o)
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ask(s *Server, method, path string, header map[string]string) *http.Response {
	r := httptest.NewRequest(method, path, nil)
	if r.URL.Host == "" {
		r.Host = "127.0.0.1:5000"
	}
	for k, v := range header {
		if k == "Host" {
			r.Host = v
		} else {
			r.Header.Set(k, v)
		}
	}
	w := httptest.NewRecorder()
	s.http.Handler.ServeHTTP(w, r)
	return w.Result()
}

func body(t testing.TB, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestNobodyJoinsBeforeTheLogIsRead(t *testing.T) {
	h := newServer(t, false)
	for _, path := range []string{"/readyz", "/socket.io/?EIO=4&transport=polling"} {
		r := ask(h, "GET", path, nil)
		if b := body(t, r); r.StatusCode != 503 || !strings.Contains(b, `"not_ready"`) {
			t.Errorf("%s: %d %s", path, r.StatusCode, b)
		}
	}
}

// With a disk that takes nothing any more, pages go to another server: they are told
// so by the same answer as while it starts.
func TestAServerThatCanRecordNothingIsNotReady(t *testing.T) {
	st, err := store.Open(store.Options{Dir: t.TempDir(), ReserveBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	log := membus.New(membus.Options{})
	sockets := socketio.NewServer(socketio.Config{})
	hub, err := live.New(live.Options{Bus: log, Store: live.NewStore(st), Transport: Transport(sockets), DefaultSeries: "m"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Sockets: sockets, Hub: hub, Registry: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler), Window: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = hub.Run(ctx) })
	<-hub.Ready()
	publish := func() error {
		return log.Publish(t.Context(), &bus.Batch{Series: []bus.Series{{
			Labels: labels.FromStrings("__name__", "m"), Samples: []bus.Sample{{T: time.Now().UnixMilli(), V: 1}},
		}}})
	}
	says := func(status int) {
		t.Helper()
		for _, path := range []string{"/readyz", "/socket.io/?EIO=4&transport=polling"} {
			if r := ask(s, "GET", path, nil); r.StatusCode != status {
				t.Errorf("%s: %d %s, want %d", path, r.StatusCode, body(t, r), status)
			}
		}
		if r := ask(s, "GET", "/healthz", nil); r.StatusCode != 200 {
			t.Errorf("/healthz: %d", r.StatusCode)
		}
	}
	if err := publish(); err != nil {
		t.Fatal(err)
	}
	says(200)
	st.Close()
	if err := publish(); err == nil {
		t.Fatal("it was recorded")
	}
	says(503)
	cancel()
	running.Wait()
	sockets.Close()
	hub.Close()
	log.Close()
}

func TestErrorsAreJSONWithACode(t *testing.T) {
	h := newServer(t, false)
	for _, c := range []struct {
		method, path string
		status       int
		code         string
	}{
		{"GET", "/nothing", 404, "not_found"},
		{"GET", "/go.mod", 404, "not_found"},
		{"GET", "/api/v1/write", 405, "method_not_allowed"},
		{"POST", "/api/v1/write", 415, "unsupported_media_type"},
		{"GET", "/placeholder.txt/x", 404, "not_found"},
		{"POST", "/nothing", 404, "not_found"},
		{"POST", "/api/v1/nothing", 404, "not_found"},
		{"DELETE", "/api/v1/write", 405, "method_not_allowed"},
		{"POST", "/", 405, "method_not_allowed"},
		{"POST", "/healthz", 405, "method_not_allowed"},
		{"POST", "/readyz", 405, "method_not_allowed"},
		{"POST", "/metrics", 405, "method_not_allowed"},
		{"GET", "/socket.io/socket.io.js", 404, "not_found"},
		{"POST", "/socket.io/1/", 404, "not_found"},
		{"GET", "/socket.io/x?EIO=4&transport=polling", 404, "not_found"},
		{"GET", "http://localhost/healthz", 400, "absolute_uri"},
		{"OPTIONS", "http://evil.example/", 400, "absolute_uri"},
		{"GET", "/index.html.br", 404, "not_found"},
		{"GET", "/index.html.gz", 404, "not_found"},
		{"GET", "/plotly.html", 404, "not_found"},
	} {
		r := ask(h, c.method, c.path, nil)
		if b := body(t, r); r.StatusCode != c.status || !strings.Contains(b, `"code":"`+c.code+`"`) {
			t.Errorf("%s %s: %d %s", c.method, c.path, r.StatusCode, b)
		}
	}
}

func TestAPathWithoutAMeaningIsAnsweredWithTheLineThatWritesANumber(t *testing.T) {
	if b := body(t, ask(newServer(t, false), "GET", "/nothing", nil)); !strings.Contains(b, "curl -d 42 http://HOST:PORT/api/v1/push/my_number") {
		t.Error(b)
	}
}

// A fault of a handler is seen, counted, and costs its own request only.
func TestAPanicIsAnErrorThatIsCounted(t *testing.T) {
	var log bytes.Buffer
	s := newServerWith(t, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	for want, with := range map[any]any{any(1.0): "a fault", any(0.0): http.ErrAbortHandler} {
		before := testutil.ToFloat64(s.panics)
		func() {
			defer func() {
				if v := recover(); v != http.ErrAbortHandler {
					t.Errorf("net/http sees %v", v)
				}
			}()
			s.survive(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(with) })).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/x", nil))
		}()
		if n := testutil.ToFloat64(s.panics) - before; n != want {
			t.Errorf("%v: %v are counted", with, n)
		}
	}
	if l := log.String(); strings.Count(l, "level=ERROR") != 1 || !strings.Contains(l, "a fault") || !strings.Contains(l, "server_test.go") {
		t.Errorf("the log says:\n%s", l)
	}
}
