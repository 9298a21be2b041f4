package server

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// heads are the beginnings of connections, with what http.Server is to be given and
// what is to be found. Behind the first head nothing may change.
var heads = map[string]struct {
	sent, given string
	found       hosts
}{
	"one":            {"GET / HTTP/1.1\r\nHost: a\r\n\r\nHost: b\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\nHost: b\r\n", oneHost},
	"none":           {"GET / HTTP/1.1\r\n\r\nHost: b\r\nHost: c\r\n", "GET / HTTP/1.1\r\n\r\nHost: b\r\nHost: c\r\n", oneHost},
	"two alike":      {"GET / HTTP/1.1\r\nHost: a:80\r\nX: y\r\nHost: a:80\r\n\r\n", "GET / HTTP/1.1\r\nHost: a:80\r\nX: y\r\nAlso: a:80\r\n\r\n", sameHosts},
	"three alike":    {"GET / HTTP/1.1\r\nhost:a\r\nHOST:  a \r\nHost:\ta\r\n\r\n", "GET / HTTP/1.1\r\nhost:a\r\nAlso:  a \r\nAlso:\ta\r\n\r\n", sameHosts},
	"new lines only": {"GET / HTTP/1.1\nHost: a\nHost: a\n\nHost: b\nHost: c\n", "GET / HTTP/1.1\nHost: a\nAlso: a\n\nHost: b\nHost: c\n", sameHosts},
	"two":            {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nAlso: b\r\n\r\n", unequalHosts},
	"by case":        {"GET / HTTP/1.1\r\nHost: a\r\nHost: A\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nAlso: A\r\n\r\n", unequalHosts},
	"by port":        {"GET / HTTP/1.1\r\nHost: a:8080\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a:8080\r\nAlso: a\r\n\r\n", unequalHosts},
	"then alike":     {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nAlso: b\r\nAlso: a\r\n\r\n", unequalHosts},
	"folded":         {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nAlso: a\r\n b\r\n\r\n", unequalHosts},
	"others":         {"GET / HTTP/1.1\r\nHostname: a\r\nHost : b\r\nX-Host: c\r\nHos: d\r\nHost: e\r\n\r\n", "GET / HTTP/1.1\r\nHostname: a\r\nHost : b\r\nX-Host: c\r\nHos: d\r\nHost: e\r\n\r\n", oneHost},
	"a second head":  {"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\nHost: b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\nHost: b\r\n\r\n", oneHost},
	"a request line": {"Host: a\r\nHost: a\r\n\r\n", "Host: a\r\nHost: a\r\n\r\n", oneHost},
	"long":           {"GET / HTTP/1.1\r\nHost: " + strings.Repeat("a", maxHost+1) + "\r\nHost: " + strings.Repeat("a", maxHost+1) + "\r\n\r\n", "GET / HTTP/1.1\r\nHost: " + strings.Repeat("a", maxHost+1) + "\r\nAlso: " + strings.Repeat("a", maxHost+1) + "\r\n\r\n", unequalHosts},
	"cut off":        {"GET / HTTP/1.1\r\nHost: a\r\nHo", "GET / HTTP/1.1\r\nHost: a\r\nHo", oneHost},
}

// headReader reads as conn does, from anything.
func headReader(from io.Reader, seen *hosts) io.Reader {
	c := &headConn{from: from, head: &hostScan{}, seen: seen}
	return c
}

type headConn struct {
	from io.Reader
	head *hostScan
	seen *hosts
}

func (c *headConn) Read(p []byte) (int, error) {
	if c.head == nil {
		return c.from.Read(p)
	}
	n, done, err := c.head.read(c.from, p)
	if done {
		*c.seen, c.head = c.head.found(), nil
	}
	return n, err
}

func TestSeveralHostHeadersAreOneIfTheyAreTheSame(t *testing.T) {
	for name, c := range heads {
		for how, from := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "by halves": iotest.HalfReader, "with its end": iotest.DataErrReader,
		} {
			var seen hosts
			got, err := io.ReadAll(headReader(from(strings.NewReader(c.sent)), &seen))
			if err != nil || string(got) != c.given || seen != c.found {
				t.Errorf("%s, %s: %v, found %d, want %d\n%q\n%q", name, how, err, seen, c.found, got, c.given)
			}
		}
	}
}

// However the bytes come, http.Server is given as many bytes, and only the names of second
// Host headers differ. A request without a second Host passes byte for byte. Once the head is
// complete no byte is held back, because a WebSocket waits on the socket itself.
func FuzzHosts(f *testing.F) {
	for _, c := range heads {
		f.Add([]byte(c.sent), uint8(7), uint8(200))
	}
	f.Fuzz(func(t *testing.T, sent []byte, piece, size uint8) {
		var seen, atOnce hosts
		whole, err := io.ReadAll(headReader(bytes.NewReader(sent), &atOnce))
		if err != nil || len(whole) != len(sent) {
			t.Fatalf("%d bytes became %d: %v", len(sent), len(whole), err)
		}
		if atOnce == oneHost && !bytes.Equal(whole, sent) {
			t.Fatalf("without a second Host, %q became %q", sent, whole)
		}
		for i := range sent {
			if whole[i] != sent[i] && !strings.ContainsRune("Also", rune(whole[i])) {
				t.Fatalf("byte %d of %q became %q", i, sent, whole[i])
			}
		}
		in := &pieces{b: sent, size: int(piece%13) + 1}
		r := headReader(in, &seen)
		p := make([]byte, int(size)+len(hostName)+1) // http.Server's is larger
		var got []byte
		for {
			n, err := r.Read(p)
			got = append(got, p[:n]...)
			if r.(*headConn).head == nil && len(got) != in.at {
				t.Fatalf("behind the head, %d bytes were read and %d given", in.at, len(got))
			}
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, whole) || seen != atOnce {
			t.Fatalf("in pieces of %d: %q, %d\nat once: %q, %d", in.size, got, seen, whole, atOnce)
		}
	})
}

// pieces is read in pieces of a size.
type pieces struct {
	b        []byte
	at, size int
}

func (r *pieces) Read(p []byte) (int, error) {
	if r.at == len(r.b) {
		return 0, io.EOF
	}
	n := copy(p, r.b[r.at:min(len(r.b), r.at+r.size)])
	r.at += n
	return n, nil
}

func TestASiteOfNginxWithTwoHostLinesWorks(t *testing.T) {
	var log bytes.Buffer
	s := serveReal(t, newServerWith(t, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) }), shortly)
	request := func(head string) (status int, text string, closed bool) {
		c := s.dial("127.0.0.1")
		if _, err := io.WriteString(c, head+"\r\n"); err != nil {
			t.Fatal(err)
		}
		r, text := s.answer(c)
		return r.StatusCode, text, r.Close
	}
	if status, text, closed := request("GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: Upgrade\r\n"); status != 200 || !closed {
		t.Errorf("two that are the same: %d %s, Connection: close %v", status, text, closed)
	}
	status, text, closed := request("GET /healthz HTTP/1.1\r\nHost: localhost:8080\r\nHost: localhost\r\n")
	if status != 400 || !closed || !strings.Contains(text, codeUnequalHosts) || !strings.Contains(text, "proxy_params") {
		t.Errorf("two that differ: %d %s, Connection: close %v", status, text, closed)
	}
	if n := testutil.ToFloat64(s.refused.WithLabelValues(codeUnequalHosts)); n != 1 {
		t.Errorf("%v are counted", n)
	}
	if status, text, _ := request("GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n"); status != 400 {
		t.Errorf("the second is foreign: %d %s", status, text)
	}
	if status, text, _ := request("GET /healthz HTTP/1.1\r\nHost: evil.example\r\nHost: evil.example\r\n"); status != 403 {
		t.Errorf("both are foreign: %d %s", status, text)
	}
	_ = s.Shutdown(t.Context(), 0)
	if !strings.Contains(log.String(), "proxy_params") {
		t.Errorf("the log says:\n%s", log.String())
	}
}

// What became a WebSocket is written to without this wrapper, and its closing frees
// its place all the same.
func TestAConnectionCanBeReachedDirectly(t *testing.T) {
	s := serveReal(t, newServer(t, false), shortly)
	var _ interface {
		net.Conn
		io.ReaderFrom
		CloseWrite() error
	} = &conn{}
	c := s.dial("127.0.0.1")
	s.open(1)
	s.connections.mu.Lock()
	admitted := s.connections.fresh.Front().Value.(*conn)
	s.connections.mu.Unlock()
	if _, err := admitted.SyscallConn(); err != nil {
		t.Error(err)
	}
	admitted.Close()
	if err := admitted.Close(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	s.open(0)
	c.Close()
}
