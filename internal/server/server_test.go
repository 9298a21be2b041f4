package server

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/labels"
	"go.uber.org/goleak"

	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
	"stripchart/internal/bus/membus"
	"stripchart/internal/bus/rw"
	"stripchart/internal/ingest"
	"stripchart/internal/live"
	"stripchart/internal/socketio"
	"stripchart/internal/store"
	"stripchart/web"
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

func TestForeignHostsAndOriginsAreRefused(t *testing.T) {
	closed, opened := newServer(t, false), newServer(t, true)
	for _, c := range []struct {
		host, origin  string
		closed, open_ int
	}{
		{"127.0.0.1:5000", "", 200, 200},
		{"localhost:8080", "http://localhost:8080", 200, 200},
		{"LOCALHOST.", "", 200, 200},
		{"a.localhost", "", 200, 200},
		{"[::1]:5000", "http://[::1]:5000", 200, 200},
		{"127.8.9.1", "", 200, 200},
		{"evil.example", "", 403, 200},
		{"evil.example:5000", "http://evil.example:5000", 403, 200},
		{"localhost.evil.example", "", 403, 200},
		{"192.168.0.7:5000", "http://192.168.0.7:5000", 403, 200},
		{"127.0.0.1.evil.example", "", 403, 200},
		{"127.0.0.1:5000", "http://evil.example", 403, 403},
		{"127.0.0.1:5000", "http://127.0.0.1:5001", 403, 403},
		{"127.0.0.1:5000", "null", 403, 403},
		{"localhost:5000", "http://127.0.0.1:5000", 403, 403},
		// The port that goes with the scheme may be left out.
		{"localhost:80", "http://localhost", 200, 200},
		{"localhost", "http://localhost:80", 200, 200},
		{"LOCALHOST", "HTTP://localhost", 403, 403}, // browsers write the scheme small
		{"[::1]:80", "http://[::1]", 200, 200},
		{"localhost:443", "http://localhost", 403, 403},
		{"localhost", "http://localhost:8080", 403, 403},
		// The scheme is a part of the origin.
		{"localhost:5000", "https://localhost:5000", 403, 403},
		{"localhost:80", "https://localhost", 403, 403},
		{"localhost", "https://localhost", 403, 403},
		{"localhost:5000", "ws://localhost:5000", 403, 403},
		{"localhost:5000", "//localhost:5000", 403, 403},
		// Nothing else is.
		{"localhost:5000", "http://evil@localhost:5000", 403, 403},
		{"localhost:5000", "http://localhost:5000/", 403, 403},
		{"localhost:5000", "http://localhost:5000?x", 403, 403},
		{"localhost:5000", "http://localhost:5000#x", 403, 403},
	} {
		header := map[string]string{"Host": c.host}
		if c.origin != "" {
			header["Origin"] = c.origin
		}
		if got := ask(closed, "GET", "/healthz", header).StatusCode; got != c.closed {
			t.Errorf("host %s, origin %q: %d, want %d", c.host, c.origin, got, c.closed)
		}
		if got := ask(opened, "GET", "/healthz", header).StatusCode; got != c.open_ {
			t.Errorf("--insecure, host %s, origin %q: %d, want %d", c.host, c.origin, got, c.open_)
		}
	}
}

// A proxy that speaks TLS to browsers says so, and the page's origin is compared with what it says.
func TestOriginsBehindAProxyHaveItsScheme(t *testing.T) {
	s := newServer(t, true)
	for _, c := range []struct {
		proto, host, origin string
		status              int
	}{
		{"https", "x.example", "https://x.example", 200},
		{"https", "x.example:443", "https://x.example", 200},
		{"https", "x.example:8443", "https://x.example:8443", 200},
		{"HTTPS, http", "x.example", "https://x.example", 200},
		{"wss", "x.example", "https://x.example", 200},
		{"http", "x.example", "http://x.example", 200},
		{"https", "x.example", "http://x.example", 403},
		{"https", "x.example:80", "https://x.example", 403},
		{"gopher", "x.example", "https://x.example", 403},
		{"", "x.example", "https://x.example", 200}, // a proxy that does not say
		{"", "x.example:80", "https://x.example", 403},
	} {
		header := map[string]string{"Host": c.host, "Origin": c.origin}
		if c.proto != "" {
			header["X-Forwarded-Proto"] = c.proto
		}
		r := ask(s, "GET", "/healthz", header)
		if b := body(t, r); r.StatusCode != c.status || c.status == 403 && !strings.Contains(b, "X-Forwarded-Proto") {
			t.Errorf("%+v: %d %s", c, r.StatusCode, b)
		}
	}
}

// Half of a connection is worse than none: where the WebSocket will be refused for its
// Origin, polling is not to begin. A browser names the page of its own origin in Referer.
func TestPollingIsRefusedWhereTheWebSocketWouldBe(t *testing.T) {
	s := newServer(t, false)
	const poll = "/socket.io/?EIO=4&transport=polling"
	for _, c := range []struct {
		path, host, referer string
		status              int
	}{
		{poll, "localhost", "http://localhost:6300/", 403}, // a proxy has lost the port
		{poll, "localhost", "http://evil.example/", 403},
		{poll, "localhost", "about:client", 403},
		{poll, "localhost", "%", 403},
		{poll, "localhost:6300", "http://localhost:6300/", 503}, // the hub of these tests is never ready
		{poll, "localhost:6300", "http://localhost:6300/plotly?x=1#y", 503},
		{poll, "localhost", "", 503},
		{"/plotly", "localhost", "http://evil.example/", 200}, // a link
	} {
		header := map[string]string{"Host": c.host, "Referer": c.referer}
		r := ask(s, "GET", c.path, header)
		if b := body(t, r); r.StatusCode != c.status || c.status == 403 && !strings.Contains(b, "$http_host") {
			t.Errorf("%+v: %d %s", c, r.StatusCode, b)
		}
	}
	if n := testutil.ToFloat64(s.refused.WithLabelValues(codeOriginRefused)); n != 4 {
		t.Errorf("%v are counted", n)
	}
}

// Programs write, and this server's own page may; pages of others may not, nor may
// they find out by the answer what is here.
func TestPagesOfOtherOriginsCannotWrite(t *testing.T) {
	var published atomic.Int32
	door, err := ingest.New(ingest.Options{
		Publish: func(context.Context, *bus.Batch) error { published.Add(1); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	one := string(rw.Encode(&bus.Batch{Series: []bus.Series{{
		Labels: labels.FromStrings("__name__", "m"), Samples: []bus.Sample{{T: time.Now().UnixMilli()}},
	}}}))
	h := newServer(t, false)
	s := httptest.NewServer(h.guard(door))
	defer s.Close()
	for _, c := range []struct {
		origin, host string
		status       int
		published    int32
	}{
		{"", "", 204, 1},
		{s.URL, "", 204, 1},
		{"http://evil.example", "", 403, 0},
		{"null", "", 403, 0},
		{"", "evil.example", 403, 0},
	} {
		published.Store(0)
		r, err := http.NewRequest("POST", s.URL+httpbus.WritePath, strings.NewReader(one))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", httpbus.ContentType)
		r.Header.Set("Content-Encoding", httpbus.ContentEncoding)
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		r.Host = c.host
		answer, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if b := body(t, answer); answer.StatusCode != c.status || published.Load() != c.published {
			t.Errorf("origin %q, host %q: %d %s, %d published", c.origin, c.host, answer.StatusCode, b, published.Load())
		}
		answer.Body.Close()
	}
}

// A foreign page's image, frame or link has no Origin: the browser says it otherwise.
func TestPagesOfOtherSitesCannotQuery(t *testing.T) {
	h := newServer(t, true)
	for _, c := range []struct {
		path, site, referer string
		refused             bool
	}{
		{"/api/v1/query?query=1", "cross-site", "", true},
		{"/api/v1/query?query=1", "same-site", "http://127.0.0.1:8000/x", true},
		{"/api/v1/push/a?value=1", "cross-site", "http://evil.example/", true},
		{"/api/v2/write", "cross-site", "", true},
		{"/query?q=x", "cross-site", "", true},
		{"/write", "same-site", "", true},
		{"/api/v1/query?query=1", "same-origin", "", false},
		{"/api/v1/query?query=1", "none", "", false},
		{"/api/v1/query?query=1", "", "http://evil.example/", false},
		{"/", "cross-site", "", false}, // a link to the page
		{"/healthz", "cross-site", "", false},
	} {
		header := map[string]string{}
		if c.site != "" {
			header["Sec-Fetch-Site"] = c.site
		}
		if c.referer != "" {
			header["Referer"] = c.referer
		}
		r := ask(h, "GET", c.path, header)
		from := "another site"
		if c.referer != "" {
			from = strings.TrimSuffix(strings.TrimSuffix(c.referer, "x"), "/")
		}
		b := body(t, r)
		if got := r.StatusCode == 403; got != c.refused || got && (!strings.Contains(b, codeOriginRefused) || !strings.Contains(b, "This page is of "+from+", and the request was for http://127.0.0.1:5000;")) {
			t.Errorf("%+v: %d %s", c, r.StatusCode, b)
		}
	}
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

func TestEveryAnswerCarriesTheContentSecurityPolicy(t *testing.T) {
	h := newServer(t, false)
	for _, path := range []string{"/", "/plotly", "/healthz", "/nothing", "/metrics", "/socket.io/"} {
		r := ask(h, "GET", path, nil)
		if p := r.Header.Get("Content-Security-Policy"); !strings.HasPrefix(p, "default-src 'none';") || strings.Contains(p, "unsafe") {
			t.Errorf("%s: policy %q", path, p)
		}
		if r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: types may be guessed", path)
		}
	}
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

// The page is part of the tests' set-up (make test builds it), so these tests fail
// without it rather than testing nothing.
func TestPageIsServedCompressedAndCached(t *testing.T) {
	if !web.Built() {
		t.Fatal("the page is not built; run the tests with make test, or make build first")
	}
	h := newServer(t, false)
	r := ask(h, "GET", "/", map[string]string{"Accept-Encoding": "gzip, br;q=0.9"})
	if r.StatusCode != 200 || r.Header.Get("Content-Encoding") != "br" || r.Header.Get("Cache-Control") != "no-cache" ||
		!strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") {
		t.Errorf("/: %d %v", r.StatusCode, r.Header)
	}
	if r := ask(h, "GET", "/", map[string]string{"If-None-Match": r.Header.Get("ETag"), "Accept-Encoding": "br"}); r.StatusCode != 304 {
		t.Errorf("/ again: %d", r.StatusCode)
	}
	if r := ask(h, "GET", "/", map[string]string{"Accept-Encoding": "br;q=0, gzip"}); r.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("without br: %v", r.Header)
	}
	html := body(t, ask(h, "GET", "/", nil))
	_, rest, ok := strings.Cut(html, "assets/")
	name, _, _ := strings.Cut(rest, `"`)
	if !ok {
		t.Fatalf("the page loads no assets:\n%s", html)
	}
	if r := ask(h, "GET", "/assets/"+name, nil); r.StatusCode != 200 || !strings.Contains(r.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("/assets/%s: %d %v", name, r.StatusCode, r.Header)
	}
	if r := ask(h, "POST", "/", nil); r.StatusCode != 405 || r.Header.Get("Allow") == "" {
		t.Errorf("POST /: %d", r.StatusCode)
	}
}

// A client that has a file is told so without a look at it: 4 ms for the largest, once.
func TestAFileThatIsKnownIsNotRead(t *testing.T) {
	var reads atomic.Int32
	dist := readsOf{fstest.MapFS{"plotly.html": {Data: []byte("x")}, "index.html": {Data: []byte("x")}, "assets/a.js": {Data: make([]byte, 1<<20)}, "assets/a.js.br": {Data: []byte("br")}}, &reads}
	p, err := readPage(dist, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	get := func(method string, header map[string]string) *http.Response {
		r := httptest.NewRequest(method, "/assets/a.js", nil)
		for k, v := range header {
			r.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		reads.Store(0)
		p.ServeHTTP(w, r)
		return w.Result()
	}
	r := get("GET", nil)
	if reads.Load() == 0 || r.StatusCode != 200 || r.ContentLength != 1<<20 {
		t.Fatalf("%d, %d bytes, %d reads", r.StatusCode, r.ContentLength, reads.Load())
	}
	if r := get("GET", map[string]string{"If-None-Match": r.Header.Get("ETag")}); r.StatusCode != 304 || reads.Load() != 0 {
		t.Errorf("for one who has it: %d, %d reads", r.StatusCode, reads.Load())
	}
	if r := get("HEAD", nil); r.StatusCode != 200 || reads.Load() != 0 {
		t.Errorf("HEAD: %d, %d reads", r.StatusCode, reads.Load())
	}
	if r := get("GET", map[string]string{"If-None-Match": r.Header.Get("ETag"), "Accept-Encoding": "br"}); r.StatusCode != 200 || r.Header.Get("Content-Encoding") != "br" {
		t.Errorf("the same, compressed: %d %v", r.StatusCode, r.Header)
	}
}

// readsOf counts what is read of a file system.
type readsOf struct {
	fs.FS
	n *atomic.Int32
}

func (f readsOf) Open(name string) (fs.File, error) {
	file, err := f.FS.Open(name)
	if seeker, ok := file.(io.ReadSeeker); ok && err == nil {
		return readCounter{file, seeker, f.n}, nil
	}
	return file, err
}

type readCounter struct {
	fs.File
	seeker io.ReadSeeker
	n      *atomic.Int32
}

func (f readCounter) Read(p []byte) (int, error) { f.n.Add(1); return f.File.Read(p) }
func (f readCounter) Seek(offset int64, whence int) (int64, error) {
	return f.seeker.Seek(offset, whence)
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

func TestPlotlyPageIsToldItsWindow(t *testing.T) {
	html := body(t, ask(newServer(t, false), "GET", "/plotly", nil))
	if !strings.Contains(html, `content="100"`) || strings.Contains(html, "__X_WINDOW__") {
		t.Errorf("the page does not say x_window = 100:\n%s", html)
	}
}

func TestTakenDefaultPortMeansTheNextFreeOne(t *testing.T) {
	first, err := Listen("127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	port := first.Addr().(*net.TCPAddr).Port
	second, err := Listen(first.Addr().String(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if got := second.Addr().(*net.TCPAddr).Port; got <= port || got > port+portsToTry {
		t.Errorf("port %d after %d", got, port)
	}
	if _, err := Listen(first.Addr().String(), true); err == nil || !strings.Contains(err.Error(), strconv.Itoa(port)) {
		t.Errorf("a port that was asked for: %v", err)
	}
}
