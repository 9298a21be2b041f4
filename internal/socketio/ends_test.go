package socketio

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

func TestCloseBeforeAfterAndDuringUse(t *testing.T) {
	unused := NewServer(Config{})
	if err := errors.Join(unused.Close(), unused.Close(), unused.Shutdown(context.Background())); err != nil {
		t.Fatal(err)
	}
	a := newApp()
	st := newSite(t, Config{}, map[string]Namespace{"/": a})
	addr := st.web.Listener.Addr().String()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			for range 50 {
				c, err := tryDial(addr, "", eio4)
				if err != nil {
					return
				}
				_, _ = c.conn.Write(maskedText("40"))
				_, _, _ = c.frame()
				if i%2 == 0 {
					_, _, _ = c.frame()
					_, _, _ = c.frame() // until the server ends it
				}
				c.conn.Close()
			}
		})
	}
	eventually(t, "some are connected", func() bool { return len(a.connected) > 20 })
	for range 3 {
		wg.Go(func() {
			if err := st.server.Close(); err != nil {
				t.Error(err)
			}
			if n := st.server.Stats().Connections; n != 0 {
				t.Errorf("%d connections after Close", n)
			}
		})
	}
	wg.Wait()
}

func TestShutdownCutsOffWhoDoesNotSayGoodbye(t *testing.T) {
	a := newApp()
	st := newSite(t, Config{DrainTimeout: time.Hour}, map[string]Namespace{"/": a})
	st.join("/") // never answers the close frame
	s := await(t, a.connected, "Connected")
	fill(t, s.Conn()) // nor reads
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := st.server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
}

func TestConnCloseSendsWhatIsQueuedAndClosesNormally(t *testing.T) {
	a := newApp()
	st := newSite(t, Config{}, map[string]Namespace{"/": a})
	c := st.join("/")
	s := await(t, a.connected, "Connected")
	n := fill(t, s.Conn())
	s.Conn().Close()
	s.Conn().Close()
	if s.Send(stringEvent("late", 0)) {
		t.Fatal("accepted after Close")
	}
	for range n {
		c.expectPrefix(`42["fill",`)
	}
	if code := c.expectClose(); code != ws.StatusNormalClosure {
		t.Fatalf("closed with %d", code)
	}
	c.expectEnd() // the server ends it, without waiting for the client
	c.conn.Close()
	if got := await(t, a.disconnected, "Disconnected"); got != ReasonForcedClose {
		t.Fatalf("reason %q", got)
	}
}

// Over TLS a write is more than a system call, and every one goes by way of the
// queue. What is promised is the same.
func TestTLSKeepsThePromises(t *testing.T) {
	a := echoApp()
	drained := make(chan *Socket, 1)
	a.drained = func(s *Socket) { drained <- s }
	server := NewServer(Config{OutputBytes: 100_000, DrainTimeout: time.Hour})
	server.Handle("/", a)
	web := httptest.NewTLSServer(server)
	defer web.Close()
	defer server.Close()
	conn, err := tls.Dial("tcp", web.Listener.Addr().String(), &tls.Config{
		RootCAs: web.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com", NextProtos: []string{"http/1.1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := upgradeClient(t, conn)
	c.expectPrefix("0")
	c.connect("/")
	s := await(t, a.connected, "Connected")
	c.send(`427["x",1]`)
	c.expect(`42["x",1]`)
	c.expect(`437[1]`)
	n := 0
	for p := stringEvent("fill", 50_000); s.Send(p); n++ {
	}
	for range n {
		c.expectPrefix(`42["fill",`)
	}
	await(t, drained, "Drained")
	if !s.Send(stringEvent("again", 0)) {
		t.Fatal("refused after Drained")
	}
	c.expect(`42["again",""]`)

	// A client that does not read must not hold up the end.
	for p := stringEvent("fill", 50_000); s.Send(p); {
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if got := await(t, a.disconnected, "Disconnected"); got != ReasonShutdown {
		t.Fatalf("reason %q", got)
	}
}

// upgradeClient makes a WebSocket of a connection.
func upgradeClient(t *testing.T, conn *tls.Conn) *client {
	t.Helper()
	u := &url.URL{Scheme: "wss", Host: "example.com", Path: "/", RawQuery: eio4}
	br, _, err := ws.Dialer{}.Upgrade(conn, u)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, conn: conn, in: conn}
	if br != nil {
		c.in = br
	}
	return c
}
