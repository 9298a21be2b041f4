package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
	"stripchart/internal/bus/rw"
	"stripchart/internal/ingest"
)

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
		{"/v1/metrics", "cross-site", "", true},
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
