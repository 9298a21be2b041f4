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
	"os"
	"strings"
	"testing"
	"time"
)

const polling4 = "EIO=4&transport=polling"

// pollSession opens a polling session and returns the query of its requests.
func (st *site) pollSession() string {
	st.t.Helper()
	status, body := st.do("GET", polling4, "")
	var h handshake
	if status != 200 || body[0] != '0' || json.Unmarshal([]byte(body[1:]), &h) != nil {
		st.t.Fatalf("handshake: %d %q", status, body)
	}
	if len(h.Upgrades) != 1 || h.Upgrades[0] != "websocket" {
		st.t.Fatalf("upgrades %v", h.Upgrades)
	}
	return polling4 + "&sid=" + h.SID
}

func (st *site) expect(method, query, body string, wantStatus int, wantBody string) {
	st.t.Helper()
	status, got := st.do(method, query, body)
	if status != wantStatus || !strings.HasPrefix(got, wantBody) {
		st.t.Fatalf("%s %q: got %d %q, want %d %q", method, body, status, got, wantStatus, wantBody)
	}
}

func TestPollingCarriesEverythingInOrder(t *testing.T) {
	a := newApp()
	a.event = func(s *Socket, name string, args []json.RawMessage, ack func(json.RawMessage)) {
		s.Send(EncodeEvent("/live", name, args[0]), EncodeEvent("/live", "second", nil))
		if ack != nil {
			ack(args[0])
		}
	}
	st := newSite(t, Config{}, map[string]Namespace{"/live": a})
	q := st.pollSession()
	st.expect("POST", q, "40/live,", 200, "ok")
	s := await(t, a.connected, "Connected")
	st.expect("GET", q, "", 200, `40/live,{"sid":"`+s.ID())
	st.expect("POST", q, "42/live,7[\"x\",1]\x1e42/live,[\"y\",2]", 200, "ok")
	st.expect("GET", q, "", 200, strings.Join([]string{`42/live,["x",1]`, `42/live,["second"]`, `43/live,7[1]`, `42/live,["y",2]`, `42/live,["second"]`}, "\x1e"))
	// A poll that waits is answered when there is something.
	answer := make(chan string, 1)
	go func() {
		_, body := st.do("GET", q, "")
		answer <- body
	}()
	eventually(t, "the poll waits", func() bool { return waits(s.Conn()) })
	s.Send(EncodeEvent("/live", "now", nil))
	if got := await(t, answer, "the poll"); got != `42/live,["now"]` {
		t.Fatalf("got %q", got)
	}
	// The client says goodbye; its own poll returns.
	st.expect("POST", q, "41/live,\x1e1", 200, "ok")
	st.expect("GET", q, "", 200, "6")
	await(t, a.disconnected, "Disconnected")
	eventually(t, "the session is gone", func() bool { return st.server.Stats().Connections == 0 })
	st.expect("GET", q, "", 400, `{"code":1,"message":"Session ID unknown"}`)
	if got := st.server.Stats().Closed[ReasonTransportClose]; got != 1 {
		t.Fatalf("Stats.Closed: %v", st.server.Stats().Closed)
	}
}

func waits(c *Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.polling.wait != nil
}

func TestPollingKeepsTheBoundAndTellsDrained(t *testing.T) {
	a := newApp()
	drained := make(chan *Socket, 1)
	a.drained = func(s *Socket) { drained <- s }
	st := newSite(t, Config{OutputBytes: 1000}, map[string]Namespace{"/": a})
	q := st.pollSession()
	st.expect("POST", q, "40", 200, "ok")
	s := await(t, a.connected, "Connected")
	if !s.Send(stringEvent("a", 2000)) || s.Send(stringEvent("b", 0)) {
		t.Fatal("the bound is not kept")
	}
	st.expect("GET", q, "", 200, `40{"sid":`)
	await(t, drained, "Drained")
	if !s.Send(stringEvent("c", 0)) {
		t.Fatal("refused after Drained")
	}
	st.expect("GET", q, "", 200, `42["c",""]`)
}

func TestRequestsThatAreNotOfTheProtocol(t *testing.T) {
	forbidden := errors.New("no")
	st := newSite(t, Config{MaxPayload: 100, Accept: func(r *http.Request) (Session, error) {
		if r.Header.Get("Origin") == "http://evil.example" {
			return Session{}, forbidden
		}
		return Session{}, nil
	}}, map[string]Namespace{"/": newApp()})
	for _, tc := range []struct{ method, query, want string }{
		{"GET", "", `{"code":5,"message":"Unsupported protocol version"}`},
		{"GET", "EIO=2&transport=polling", `{"code":5,`},
		{"GET", "EIO=4", `{"code":0,"message":"Transport unknown"}`},
		{"GET", "EIO=4&transport=webtransport", `{"code":0,`},
		{"GET", "EIO=4&transport=polling&j=0", `{"code":0,`}, // JSONP
		{"GET", "EIO=4&transport=polling&sid=x", `{"code":1,"message":"Session ID unknown"}`},
		{"POST", "EIO=4&transport=polling", `{"code":2,"message":"Bad handshake method"}`},
		{"PUT", "EIO=4&transport=polling", `{"code":2,`},
		{"GET", "EIO=4&transport=websocket", `{"code":3,"message":"Bad request"}`},
		{"DELETE", st.pollSession(), `{"code":3,`},
		{"GET", strings.Replace(st.pollSession(), "EIO=4", "EIO=3", 1), `{"code":3,`},
	} {
		st.expect(tc.method, tc.query, "", 400, tc.want)
	}
	if status, body := st.do("GET", polling4, "", "Origin", "http://evil.example"); status != 403 || !strings.HasPrefix(body, `{"code":4,"message":"no"}`) {
		t.Fatalf("a foreign origin gets %d %q", status, body)
	}
	for body, status := range map[string]int{
		"abc": 400, "": 400, "4": 400, "3\x1e": 400, "2": 400, "b!": 400,
		"4" + strings.Repeat("x", 100): 413,
	} {
		q := st.pollSession()
		st.expect("POST", q, body, status, "{")
		st.expect("GET", q, "", 400, "{") // and the session is closed
	}
}

func TestTwoPollsOrTwoPostsAtOnceCloseTheSession(t *testing.T) {
	a := newApp()
	hold, held := make(chan struct{}), make(chan struct{})
	a.event = func(*Socket, string, []json.RawMessage, func(json.RawMessage)) { close(held); <-hold }
	st := newSite(t, Config{}, map[string]Namespace{"/": a})
	q := st.pollSession()
	st.expect("POST", q, "40", 200, "ok")
	s := await(t, a.connected, "Connected")
	st.expect("GET", q, "", 200, "40")
	answer := make(chan string, 1)
	go func() {
		_, body := st.do("GET", q, "")
		answer <- body
	}()
	eventually(t, "the poll waits", func() bool { return waits(s.Conn()) })
	st.expect("GET", q, "", 400, "{")
	if got := await(t, answer, "the first poll"); got != "1" {
		t.Fatalf("first poll got %q", got)
	}
	if got := await(t, a.disconnected, "Disconnected"); got != ReasonParseError {
		t.Fatalf("reason %q", got)
	}

	q = st.pollSession()
	st.expect("POST", q, "40", 200, "ok")
	go func() {
		_, body := st.do("POST", q, `42["x"]`)
		answer <- body
	}()
	await(t, held, "the first POST")
	st.expect("POST", q, "3", 400, "{")
	close(hold)
	await(t, answer, "the first POST's answer")
	await(t, a.disconnected, "Disconnected")
}

func TestAClientThatDropsItsPollIsDisconnected(t *testing.T) {
	a := newApp()
	st := newSite(t, Config{}, map[string]Namespace{"/": a})
	q := st.pollSession()
	st.expect("POST", q, "40", 200, "ok")
	s := await(t, a.connected, "Connected")
	st.expect("GET", q, "", 200, "40")
	ended := make(chan struct{})
	httpClient := &http.Client{Transport: &http.Transport{}}
	req, _ := http.NewRequest("GET", st.web.URL+"/?"+q, nil)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(ended)
		if resp, err := httpClient.Do(req.WithContext(ctx)); err == nil {
			resp.Body.Close()
		}
	}()
	eventually(t, "the poll waits", func() bool { return waits(s.Conn()) })
	cancel()
	await(t, ended, "the poll's end")
	if got := await(t, a.disconnected, "Disconnected"); got != ReasonTransportClose {
		t.Fatalf("reason %q", got)
	}
}

func TestUpgradeMovesTheSessionWithoutLossOrDouble(t *testing.T) {
	a := newApp()
	st := newSite(t, Config{}, map[string]Namespace{"/": a})
	q := st.pollSession()
	st.expect("POST", q, "40", 200, "ok")
	s := await(t, a.connected, "Connected")
	st.expect("GET", q, "", 200, "40")
	upgrade := strings.Replace(q, "polling", "websocket", 1)

	answer := make(chan string, 1)
	go func() {
		_, body := st.do("GET", q, "")
		answer <- body
	}()
	eventually(t, "the poll waits", func() bool { return waits(s.Conn()) })
	c := st.dial(upgrade)
	c.send("2probe")
	c.expect("3probe")
	if got := await(t, answer, "the poll"); got != "6" {
		t.Fatalf("the poll got %q", got)
	}
	st.expect("GET", q, "", 200, "6") // one more, in case the client had sent it already
	second := st.dial(upgrade)        // only one upgrade at a time
	second.expectClose()
	s.Send(EncodeEvent("/", "between", nil)) // no poll will take it
	if n := st.server.Stats().Polling; n != 1 {
		t.Fatalf("Stats.Polling = %d before the upgrade", n)
	}
	c.send("5")
	c.expect(`42["between"]`)
	s.Send(EncodeEvent("/", "after", nil))
	c.expect(`42["after"]`)
	if n := st.server.Stats().Polling; n != 0 {
		t.Fatalf("Stats.Polling = %d after the upgrade", n)
	}
	st.expect("GET", q, "", 400, "{")
	st.expect("POST", q, "3", 400, "{")
	third := st.dial(upgrade)
	third.expectClose()
	c.send("41")
	await(t, a.disconnected, "Disconnected")
	c.conn.Close()
	eventually(t, "the session is gone", func() bool { return st.server.Stats().Connections == 0 })
}

func TestAFailedUpgradeLeavesTheSessionOnPolling(t *testing.T) {
	a := newApp()
	st := newSite(t, Config{UpgradeTimeout: time.Second}, map[string]Namespace{"/": a})
	q := st.pollSession()
	upgrade := strings.Replace(q, "polling", "websocket", 1)
	for _, send := range []string{"3probe", "5", "2", "40", ""} {
		c := st.dial(upgrade)
		if send != "" {
			c.send(send)
		} // else the upgrade times out
		c.expectEnd()
		c = st.dial(upgrade)
		c.send("2probe")
		c.expect("3probe")
		if send == "" {
			c.expectEnd()
			break
		}
		c.send(send)
		if send == "5" {
			c.conn.Close() // it had succeeded
			eventually(t, "the session is gone", func() bool { return st.server.Stats().Connections == 0 })
			q = st.pollSession()
			upgrade = strings.Replace(q, "polling", "websocket", 1)
			continue
		}
		c.expectEnd()
	}
	st.expect("POST", q, "40", 200, "ok")
	st.expect("GET", q, "", 200, "40")
}

func TestCloseDuringAnUpgrade(t *testing.T) {
	st := newSite(t, Config{}, map[string]Namespace{"/": newApp()})
	q := st.pollSession()
	c := st.dial(strings.Replace(q, "polling", "websocket", 1))
	c.send("2probe")
	c.expect("3probe")
	if err := st.server.Close(); err != nil {
		t.Fatal(err)
	}
	c.expectEnd()
}

func TestShutdownCutsOffSessionsThatDoNotPoll(t *testing.T) {
	a := newApp()
	st := newSite(t, Config{DrainTimeout: time.Hour}, map[string]Namespace{"/": a})
	q := st.pollSession()
	st.expect("POST", q, "40", 200, "ok")
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := st.server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	if got := await(t, a.disconnected, "Disconnected"); got != ReasonShutdown {
		t.Fatalf("reason %q", got)
	}
}

// A request whose body does not come must not hold up the end either.
func TestCloseDoesNotWaitForARequestThatIsNotSent(t *testing.T) {
	a := newApp()
	st := newSite(t, Config{DrainTimeout: time.Hour}, map[string]Namespace{"/": a})
	q := st.pollSession()
	conn, err := net.Dial("tcp", st.web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /?%s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n40", q)
	eventually(t, "the request is read", func() bool {
		st.server.mu.Lock()
		defer st.server.mu.Unlock()
		for c := range st.server.conns {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.polling.posting
		}
		return false
	})
	if err := st.server.Close(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "/,x") // too late: nobody is told
	conn.Close()
	if len(a.connected) != 0 {
		t.Fatal("Connected after Close")
	}
}

func TestShutdownReleasesPolls(t *testing.T) {
	a := newApp()
	st := newSite(t, Config{}, map[string]Namespace{"/": a})
	q := st.pollSession()
	st.expect("POST", q, "40", 200, "ok")
	s := await(t, a.connected, "Connected")
	s.Send(EncodeEvent("/", "bye", nil))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- st.server.Shutdown(ctx) }()
	eventually(t, "the server is stopping", func() bool {
		s.conn.mu.Lock()
		defer s.conn.mu.Unlock()
		return s.conn.state != stateOpen
	})
	if status, _ := st.do("GET", polling4, ""); status != 503 {
		t.Fatalf("a new session gets %d", status)
	}
	status, body := st.do("GET", q, "")
	if status != 200 || !strings.HasSuffix(body, "\x1e42[\"bye\"]") { // and no close packet; see leavePolling
		t.Fatalf("got %d %q", status, body)
	}
	if err := await(t, done, "Shutdown"); err != nil {
		t.Fatal(err)
	}
}

// net/http reads the rest of a request before it takes the next one, and by itself
// for ever.
func TestARequestWhoseBodyDoesNotComeIsCut(t *testing.T) {
	st := newSite(t, Config{DrainTimeout: 100 * time.Millisecond, MaxPayload: 10}, map[string]Namespace{"/": newApp()})
	for name, head := range map[string]string{
		"of a session":               "POST /?" + st.pollSession() + " HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n40",
		"of a session, too large":    "POST /?" + st.pollSession() + " HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n42[\"xxxxxxx",
		"of no session":              "POST /?" + polling4 + "&sid=x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n",
		"of a handshake":             "GET /?" + polling4 + " HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n",
		"of no session, in chunks":   "POST /?" + polling4 + "&sid=x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nxx",
		"of nothing of the protocol": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", st.web.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprint(conn, head)
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal("the connection is held")
			}
		})
	}
}

// The deadline of one request must not end the next on the same connection, nor the
// wait for the budget.
func TestTheDeadlineOfARequestEndsWithIt(t *testing.T) {
	st := newSite(t, Config{DrainTimeout: time.Second}, map[string]Namespace{"/": newApp()})
	q := st.pollSession()
	for _, body := range []string{"40", "42[\"x\"]"} {
		st.expect("POST", q, body, 200, "ok")
		time.Sleep(1100 * time.Millisecond)
	}
	st.expect("POST", q, "3"+strings.Repeat("\x1e3", 110), 200, "ok")
	st.expect("POST", q, "3", 200, "ok")
}

// A server's own timeouts are for requests that are answered at once. A poll waits, and
// so does a request above the budget.
func TestAPollMayWaitLongerThanTheServersTimeouts(t *testing.T) {
	a := newApp()
	server := NewServer(Config{})
	server.Handle("/", a)
	st := &site{t: t, server: server, web: httptest.NewUnstartedServer(server)}
	st.web.Config.ReadTimeout, st.web.Config.WriteTimeout = time.Second, time.Second
	st.web.Start()
	defer st.web.Close()
	defer server.Close()
	q := st.pollSession()
	st.expect("POST", q, "40"+strings.Repeat("\x1e3", 170), 200, "ok") // a second and a half
	s := await(t, a.connected, "Connected")
	st.expect("GET", q, "", 200, "40")
	time.AfterFunc(1500*time.Millisecond, func() { s.Send(EncodeEvent("/", "late", nil)) })
	st.expect("GET", q, "", 200, `42["late"]`)
	if len(a.disconnected) != 0 {
		t.Fatal("the session was ended")
	}
}
