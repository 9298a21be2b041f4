package socketio

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// ackApp acknowledges every event with its first argument.
func ackApp() *app {
	a := newApp()
	a.event = func(_ *Socket, _ string, args []json.RawMessage, ack func(json.RawMessage)) {
		if ack != nil {
			ack(args[0])
		}
	}
	return a
}

// request is an event that asks for acknowledgement i, which is answer(i).
func request(i int) string  { return fmt.Sprintf(`42%d["x",%d]`, i, i) }
func answerTo(i int) string { return fmt.Sprintf(`43%d[%d]`, i, i) }

// joinPipe opens a connection to namespace "/".
func joinPipe(t *testing.T, p *pipes) *client {
	t.Helper()
	c := dialPipe(t, p, eio4)
	c.next()
	c.send("40")
	c.next()
	return c
}

// trySend is send for a goroutine of a test: false when the connection has ended.
func (c *client) trySend(text string) bool {
	_, err := c.conn.Write(maskedText(text))
	return err == nil
}

// answers reads acknowledgements 0 to n-1, in order, and answers pings.
func (c *client) answers(n int) {
	c.t.Helper()
	for i := 0; i < n; {
		switch got, _ := c.next(); got {
		case answerTo(i):
			i++
		case "2":
			go c.trySend("3") // behind what is being sent
		default:
			c.conn.Close() // ends whoever sends
			c.t.Fatalf("answer %d: got %.100q", i, got)
		}
	}
}

// A page that buffered its requests while the server was away sends all at once.
func TestBufferedRequestsAreSlowedDownAndAllAnswered(t *testing.T) {
	const requests = 300 // 100 at once, then 50 a second
	between := func(t *testing.T, took time.Duration) {
		t.Helper()
		if took < 3*time.Second || took > 5*time.Second {
			t.Fatalf("took %v, want 4 s", took)
		}
	}
	t.Run("WebSocket", func(t *testing.T) {
		a := ackApp()
		inBubble(t, Config{}, a, func(s *Server, p *pipes) {
			c := joinPipe(t, p)
			start := time.Now()
			go func() {
				for i := range requests {
					c.trySend(request(i))
				}
			}()
			c.answers(requests)
			between(t, time.Since(start))
			if n := s.Stats().Slowed; n == 0 {
				t.Error("Stats.Slowed is 0")
			}
			// The budget comes back.
			time.Sleep(2 * time.Second)
			start = time.Now()
			go c.trySend(request(0))
			c.answers(1)
			if took := time.Since(start); took > 0 {
				t.Errorf("slowed down for %v after a pause", took)
			}
		})
	})
	t.Run("polling", func(t *testing.T) {
		a := ackApp()
		inBubble(t, Config{}, a, func(s *Server, p *pipes) {
			web := &http.Client{Transport: &http.Transport{DialContext: p.dial}}
			defer web.CloseIdleConnections()
			q := pollPipe(t, web)
			do(t, web, "POST", q, "40")
			do(t, web, "GET", q, "")
			var all []string
			for i := range requests {
				all = append(all, request(i))
			}
			start := time.Now()
			posted := make(chan string, 1)
			go func() { posted <- do(t, web, "POST", q, strings.Join(all, "\x1e")) }()
			for i := 0; i < requests; {
				for got := range strings.SplitSeq(do(t, web, "GET", q, ""), "\x1e") {
					if got == "2" {
						continue
					}
					if got != answerTo(i) {
						t.Fatalf("answer %d: got %.100q", i, got)
					}
					i++
				}
			}
			if got := <-posted; got != "ok" {
				t.Fatalf("the request was answered %q", got)
			}
			between(t, time.Since(start))
		})
	})
}

// do makes a request over the pipes and returns the body of the response.
func do(t *testing.T, web *http.Client, method, query, body string) string {
	t.Helper()
	_, answer := exchange(t, web, method, "http://server/?"+query, body)
	return answer
}

// pollPipe opens a polling session and returns the query of its requests.
func pollPipe(t *testing.T, web *http.Client) string {
	t.Helper()
	return session(t, do(t, web, "GET", polling4, ""))
}

func TestAClientThatSendsTooMuchForSecondsIsClosedAndToldWhy(t *testing.T) {
	for name, message := range map[string][]byte{
		"events": maskedText(`42["x"]`),
		"pongs":  maskedText("3"),
		"pings":  maskedFrame(ws.NewPingFrame(nil)),
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp()
			events := 0
			a.event = func(*Socket, string, []json.RawMessage, func(json.RawMessage)) { events++ }
			inBubble(t, Config{}, a, func(s *Server, p *pipes) {
				c := joinPipe(t, p)
				start := time.Now()
				go func() {
					for {
						if _, err := c.conn.Write(message); err != nil {
							return
						}
					}
				}()
				code, reason := c.closed()
				if took := time.Since(start); took < 9*time.Second || took > 12*time.Second {
					t.Errorf("closed after %v, want 10 s", took)
				}
				if code != ws.StatusPolicyViolation || !strings.HasPrefix(reason, "too many messages: more than 50 a second") {
					t.Errorf("closed with %d %q", code, reason)
				}
				c.conn.Close()
				if got := <-a.disconnected; got != ReasonTooManyMessages {
					t.Errorf("reason %q", got)
				}
				if name == "events" && (events < 500 || events > 650) {
					t.Errorf("%d events were handled, want some 600", events)
				}
			})
		})
	}
	t.Run("polling", func(t *testing.T) {
		a := newApp()
		inBubble(t, Config{}, a, func(s *Server, p *pipes) {
			web := &http.Client{Transport: &http.Transport{DialContext: p.dial}}
			defer web.CloseIdleConnections()
			q := pollPipe(t, web)
			got := do(t, web, "POST", q, "40"+strings.Repeat("\x1e42[\"x\"]", 2000))
			if !strings.HasPrefix(got, `{"code":3,"message":"too many messages: more than 50 a second`) {
				t.Errorf("answer %q", got)
			}
			if got := <-a.disconnected; got != ReasonTooManyMessages {
				t.Errorf("reason %q", got)
			}
			if s.Stats().Rejected[refuseRate.reason] != 1 {
				t.Errorf("rejected: %v", s.Stats().Rejected)
			}
		})
	})
}

// closed reads until the close frame.
func (c *client) closed() (ws.StatusCode, string) {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Time{}) // c.frame has another
	for {
		h, err := ws.ReadHeader(c.in)
		b := make([]byte, h.Length)
		if err == nil {
			_, err = io.ReadFull(c.in, b)
		}
		if err != nil {
			c.t.Error("got no close frame:", err)
			return 0, ""
		}
		if h.OpCode == ws.OpClose {
			return ws.ParseCloseFrameData(b)
		}
	}
}

// The rate that is allowed may be used for ever.
func TestAClientWithinItsRateIsNeverSlowedDown(t *testing.T) {
	a := ackApp()
	inBubble(t, Config{PingInterval: time.Hour}, a, func(s *Server, p *pipes) {
		c := joinPipe(t, p)
		var sending sync.WaitGroup
		sending.Go(func() {
			for i := 0; i < 3000 && c.trySend(request(i)); i++ {
				time.Sleep(time.Second / 50)
			}
		})
		c.answers(3000)
		sending.Wait()
		if n := s.Stats().Slowed; n != 0 {
			t.Errorf("slowed down %d times", n)
		}
	})
}

// The answer to a ping may lie behind what is read slowly, and that is no reason to
// take the client for dead.
func TestAHeartbeatBehindSlowedMessagesIsAwaited(t *testing.T) {
	a := ackApp()
	inBubble(t, Config{}, a, func(s *Server, p *pipes) {
		c := joinPipe(t, p)
		if got, _ := c.next(); got != "2" {
			t.Fatalf("got %q, want a ping", got)
		}
		time.Sleep(15 * time.Second)
		const requests = 500 // 8 s of them
		go func() {
			for i := range requests {
				c.trySend(request(i))
			}
			c.trySend("3")
		}()
		c.answers(requests)
		// The next ping is answered too: the connection lives.
		go c.trySend(request(0))
		c.answers(1)
		// One that has died is found all the same.
		go func() { _, _ = io.Copy(io.Discard, c.in) }()
		time.Sleep(45 * time.Second)
		if n := s.Stats().Closed[ReasonPingTimeout]; n != 1 {
			t.Errorf("closed: %v", s.Stats().Closed)
		}
	})
}

func TestClosingDoesNotWaitForASlowedClient(t *testing.T) {
	a := newApp()
	inBubble(t, Config{}, a, func(s *Server, p *pipes) {
		c := joinPipe(t, p)
		go func() { _, _ = c.conn.Write(bytes.Repeat(maskedText(`42["x"]`), 5000)) }()
		time.Sleep(2 * time.Second)
		start := time.Now()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestTheBudgetOfMessagesRefills(t *testing.T) {
	var b bucket
	now := time.Unix(1e9, 0)
	take := func() (n int) {
		for {
			wait, err := b.take(now, 50, 10*time.Second)
			if wait > 0 || err != nil {
				return n
			}
			n++
		}
	}
	for _, step := range []struct {
		wait time.Duration
		want int
	}{{0, 100}, {0, 0}, {time.Second, 50}, {20 * time.Millisecond, 1}, {time.Hour, 100}, {-time.Hour, 0}} {
		now = now.Add(step.wait)
		if got := take(); got != step.want {
			t.Fatalf("after %v: %d messages, want %d", step.wait, got, step.want)
		}
	}
}
