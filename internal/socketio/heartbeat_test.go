package socketio

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
)

// pipes is a listener of in-memory connections, for tests with their own time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.closed:
		return errors.New("closed twice")
	default:
		close(p.closed)
		return nil
	}
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	a, b := net.Pipe()
	select {
	case p.conns <- b:
		return a, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// inBubble runs f with a server whose time is the test's own.
func inBubble(t *testing.T, cfg Config, a *app, f func(s *Server, p *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(cfg)
		s.Handle("/", a)
		p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		web := &http.Server{Handler: s}
		served := make(chan error)
		go func() { served <- web.Serve(p) }()
		f(s, p)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		web.Close()
		<-served
		if err := a.balanced(); err != nil {
			t.Error(err)
		}
	})
}

func dialPipe(t *testing.T, p *pipes, query string) *client {
	t.Helper()
	dialer := ws.Dialer{NetDial: p.dial}
	conn, br, _, err := dialer.Dial(context.Background(), "ws://server/?"+query)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, conn: conn, in: conn}
	if br != nil {
		c.in = io.MultiReader(io.LimitReader(br, int64(br.Buffered())), conn)
	}
	return c
}

// next reads one text frame and tells how long it took.
func (c *client) next() (string, time.Duration) {
	c.t.Helper()
	start := time.Now()
	_ = c.conn.SetReadDeadline(time.Time{})
	h, err := ws.ReadHeader(c.in)
	if err != nil {
		return err.Error(), time.Since(start)
	}
	b := make([]byte, h.Length)
	if _, err := io.ReadFull(c.in, b); err != nil {
		return err.Error(), time.Since(start)
	}
	return string(b), time.Since(start)
}

func TestPingsComeEveryIntervalAndTheFirstSpread(t *testing.T) {
	a := newApp()
	inBubble(t, Config{}, a, func(s *Server, p *pipes) {
		firsts := map[time.Duration]bool{}
		for range 20 {
			c := dialPipe(t, p, eio4)
			c.next()
			c.send("40")
			c.next()
			text, wait := c.next()
			if text != "2" || wait < 12*time.Second || wait > 25*time.Second {
				t.Fatalf("first ping %q after %v", text, wait)
			}
			firsts[wait] = true
			for range 3 {
				c.send("3")
				text, wait := c.next()
				if text != "2" || wait < 24800*time.Millisecond || wait > 25200*time.Millisecond {
					t.Fatalf("got %q after %v, want a ping after 25 s", text, wait)
				}
			}
			c.conn.Close()
			synctest.Wait()
		}
		if len(firsts) < 10 {
			t.Fatalf("20 connections had their first pings at %d times", len(firsts))
		}
	})
}

func TestAClientThatDoesNotAnswerIsGoneAfterThePingTimeout(t *testing.T) {
	a := newApp()
	inBubble(t, Config{}, a, func(s *Server, p *pipes) {
		c := dialPipe(t, p, eio4)
		c.next()
		c.send("40")
		c.next()
		if text, _ := c.next(); text != "2" {
			t.Fatalf("got %q", text)
		}
		text, wait := c.next()
		if text != io.EOF.Error() || wait > 20*time.Second || wait < 19800*time.Millisecond {
			t.Fatalf("got %q after %v", text, wait)
		}
		if got := <-a.disconnected; got != ReasonPingTimeout {
			t.Fatalf("reason %q", got)
		}
	})
}

func TestAnOldClientMustPingItself(t *testing.T) {
	a := newApp()
	inBubble(t, Config{}, a, func(s *Server, p *pipes) {
		c := dialPipe(t, p, "EIO=3&transport=websocket")
		c.next()
		if text, _ := c.next(); text != "40" { // connected without asking
			t.Fatalf("got %q", text)
		}
		for range 3 {
			time.Sleep(44 * time.Second)
			c.send("2hello")
			if text, _ := c.next(); text != "3hello" {
				t.Fatalf("got %q", text)
			}
		}
		if text, wait := c.next(); text != io.EOF.Error() || wait > 45*time.Second || wait < 44800*time.Millisecond {
			t.Fatalf("got %q after %v", text, wait)
		}
		if got := <-a.disconnected; got != ReasonPingTimeout {
			t.Fatalf("reason %q", got)
		}
	})
}

func TestAConnectionThatJoinsNoNamespaceIsClosed(t *testing.T) {
	inBubble(t, Config{ConnectTimeout: 3 * time.Second}, newApp(), func(s *Server, p *pipes) {
		c := dialPipe(t, p, eio4)
		c.next()
		if text, wait := c.next(); text != io.EOF.Error() || wait > 3*time.Second || wait < 2800*time.Millisecond {
			t.Fatalf("got %q after %v", text, wait)
		}
		synctest.Wait()
		if n := s.Stats().Closed[ReasonConnectTimeout]; n != 1 {
			t.Fatalf("Stats.Closed: %v", s.Stats().Closed)
		}
	})
}

// A process may be suspended for longer than the wheel is round.
func TestAfterAStandstillNoConnectionIsMissed(t *testing.T) {
	h := NewServer(Config{}).heartbeat
	const conns = 1000
	h.count = conns
	for i := range conns {
		h.list(&Conn{}, int64(i)*h.step)
	}
	h.start = h.start.Add(-time.Hour)
	due, more := h.turn()
	if len(due) != conns || !more {
		t.Fatalf("%d of %d connections are due", len(due), conns)
	}
	if due, _ := h.turn(); len(due) != 0 {
		t.Fatalf("%d connections are due twice", len(due))
	}
}

func TestAPollingClientThatDoesNotAnswerIsGone(t *testing.T) {
	a := newApp()
	inBubble(t, Config{}, a, func(s *Server, p *pipes) {
		web := &http.Client{Transport: &http.Transport{DialContext: p.dial}}
		defer web.CloseIdleConnections()
		get := func(query string) string {
			resp, err := web.Get("http://server/?" + query)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		open := get(polling4)
		q := polling4 + "&sid=" + open[len(`0{"sid":"`):][:26]
		if got := get(q); got != "2" {
			t.Fatalf("got %q, want a ping", got)
		}
		start := time.Now()
		if got := get(q); got != "1" {
			t.Fatalf("got %q, want the goodbye", got)
		}
		if wait := time.Since(start); wait > 20*time.Second || wait < 19800*time.Millisecond {
			t.Fatalf("after %v", wait)
		}
	})
}
