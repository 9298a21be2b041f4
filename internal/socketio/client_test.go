package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// patience bounds every wait of a test. It is only met by a test that fails.
const patience = 2 * time.Minute

// app is a namespace that records what it is told.
type app struct {
	connect func(s *Socket, auth json.RawMessage) error // nil accepts
	event   func(s *Socket, name string, args []json.RawMessage, ack func(json.RawMessage))
	drained func(s *Socket)

	connected    chan *Socket
	disconnected chan string

	mu   sync.Mutex
	ends map[*Socket]int // Connected minus Disconnected
}

func newApp() *app {
	return &app{
		connected:    make(chan *Socket, 20000),
		disconnected: make(chan string, 20000),
		ends:         map[*Socket]int{},
	}
}

func (a *app) Connect(s *Socket, auth json.RawMessage) error {
	if a.connect != nil {
		return a.connect(s, auth)
	}
	return nil
}

func (a *app) Connected(s *Socket) {
	a.mu.Lock()
	a.ends[s]++
	a.mu.Unlock()
	a.connected <- s
}

func (a *app) Event(s *Socket, name string, args []json.RawMessage, ack func(json.RawMessage)) {
	if a.event != nil {
		a.event(s, name, args, ack)
	}
}

func (a *app) Drained(s *Socket) {
	if a.drained != nil {
		a.drained(s)
	}
}

func (a *app) Disconnected(s *Socket, reason string) {
	a.mu.Lock()
	a.ends[s]--
	a.mu.Unlock()
	a.disconnected <- reason
}

// balanced tells whether every Connected had its one Disconnected.
func (a *app) balanced() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for s, n := range a.ends {
		if n != 0 {
			return fmt.Errorf("socket %s: %d more Connected than Disconnected", s.ID(), n)
		}
	}
	return nil
}

// site is a server on loopback.
type site struct {
	t      testing.TB
	server *Server
	web    *httptest.Server
}

func newSite(t testing.TB, cfg Config, apps map[string]Namespace) *site {
	t.Helper()
	st := &site{t: t, server: NewServer(cfg)}
	for name, a := range apps {
		st.server.Handle(name, a)
	}
	st.web = httptest.NewServer(st.server)
	t.Cleanup(func() {
		if err := st.server.Close(); err != nil {
			t.Error("close:", err)
		}
		st.web.Close()
		for name, a := range apps {
			if a, ok := a.(*app); ok {
				if err := a.balanced(); err != nil {
					t.Errorf("namespace %s: %v", name, err)
				}
			}
		}
	})
	return st
}

// client is a WebSocket client that sees frames as they are.
type client struct {
	t    testing.TB
	conn net.Conn
	in   io.Reader
}

// dial opens a WebSocket without reading anything on it.
func (st *site) dial(query string) *client {
	st.t.Helper()
	return st.dialFrom("", query)
}

// dialFrom is dial from a loopback address, 127.0.0.2 and so on.
func (st *site) dialFrom(local, query string) *client {
	st.t.Helper()
	c, err := tryDial(st.web.Listener.Addr().String(), local, query)
	if err != nil {
		st.t.Fatal(err)
	}
	c.t = st.t
	st.t.Cleanup(func() { c.conn.Close() })
	return c
}

func tryDial(addr, local, query string) (*client, error) {
	d := net.Dialer{Timeout: patience}
	if local != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(local)}
	}
	return dialWith(ws.Dialer{NetDial: d.DialContext, ReadBufferSize: 512, WriteBufferSize: 512}, addr, query)
}

func dialWith(dialer ws.Dialer, addr, query string) (*client, error) {
	conn, br, _, err := dialer.Dial(context.Background(), "ws://"+addr+"/?"+query)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, in: conn}
	if br != nil {
		c.in = io.MultiReader(io.LimitReader(br, int64(br.Buffered())), conn)
	}
	return c, nil
}

const eio4 = "EIO=4&transport=websocket"

// open dials and takes the open packet.
func (st *site) open() *client {
	st.t.Helper()
	c := st.dial(eio4)
	c.expectPrefix(`0{"sid":`)
	return c
}

// join opens a connection and connects it to a namespace, "/" or "/name".
func (st *site) join(namespace string) *client {
	st.t.Helper()
	c := st.open()
	c.connect(namespace)
	return c
}

func (c *client) connect(namespace string) {
	c.t.Helper()
	prefix := "40"
	if namespace != "/" {
		prefix += namespace + ","
	}
	c.send(prefix)
	c.expectPrefix(prefix + `{"sid":`)
}

// frame reads one frame of the server's.
func (c *client) frame() (ws.OpCode, []byte, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	h, err := ws.ReadHeader(c.in)
	if err != nil {
		return 0, nil, err
	}
	if h.Masked || !h.Fin {
		return 0, nil, errors.New("server sent a masked or fragmented frame")
	}
	b := make([]byte, h.Length)
	_, err = io.ReadFull(c.in, b)
	return h.OpCode, b, err
}

// read returns the next text that is not a ping, and answers pings.
func (c *client) read() string {
	c.t.Helper()
	for {
		op, b, err := c.frame()
		if err != nil {
			c.t.Fatal("read:", err)
		}
		if op != ws.OpText {
			c.t.Fatalf("got frame %x %q, want text", op, b)
		}
		if string(b) != "2" {
			return string(b)
		}
		c.send("3")
	}
}

func (c *client) expect(want string) {
	c.t.Helper()
	if got := c.read(); got != want {
		c.t.Fatalf("got %.200q, want %.200q", got, want)
	}
}

func (c *client) expectPrefix(want string) {
	c.t.Helper()
	if got := c.read(); !strings.HasPrefix(got, want) {
		c.t.Fatalf("got %.200q, want %.200q...", got, want)
	}
}

// expectClose reads until the close frame and returns its code.
func (c *client) expectClose() ws.StatusCode {
	c.t.Helper()
	for {
		op, b, err := c.frame()
		if err != nil {
			c.t.Fatal("got no close frame:", err)
		}
		if op == ws.OpClose {
			code, _ := ws.ParseCloseFrameData(b)
			return code
		}
	}
}

// expectEnd reads until the server ends the connection.
func (c *client) expectEnd() {
	c.t.Helper()
	for {
		if _, _, err := c.frame(); err != nil {
			if errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "timeout") {
				c.t.Fatal("connection was not ended")
			}
			return
		}
	}
}

func (c *client) send(text string) {
	c.t.Helper()
	c.sendBytes(maskedText(text))
}

func (c *client) sendFrame(f ws.Frame) {
	c.t.Helper()
	c.sendBytes(maskedFrame(f))
}

func (c *client) sendBytes(b []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(b); err != nil {
		c.t.Fatal("send:", err)
	}
}

func maskedText(text string) []byte { return maskedFrame(ws.NewTextFrame([]byte(text))) }

func maskedFrame(f ws.Frame) []byte {
	return ws.MustCompileFrame(ws.MaskFrame(f))
}

// await receives from a channel within patience.
func await[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("timed out waiting for %s", what)
		panic("unreachable")
	}
}

// eventually waits until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timed out waiting until %s", what)
		}
	}
}

// do makes a request and returns status and body.
func (st *site) do(method, query, body string, header ...string) (int, string) {
	st.t.Helper()
	return exchange(st.t, st.web.Client(), method, st.web.URL+"/?"+query, body, header...)
}

// exchange makes a request and returns status and body.
func exchange(t testing.TB, web *http.Client, method, url, body string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	resp, err := web.Do(req.WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// session returns the query of further requests of the session that a handshake's
// response opened.
func session(t testing.TB, body string) string {
	t.Helper()
	var h handshake
	if body == "" {
		t.Fatal("the handshake has no response")
	}
	if err := json.Unmarshal([]byte(body[1:]), &h); err != nil {
		t.Fatalf("handshake %.200q: %v", body, err)
	}
	return polling4 + "&sid=" + h.SID
}
