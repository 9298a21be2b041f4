package server

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/store"
	"stripchart/internal/testkit"
)

// remove removes tokens, as the server notices it within two seconds.
func (g *guarded) remove(names ...string) {
	g.t.Helper()
	for _, name := range names {
		if err := g.file.Remove(name); err != nil {
			g.t.Fatal(err)
		}
	}
	g.tokens.Poll()
}

func TestTheSocketsOfARemovedTokenAreCutAndOthersStay(t *testing.T) {
	g := newGuarded(t, false)
	type page struct {
		name string
		read func() error
	}
	var gone []page
	for _, namespace := range []string{"/", "/live"} {
		for name, credential := range map[string][2]string{
			"by its header": {reader, ""}, "by its cookie": {signedIn, ""}, "by its auth": {nobody, auth(g.token[reader])},
		} {
			c, err := g.enter(namespace, g.header(credential[0]), credential[1])
			if err != nil {
				t.Fatal(err)
			}
			gone = append(gone, page{namespace + " " + name, func() error {
				for {
					if _, err := c.Text(); err != nil {
						return err
					}
				}
			}})
		}
	}
	stays, err := g.enter("/live", g.header(boundReader), "")
	if err != nil {
		t.Fatal(err)
	}
	g.remove(reader)
	for _, p := range gone {
		if err := p.read(); err == nil || strings.Contains(err.Error(), "timeout") {
			t.Errorf("%s: %v", p.name, err)
		}
	}
	if _, err := stays.Ask("catalogue", map[string]any{}); err != nil {
		t.Errorf("the socket of another token: %v", err)
	}
	if _, err := g.enter("/live", g.header(signedIn), ""); g.refusal(nil, err) != codeNoToken {
		t.Errorf("the page comes back: %v", err)
	}
	if _, err := g.enter("/live", nil, auth(g.token[reader])); g.refusal(nil, err) != codeBadToken {
		t.Errorf("the page comes back by auth: %v", err)
	}
}

// A session that polls is a connection without a socket of its own.
func TestThePollingSessionOfARemovedTokenIsEnded(t *testing.T) {
	g := newGuarded(t, false)
	_, opening := g.ask("GET", "/socket.io/?EIO=4&transport=polling", "", http.Header{})
	sid, _, _ := strings.Cut(strings.TrimPrefix(opening, `0{"sid":"`), `"`)
	at := "/socket.io/?EIO=4&transport=polling&sid=" + sid
	if res, body := g.ask("POST", at, "40/live,"+auth(g.token[reader]), http.Header{}); res.StatusCode != 200 {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	if _, body := g.ask("GET", at, "", http.Header{}); !strings.Contains(body, "40/live,") {
		t.Fatalf("poll: %s", body)
	}
	g.remove(reader)
	testkit.Eventually(t, "the session is unknown", func() bool {
		res, body := g.ask("POST", at, `42/live,1["catalogue",{}]`, http.Header{})
		return res.StatusCode == 400 && strings.Contains(body, "Session ID unknown")
	})
}

// A connection that was opened by a token, and enters a namespace when the token is gone, is refused.
func TestAConnectionDoesNotOutliveItsTokenBeforeItEnters(t *testing.T) {
	g := newGuarded(t, false)
	dialer := ws.Dialer{Header: ws.HandshakeHeaderHTTP(g.header(reader))}
	c, early, _, err := dialer.Dial(t.Context(), "ws://"+g.address+"/socket.io/?EIO=4&transport=websocket")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(testkit.Patience))
	g.remove(reader)
	if err := ws.WriteFrame(c, ws.MaskFrame(ws.NewTextFrame([]byte("40/live,")))); err != nil {
		t.Fatal(err)
	}
	in := io.Reader(c)
	if early != nil {
		in = early
	}
	for said := ""; ; {
		h, err := ws.ReadHeader(in)
		if err != nil {
			t.Fatalf("%v, after %s", err, said)
		}
		payload, err := io.ReadAll(io.LimitReader(in, h.Length))
		if err != nil {
			t.Fatalf("%v, after %s", err, said)
		}
		if said = string(payload); strings.HasPrefix(said, "44/live,") && strings.Contains(said, codeBadToken) {
			return
		} else if strings.HasPrefix(said, "4") {
			t.Fatalf("the answer to the CONNECT: %s", said)
		}
	}
}

// The id of a session is in URLs, which proxies log: alone it opens nothing.
func TestAPollingSessionIsUsedOnlyWithTheTokenThatOpenedIt(t *testing.T) {
	g := newGuarded(t, false)
	_, opening := g.ask("GET", "/socket.io/?EIO=4&transport=polling", "", g.header(reader))
	sid, _, _ := strings.Cut(strings.TrimPrefix(opening, `0{"sid":"`), `"`)
	at := "/socket.io/?EIO=4&transport=polling&sid=" + sid
	for _, by := range []string{nobody, boundReader, expired, removedCookie} {
		for _, method := range []string{"GET", "POST"} {
			if res, body := g.ask(method, at, "40/live,", g.header(by)); res.StatusCode != 403 {
				t.Errorf("%s by %s: %d %s", method, by, res.StatusCode, body)
			}
		}
		dialer := ws.Dialer{Header: ws.HandshakeHeaderHTTP(g.header(by))}
		c, _, _, err := dialer.Dial(t.Context(), "ws://"+g.address+"/socket.io/?EIO=4&transport=websocket&sid="+sid)
		if status, is := errors.AsType[ws.StatusError](err); !is || status != 403 {
			t.Errorf("an upgrade by %s: %v", by, err)
		}
		if c != nil {
			c.Close()
		}
	}
	// The session has not noticed, and it is one of the token, however that is shown.
	if res, body := g.ask("POST", at, "40/live,", g.header(signedIn)); res.StatusCode != 200 {
		t.Errorf("by the cookie: %d %s", res.StatusCode, body)
	}
	if _, body := g.ask("GET", at, "", g.header(reader)); !strings.Contains(body, "40/live,") {
		t.Errorf("by the header: %s", body)
	}
	dialer := ws.Dialer{Header: ws.HandshakeHeaderHTTP(g.header(reader))}
	c, _, _, err := dialer.Dial(t.Context(), "ws://"+g.address+"/socket.io/?EIO=4&transport=websocket&sid="+sid)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// An export may take long: it ends in the middle, in a way that its client notices.
func TestAnExportUnderWayEndsWithItsToken(t *testing.T) {
	g := newGuarded(t, false)
	g.long()
	c := g.dial("127.0.0.1")
	fmt.Fprintf(c, "GET /api/v1/export?match[]=long HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", g.token[reader])
	in := bufio.NewReader(c)
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%v, %v", res, err)
	}
	if _, err := io.CopyN(io.Discard, res.Body, 1000); err != nil {
		t.Fatal(err)
	}
	g.remove(reader) // 50 MB are still to come, and no buffer holds them
	n, err := io.Copy(io.Discard, res.Body)
	if err == nil {
		t.Errorf("the export came to its end, after %d bytes", n)
	}
	if after, _ := io.ReadAll(in); bytes.Contains(after, []byte("HTTP/")) {
		t.Error("the connection goes on")
	}
}

// A client that reads slowly keeps an answer for as long as it likes. What waits for it is dropped with its token:
// what the server has made of an export, and what the kernel has queued.
func TestASlowReaderGetsNothingMoreOnceItsTokenIsGone(t *testing.T) {
	g := newGuarded(t, false)
	g.long()
	c := g.dial("127.0.0.1")
	if err := c.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil { // or the client's kernel takes megabytes ahead
		t.Fatal(err)
	}
	fmt.Fprintf(c, "GET /api/v1/export?match[]=long HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", g.token[reader])
	if _, err := io.CopyN(io.Discard, c, 2<<20); err != nil { // MiB are made ahead of it
		t.Fatal(err)
	}
	g.remove(reader)
	testkit.Eventually(t, "the request is over", func() bool { return testutil.ToFloat64(g.gate.sessions) == 0 })
	if n, err := io.Copy(io.Discard, c); n > 1<<20 {
		t.Errorf("%d bytes came behind the end of the token, then: %v", n, err)
	}
}

// long writes 50 MB of the metric "long" into the store, which no buffer holds.
func (g *guarded) long() {
	g.t.Helper()
	var rows []store.Row
	start := time.Now().Add(-time.Hour).UnixMilli()
	for series := range 100 {
		ls := labels.FromStrings("__name__", "long", "n", fmt.Sprint(series), "pad", strings.Repeat("x", 1000))
		var samples []bus.Sample
		for n := range 500 {
			samples = append(samples, bus.Sample{T: start + int64(n), V: float64(n)})
		}
		rows = append(rows, store.Row{Labels: ls, Samples: samples})
	}
	if err := g.store.Append(rows); err != nil {
		g.t.Fatal(err)
	}
}
