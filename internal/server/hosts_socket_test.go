package server

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"stripchart/internal/testkit"
)

// serveEcho serves a handler behind the guard that answers with the body of the request, and
// with its Host in the header Got. A request for /socket is hijacked: its answer is 101, and
// the bytes behind its head come back as they are.
func serveEcho(t testing.TB, log *slog.Logger) *served {
	h := newServerWith(t, func(o *Options) { o.AnyHost, o.Log = true, log })
	h.http.Handler = h.guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/socket" {
			w.Header().Set("Got", r.Host)
			_, _ = io.Copy(w, r.Body)
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
		_, _ = io.CopyN(conn, rw, int64(rw.Reader.Buffered()))
		_, _ = io.Copy(conn, conn)
	}))
	return serveReal(t, h, never)
}

// write sends text in pieces of a size; 0: at once.
func write(t testing.TB, c net.Conn, text string, size int) {
	t.Helper()
	for piece := range slices.Chunk([]byte(text), cmp.Or(size, len(text))) {
		if _, err := c.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOnlyTheHeadOfTheFirstRequestIsJudgedByItsHosts(t *testing.T) {
	const twice = "Host: localhost\r\nHost: localhost\r\n"
	const body = "x\r\n\r\nHost: a\r\nHost: b\r\nhost: a\r\n\r\n"
	post := func(hosts string) string {
		return fmt.Sprintf("POST / HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s", hosts, len(body), body)
	}
	get := func(hosts string) string { return "GET / HTTP/1.1\r\n" + hosts + "\r\n" }
	s := serveEcho(t, slog.New(slog.DiscardHandler))
	for name, c := range map[string]struct {
		sent string
		want []string // of each answer: status, Host, whether it is the last, body
	}{
		"once":                     {get("Host: localhost\r\n"), []string{"200 localhost false "}},
		"twice":                    {get(twice), []string{"200 localhost true "}},
		"three times":              {get(twice + "X: y\r\nHost:localhost \r\n"), []string{"200 localhost true "}},
		"in capital letters":       {get("HOST: localhost\r\nhost:\tlocalhost\r\n"), []string{"200 localhost true "}},
		"values in other letters":  {get("Host: localhost\r\nHost: LOCALHOST\r\n"), []string{"400  true "}},
		"different":                {get("Host: a\r\nHost: b\r\n"), []string{"400  true "}},
		"folded":                   {get("Host: a\r\nHost: a\r\n b\r\n"), []string{"400  true "}},
		"none":                     {get(""), []string{"400  true "}},
		"a body with Host":         {post("Host: localhost\r\n"), []string{"200 localhost false " + body}},
		"twice and in the body":    {post(twice), []string{"200 localhost true " + body}},
		"HTTP/1.0":                 {"GET / HTTP/1.0\r\n" + twice + "\r\n", []string{"200 localhost true "}},
		"HTTP/1.0 without Host":    {"GET / HTTP/1.0\r\n\r\n", []string{"200  true "}},
		"pipelined":                {post("Host: a\r\n") + post("Host: b\r\n") + get("Host: c\r\n"), []string{"200 a false " + body, "200 b false " + body, "200 c false "}},
		"pipelined behind a twice": {get(twice) + get("Host: a\r\n"), []string{"200 localhost true "}},
		"twice in a later request": {get("Host: a\r\n") + get(twice), []string{"200 a false ", "400  true "}},
	} {
		for _, size := range []int{0, 1, 7} {
			if last := c.want[len(c.want)-1]; size > 0 && len(c.want) > 1 && strings.Contains(last, " true ") || size > 0 && strings.HasPrefix(name, "pipelined behind") {
				continue // the server may have closed the connection before all is sent
			}
			conn := s.dial("127.0.0.1")
			write(t, conn, c.sent, size)
			in := bufio.NewReader(conn)
			var got []string
			for range c.want {
				r, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatalf("%s: %v after %q", name, err, got)
				}
				text, err := io.ReadAll(r.Body)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if r.StatusCode != 200 {
					text = nil
				}
				got = append(got, fmt.Sprint(r.StatusCode, " ", r.Header.Get("Got"), " ", r.Close, " ", string(text)))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s, in pieces of %d: got %q, want %q", name, size, got, c.want)
			}
			conn.Close()
		}
	}
}

// A connection that stays open carries later requests as they are.
func TestLaterRequestsOfAConnectionAreServed(t *testing.T) {
	s := serveEcho(t, slog.New(slog.DiscardHandler))
	c := s.dial("127.0.0.1")
	in := bufio.NewReader(c)
	for i := range 3 {
		write(t, c, fmt.Sprintf("POST / HTTP/1.1\r\nHost: h%d\r\nContent-Length: 8\r\n\r\nHost: %d\n", i, i), 0)
		r, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := body(t, r); r.Header.Get("Got") != fmt.Sprint("h", i) || got != fmt.Sprintf("Host: %d\n", i) || r.Close {
			t.Errorf("request %d: %v, %q", i, r.Header, got)
		}
	}
}

func TestAHeadOfAMegabyteIsRefused(t *testing.T) {
	s := serveEcho(t, slog.New(slog.DiscardHandler))
	c := s.dial("127.0.0.1")
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		line := "X: " + strings.Repeat("x", 1000) + "\r\n"
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n"+strings.Repeat(line, 1000)+"Host: a\r\n\r\n") // cut off amidst it
	}()
	if r, text := s.answer(c); r.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%d %s", r.StatusCode, text)
	}
	c.Close()
	<-sent
}

// The upgrade itself may name Host twice. What comes behind it, at once or later, is not a head.
func TestNothingBehindAnUpgradeIsChanged(t *testing.T) {
	const behind = "\r\nHost: a\r\nHost: a\r\n\r\nHost: b\r\nHost: b\r\n\r\n"
	s := serveEcho(t, slog.New(slog.DiscardHandler))
	for _, hosts := range []string{"Host: a\r\n", "Host: a\r\nHost: a\r\n"} {
		for _, size := range []int{0, 1, 7} {
			c := s.dial("127.0.0.1")
			write(t, c, "GET /socket HTTP/1.1\r\n"+hosts+"\r\n"+behind, size)
			in := bufio.NewReader(c)
			if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, " 101 ") {
				t.Fatalf("%q, %v", line, err)
			}
			if _, err := in.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			write(t, c, behind, size)
			got := make([]byte, 2*len(behind))
			if _, err := io.ReadFull(in, got); err != nil || string(got) != behind+behind {
				t.Errorf("in pieces of %d: %q, %v", size, got, err)
			}
			c.Close()
		}
	}
}

func TestDifferentHostHeadersAreLoggedOnceAMinute(t *testing.T) {
	var log testkit.Log
	s := serveEcho(t, log.Logger())
	for range 5 {
		c := s.dial("127.0.0.1")
		write(t, c, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 0)
		if r, text := s.answer(c); r.StatusCode != 400 || !strings.Contains(text, oneHostLine) {
			t.Errorf("%d %s", r.StatusCode, text)
		}
	}
	if got := strings.Count(log.String(), "level=WARN"); got != 1 || !strings.Contains(log.String(), "proxy_params") {
		t.Errorf("%d lines:\n%s", got, &log)
	}
	var m minutely
	at := time.UnixMilli(1_800_000_000_000)
	for after, want := range []bool{true, false, true} {
		if got := m.due(at.Add(time.Duration(after) * 30 * time.Second)); got != want {
			t.Errorf("after %d half minutes: %v", after, got)
		}
	}
}

// The scan is the whole cost of a request that has one Host.
func BenchmarkHostsOfARequest(b *testing.B) {
	head := "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost:5000\r\n" + strings.Repeat("Sec-Something: of some length or other\r\n", 12) + "\r\n"
	p := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		h := &hostScan{}
		if _, done, err := h.read(strings.NewReader(head), p); !done || err != nil {
			b.Fatal(done, err)
		}
	}
}
