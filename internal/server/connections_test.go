package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"stripchart/internal/testkit"
	"stripchart/web"
)

// served is a server on a real listener.
type served struct {
	*Server
	t        testing.TB
	address  string
	listener *countingListener
}

// countingListener counts how often the next connection was asked for: once more than
// connections were admitted or refused.
type countingListener struct {
	net.Listener
	asked atomic.Int32
}

func (l *countingListener) Accept() (net.Conn, error) {
	l.asked.Add(1)
	return l.Listener.Accept()
}

const (
	// shortly is a deadline that tests wait for, and never one that nothing may reach.
	shortly = 300 * time.Millisecond
	never   = time.Hour
)

// idle waits until n connections are known to wait for their next request.
func (s *served) idle(n int) {
	s.t.Helper()
	testkit.Eventually(s.t, fmt.Sprintf("%d connections wait for a request", n), func() bool {
		s.connections.mu.Lock()
		defer s.connections.mu.Unlock()
		return s.connections.idle.Len() == n
	})
}

// safeFor changes for how long a connection that has sent nothing is safe.
func (s *served) safeFor(d time.Duration) {
	s.connections.mu.Lock()
	defer s.connections.mu.Unlock()
	s.connections.safe = d
}

// serveReal serves s, with a deadline for requests and answers.
func serveReal(t testing.TB, s *Server, deadline time.Duration) *served {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.http.ReadHeaderTimeout, s.http.ReadTimeout, s.http.WriteTimeout = deadline, deadline, deadline
	counting := &countingListener{Listener: l}
	done := make(chan error, 1)
	go func() { done <- s.Serve(counting) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // whoever is left is cut off
		_ = s.Shutdown(ctx, 0)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return &served{s, t, l.Addr().String(), counting}
}

// dial connects from a loopback address.
func (s *served) dial(from string) net.Conn {
	s.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(testkit.Patience))
	return c
}

// get sends a request that leaves the connection open, and returns its answer.
func (s *served) get(c net.Conn, path string) (*http.Response, string) {
	s.t.Helper()
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path); err != nil {
		s.t.Fatal(err)
	}
	return s.answer(c)
}

func (s *served) answer(c net.Conn) (*http.Response, string) {
	s.t.Helper()
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return r, body(s.t, r)
}

// open waits until n connections are open.
func (s *served) open(n int) {
	s.t.Helper()
	testkit.Eventually(s.t, fmt.Sprintf("%d connections are open", n), func() bool {
		s.connections.mu.Lock()
		defer s.connections.mu.Unlock()
		return s.connections.open == n && (n > 0 || len(s.connections.byAddress) == 0)
	})
}

func (s *served) full(reason string) int {
	return int(testutil.ToFloat64(s.connections.full.WithLabelValues(reason)))
}

func TestARequestThatNeverEndsIsCut(t *testing.T) {
	s := serveReal(t, newServer(t, false), shortly)
	var wait sync.WaitGroup
	const length = "Content-Length: 1000\r\n\r\n"
	for name, head := range map[string]string{
		"the page":             "GET / HTTP/1.1\r\nHost: localhost\r\n" + length,
		"a probe":              "POST /healthz HTTP/1.1\r\nHost: localhost\r\n" + length,
		"metrics":              "GET /metrics HTTP/1.1\r\nHost: localhost\r\n" + length,
		"nothing":              "POST /nothing HTTP/1.1\r\nHost: localhost\r\n" + length,
		"a polling request":    "POST /socket.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: localhost\r\n" + length,
		"a write":              "POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\n" + length,
		"a foreign host":       "POST / HTTP/1.1\r\nHost: evil.example\r\n" + length,
		"a foreign origin":     "POST / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n" + length,
		"two hosts":            "POST / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n" + length,
		"OPTIONS *":            "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n" + length,
		"a chunk that drips":   "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nx",
		"nothing at all":       "",
		"half a head":          "GET / HTTP/1.1\r\nHo",
		"a body to be asked":   "POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n" + length,
		"an old request":       "POST / HTTP/1.0\r\n" + length,
		"an absolute URI":      "POST http://localhost/ HTTP/1.1\r\nHost: localhost\r\n" + length,
		"another path of it":   "POST /socket.io/x HTTP/1.1\r\nHost: localhost\r\n" + length,
		"a method of its own":  "PURGE /assets/x HTTP/1.1\r\nHost: localhost\r\n" + length,
		"a tunnel":             "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n" + length,
		"a file of the page":   "POST /index.html HTTP/1.1\r\nHost: localhost\r\n" + length,
		"the recipe's page":    "POST /plotly HTTP/1.1\r\nHost: localhost\r\n" + length,
		"a handshake":          "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\n" + length,
		"a WebSocket":          "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + length,
		"with a late new line": "POST / HTTP/1.1\r\nHost: localhost\r\n" + length + "x",
	} {
		c := s.dial("127.0.0.1")
		if _, err := io.WriteString(c, head); err != nil {
			t.Fatal(err)
		}
		wait.Go(func() {
			if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
				t.Errorf("%s: it is still open: %v", name, err)
			}
		})
	}
	wait.Wait()
	s.open(0)
}

// Where nobody reads the body, nobody waits for it.
func TestAnAnswerDoesNotWaitForABodyThatNobodyReads(t *testing.T) {
	s := serveReal(t, newServer(t, false), never)
	for _, line := range []string{"POST / HTTP/1.1\r\nHost: evil.example", "POST /nothing HTTP/1.1\r\nHost: localhost", "POST /healthz HTTP/1.1\r\nHost: localhost", "GET / HTTP/1.1\r\nHost: localhost"} {
		c := s.dial("127.0.0.1")
		if _, err := io.WriteString(c, line+"\r\nContent-Length: 1000\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		r, _ := s.answer(c)
		if !r.Close {
			t.Errorf("%q: %d, and the connection stays", line, r.StatusCode)
		}
	}
	s.open(0)
}

func TestAnAnswerThatNobodyReadsIsCut(t *testing.T) {
	found, err := fs.Glob(web.Dist(), "assets/plotly-*.js.gz")
	if err != nil || len(found) != 1 {
		t.Fatalf("the page is not built, %v, %v; run the tests with make test, or make build first", found, err)
	}
	name := strings.TrimSuffix(found[0], ".gz") // without compression, a megabyte
	s := serveReal(t, newServer(t, false), shortly)
	for range 20 {
		c := s.dial("127.0.0.1")
		_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
		if _, err := fmt.Fprintf(c, "GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n", name); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(s.t, "all are admitted", func() bool { return s.listener.asked.Load() > 20 })
	s.open(0) // though none has been closed by its client
}

func TestIdleConnectionsGiveWayAndTheRestIsBounded(t *testing.T) {
	o := func(o *Options) { o.MaxOpen = 8 }
	s := serveReal(t, newServerWith(t, o), never)
	s.safeFor(never)
	if s.connections.maxIdle != 2 {
		t.Fatalf("%d may be idle", s.connections.maxIdle)
	}
	var idle []net.Conn
	for i := range 3 {
		c := s.dial("127.0.0.1")
		s.get(c, "/healthz")
		s.idle(min(i+1, 2)) // the server has noticed: one after the other
		idle = append(idle, c)
		if len(idle) <= 2 { // the server counts a connection as idle a moment after its client has the response
			s.idle(len(idle))
		}
	}
	s.open(2) // the first one waited longest
	if _, err := idle[0].Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection that waited longest: %v", err)
	}
	if r, _ := s.get(idle[2], "/healthz"); r.StatusCode != 200 {
		t.Errorf("another: %d", r.StatusCode)
	}
	s.idle(2)

	// In use: their bodies are on the way.
	var busy []net.Conn
	begin := func() net.Conn {
		c := s.dial("127.0.0.1")
		if _, err := io.WriteString(c, "POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\nContent-Encoding: snappy\r\nContent-Length: 1\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		return c
	}
	for range 8 {
		busy = append(busy, begin())
	}
	// Eight are open before all of the idle ones have given way, too.
	testkit.Eventually(s.t, "three idle ones were closed", func() bool { return s.full(fullIdle) == 3 })
	s.open(8)

	// Full. A page is told; a probe is answered; and neither stays.
	for path, status := range map[string]int{"/": 503, "/healthz": 200, "/readyz": 503, "/metrics": 200, "/api/v1/write": 503} {
		r, text := s.get(s.dial("127.0.0.1"), path)
		if r.StatusCode != status || !r.Close || status == 503 && path != "/readyz" && !strings.Contains(text, codeFull) {
			t.Errorf("%s on a full server: %d %s, Connection: close %v", path, r.StatusCode, text, r.Close)
		}
	}
	s.open(8)
	// Those who say nothing may take all spare places, for as long as they are safe.
	var silent []net.Conn
	for range spareForProbes {
		silent = append(silent, s.dial("127.0.0.1"))
	}
	s.open(8 + spareForProbes)
	c := s.dial("127.0.0.1")
	r, text := s.answer(c)
	if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" || !strings.Contains(text, codeFull) {
		t.Errorf("beyond all places: %d %s", r.StatusCode, text)
	}
	s.safeFor(0)
	probe := s.dial("127.0.0.1")
	if r, text := s.get(probe, "/healthz"); r.StatusCode != 200 {
		t.Errorf("a probe after that: %d %s", r.StatusCode, text)
	}
	probe.Close()
	for _, c := range silent {
		c.Close()
	}
	// Whoever was in use goes on.
	for _, c := range busy {
		if _, err := c.Write([]byte{0}); err != nil {
			t.Fatal(err)
		}
		if r, text := s.answer(c); r.StatusCode != 204 {
			t.Errorf("a request that was under way: %d %s", r.StatusCode, text)
		}
		c.Close()
	}
	s.open(0)
}

func TestOneAddressCannotTakeEveryPlace(t *testing.T) {
	s := serveReal(t, newServerWith(t, func(o *Options) { o.MaxOpen, o.MaxOpenPerAddress = 8, 2 }), never)
	s.dial("127.0.0.1")
	s.dial("127.0.0.1")
	s.open(2)
	if r, _ := s.answer(s.dial("127.0.0.1")); r.StatusCode != 503 {
		t.Errorf("the third of an address: %d", r.StatusCode)
	}
	if n := s.full(fullAddress); n != 1 {
		t.Errorf("%d are counted", n)
	}
	if r, _ := s.get(s.dial("127.0.0.2"), "/healthz"); r.StatusCode != 200 {
		t.Errorf("another address: %d", r.StatusCode)
	}
}

func TestConnectionsAreCountedByNetworkInIPv6(t *testing.T) {
	for a, want := range map[string]string{
		"[2001:db8:1:2:3:4:5:6]:80": "2001:db8:1:2::", "[2001:db8:1:2::1]:80": "2001:db8:1:2::", "[::1]:80": "::1",
		"192.0.2.7:1": "192.0.2.7", "[::ffff:192.0.2.7]:1": "192.0.2.7", "[fe80::1%eth0]:80": "fe80::", "@": "@",
	} {
		if got, err := Accept(&http.Request{RemoteAddr: a}); err != nil || got.Address != want {
			t.Errorf("%s is counted as %s (%v), want %s", a, got.Address, err, want)
		}
	}
}

func TestWhileMemoryIsShortNobodyJoinsAndFewConnect(t *testing.T) {
	short := true
	s := newServerWith(t, func(o *Options) { o.Overloaded = func() bool { return short } })
	a := s.connections
	if !a.hasRoom(0) {
		t.Error("nobody may connect")
	}
	a.open = shortOfMemory
	if a.hasRoom(0) || !a.hasRoom(spareForProbes) {
		t.Error("the connections are not bounded, or probes are not let in")
	}
	a.sockets = shortOfMemory
	if !a.hasRoom(0) {
		t.Error("Socket.IO's connections count")
	}
	a.sockets, short = 0, false
	if !a.hasRoom(0) {
		t.Error("with memory, they are bounded")
	}
}
