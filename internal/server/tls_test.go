package server

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"stripchart/internal/bus/redisbus/redistest"
	"stripchart/internal/testkit"
)

// secured is a server that speaks TLS, and what its clients trust.
type secured struct {
	*served
	roots *tls.Config
}

// serveTLS serves a server over TLS, with a deadline for requests and answers.
func serveTLS(t testing.TB, deadline time.Duration, with func(*Options)) secured {
	t.Helper()
	authority := redistest.NewAuthority(t)
	certificate, err := LoadCertificate(authority.Issue(t, "localhost", "127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	s := newServerWith(t, func(o *Options) {
		o.Certificate = certificate
		with(o)
	})
	return secured{serveReal(t, s, deadline), trusting(t, authority)}
}

func trusting(t testing.TB, a *redistest.Authority) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(a.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: roots, ServerName: "localhost"}
}

// secure connects and shakes hands for one protocol of ALPN.
func (s secured) secure(protocol string) *tls.Conn {
	s.t.Helper()
	config := s.roots.Clone()
	config.NextProtos = []string{protocol}
	c := tls.Client(s.dial("127.0.0.1"), config)
	if err := c.Handshake(); err != nil {
		s.t.Fatal(err)
	}
	if got := c.ConnectionState().NegotiatedProtocol; got != protocol {
		s.t.Fatalf("the server speaks %q, want %q", got, protocol)
	}
	return c
}

// client returns a client of HTTP/2, with connections of its own.
func (s secured) client() *http.Client {
	transport := &http.Transport{TLSClientConfig: s.roots, ForceAttemptHTTP2: true}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: testkit.Patience}
}

func (s secured) ask(c *http.Client, path string) (*http.Response, string) {
	s.t.Helper()
	r, err := c.Get("https://" + s.address + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Body.Close()
	return r, body(s.t, r)
}

func ordinary(*Options) {}

func TestOverTLSThePageAndTheAPIAreHTTP2AndHTTP1(t *testing.T) {
	s := serveTLS(t, never, ordinary)
	for _, path := range []string{"/", "/healthz"} {
		r, text := s.ask(s.client(), path)
		if r.StatusCode != 200 || r.ProtoMajor != 2 || r.TLS == nil {
			t.Errorf("%s: %s %d %.100s", path, r.Proto, r.StatusCode, text)
		}
		if r, _ := s.get(s.secure("http/1.1"), path); r.StatusCode != 200 || r.ProtoMajor != 1 {
			t.Errorf("%s: %s %d", path, r.Proto, r.StatusCode)
		}
	}
}

// A page that was loaded over TLS has another origin than one that was not.
func TestOverTLSThePagesOriginIsHTTPS(t *testing.T) {
	s := serveTLS(t, never, ordinary)
	c := s.client()
	for scheme, status := range map[string]int{"https": 200, "http": 403} {
		r, err := http.NewRequest("GET", "https://"+s.address+"/healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", scheme+"://"+s.address)
		answer, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != status {
			t.Errorf("a page of %s: %d, want %d", scheme, answer.StatusCode, status)
		}
	}
}

// HTTP says that two Host headers are refused (RFC 9112, section 3.2); that nginx's are joined is for nginx's sake, which
// speaks plain HTTP to this server.
func TestOverTLSTwoHostHeadersAreRefused(t *testing.T) {
	s := serveTLS(t, never, ordinary)
	for _, second := range []string{"localhost", "evil.example"} {
		c := s.secure("http/1.1")
		fmt.Fprintf(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: %s\r\n\r\n", second)
		if r, text := s.answer(c); r.StatusCode != 400 {
			t.Errorf("localhost and %s: %d %s", second, r.StatusCode, text)
		}
	}
}

func TestOverTLSWhatMakesNoProgressIsCut(t *testing.T) {
	s := serveTLS(t, shortly, ordinary)
	// Without a deadline of its own: on a busy machine the handshake may be what is cut.
	secure := func(text string) net.Conn {
		c := tls.Client(s.dial("127.0.0.1"), s.roots)
		if c.Handshake() == nil {
			say(c, text)
		}
		return c
	}
	connections := map[string]net.Conn{
		"no handshake":      s.dial("127.0.0.1"),
		"half a handshake":  say(s.dial("127.0.0.1"), "\x16\x03\x01\x02\x00\x01\x00"),
		"nothing after it":  secure(""),
		"half a head":       secure("GET / HTTP/1.1\r\nHo"),
		"half a body":       secure("POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nx"),
		"HTTP without TLS":  say(s.dial("127.0.0.1"), "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		"a foreign request": secure("POST / HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 9\r\n\r\n"),
	}
	for name, c := range connections {
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.open(0)
}

func say(c net.Conn, text string) net.Conn {
	_, _ = io.WriteString(c, text)
	return c
}

// Whether a connection is plain, HTTP/1.1 or HTTP/2 makes no difference to its place.
func TestOverTLSIdleConnectionsGiveWayAndTheRestIsBounded(t *testing.T) {
	s := serveTLS(t, never, func(o *Options) { o.MaxOpen = 8 })
	s.safeFor(never)
	first := s.secure("http/1.1")
	s.get(first, "/healthz")
	s.idle(1)
	second := s.client()
	if r, _ := s.ask(second, "/healthz"); r.ProtoMajor != 2 {
		t.Fatal(r.Proto)
	}
	s.idle(2)
	if r, _ := s.ask(s.client(), "/healthz"); r.StatusCode != 200 {
		t.Errorf("the third: %d", r.StatusCode)
	}
	s.open(2)
	s.idle(2)
	if _, err := first.Read(make([]byte, 1)); err == nil {
		t.Error("the one that waited longest is still there")
	}
	for range 8 { // in use, or safe
		s.secure("http/1.1")
	}
	testkit.Eventually(t, "the idle ones gave way", func() bool { return s.full(fullIdle) == 3 })
	s.open(8)
	for path, status := range map[string]int{"/": 503, "/healthz": 200, "/metrics": 200} {
		r, text := s.ask(s.client(), path)
		if r.StatusCode != status || status == 503 && !strings.Contains(text, codeFull) {
			t.Errorf("%s over HTTP/2 on a full server: %d %s", path, r.StatusCode, text)
		}
	}
	s.open(8) // the connections that found no room did not stay
	if n := s.full(fullProbeOnly); n != 3 {
		t.Errorf("%d connections were for probes", n)
	}
}

func TestOverTLSOneAddressCannotTakeEveryPlace(t *testing.T) {
	s := serveTLS(t, never, func(o *Options) { o.MaxOpen, o.MaxOpenPerAddress = 8, 2 })
	s.secure("http/1.1")
	s.secure("h2")
	s.open(2)
	if _, err := s.dial("127.0.0.1").Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the third of an address: %v", err)
	}
	if n := s.full(fullAddress); n != 1 {
		t.Errorf("%d are counted", n)
	}
}

// One connection of HTTP/2 carries many requests; the server tells its clients how many, how long heads
// may be, and how much they may send ahead.
func TestTheRequestsOfAnHTTP2ConnectionAreBounded(t *testing.T) {
	s := serveTLS(t, never, ordinary)
	c := s.secure("h2")
	say(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+"\x00\x00\x00\x04\x00\x00\x00\x00\x00") // the preface, and no settings
	var head [9]byte
	if _, err := io.ReadFull(c, head[:]); err != nil || head[3] != 4 {
		t.Fatalf("the first frame is of type %d, %v; want SETTINGS", head[3], err)
	}
	payload := make([]byte, int(head[0])<<16|int(binary.BigEndian.Uint16(head[1:])))
	if _, err := io.ReadFull(c, payload); err != nil {
		t.Fatal(err)
	}
	got := map[uint16]uint32{}
	for p := payload; len(p) >= 6; p = p[6:] {
		got[binary.BigEndian.Uint16(p)] = binary.BigEndian.Uint32(p[2:])
	}
	const maxConcurrentStreams, initialWindowSize, maxHeaderListSize = 3, 4, 6 // RFC 9113, section 6.5.2
	if got[maxConcurrentStreams] != requestsPerConnection || got[initialWindowSize] > receiveBytes ||
		got[maxHeaderListSize] == 0 || got[maxHeaderListSize] > 64<<10 {
		t.Errorf("settings %v", got)
	}
}

func TestACertificateThatChangesIsUsedAndADamagedOneIsNot(t *testing.T) {
	authority := redistest.NewAuthority(t)
	cert, key := authority.Issue(t, "localhost")
	c, err := LoadCertificate(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c.now = func() time.Time { return now }
	logged := &testkit.Log{}
	log := logged.Logger()
	serial := func() string {
		now = now.Add(lookAgain)
		return c.current(log).Leaf.SerialNumber.String()
	}
	put := func(to string, text []byte) {
		t.Helper()
		if err := os.WriteFile(to+".new", text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(to+".new", to); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) []byte {
		t.Helper()
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	first := serial()
	if again := serial(); again != first || logged.String() != "" {
		t.Errorf("without a change it is %s, was %s, and the log says %q", again, first, logged)
	}
	newCert, newKey := authority.Issue(t, "localhost")
	put(cert, read(newCert)) // its key is still missing
	for range 3 {
		if got := serial(); got != first {
			t.Errorf("half a pair is used: %s", got)
		}
	}
	if n := strings.Count(logged.String(), "cannot be used"); n != 1 || !strings.Contains(logged.String(), "--tls-cert") {
		t.Errorf("%d lines say so: %s", n, logged)
	}
	put(key, read(newKey))
	second := serial()
	if second == first || !strings.Contains(logged.String(), "is used from now on") {
		t.Errorf("the new pair is not used, or nothing says so: %s", logged)
	}
	for _, damage := range []func() error{
		func() error { return os.WriteFile(cert, []byte("-----BEGIN"), 0o600) },
		func() error { return os.Remove(cert) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if got := serial(); got != second {
			t.Errorf("after the damage it is %s, was %s", got, second)
		}
	}
	put(cert, read(newCert)) // the same text, in a file that is another one
	if got := serial(); got != second || c.fault != "" {
		t.Errorf("after the repair it is %s, was %s, fault %q", got, second, c.fault)
	}
}

// A changed certificate reaches clients that connect from then on, without a restart.
func TestClientsSeeTheNewCertificate(t *testing.T) {
	authority := redistest.NewAuthority(t)
	cert, key := authority.Issue(t, "localhost")
	certificate, err := LoadCertificate(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	s := secured{serveReal(t, newServerWith(t, func(o *Options) { o.Certificate = certificate; o.Log = slog.New(slog.DiscardHandler) }), never), trusting(t, authority)}
	serial := func() string { return s.secure("h2").ConnectionState().PeerCertificates[0].SerialNumber.String() }
	first := serial()
	newCert, newKey := authority.Issue(t, "localhost")
	for from, to := range map[string]string{newCert: cert, newKey: key} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, "the new certificate is shown", func() bool { return serial() != first })
}

func TestACertificateThatCannotBeReadSaysWhichFlag(t *testing.T) {
	authority := redistest.NewAuthority(t)
	cert, key := authority.Issue(t, "localhost")
	_, otherKey := authority.Issue(t, "localhost")
	for _, c := range []struct{ cert, key, says string }{
		{cert + ".no", key, "--tls-cert"},
		{cert, key + ".no", "--tls-key"},
		{cert, otherKey, "no pair"},
		{key, cert, "no pair"},
	} {
		if _, err := LoadCertificate(c.cert, c.key); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v, want %s", err, c.says)
		}
	}
}
