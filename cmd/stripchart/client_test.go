package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"stripchart/internal/testkit"
)

// client is a Socket.IO client in namespace /live, in as much as a test needs.
type client struct {
	t      testing.TB
	conn   net.Conn
	in     io.Reader // conn, or what is buffered of it and then conn
	lastID int
}

// dial connects; url is http://host:port.
func dial(t testing.TB, url string) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	defer cancel()
	address := "ws" + strings.TrimPrefix(url, "http") + "/socket.io/?EIO=4&transport=websocket"
	conn, buffered, _, err := ws.Dial(ctx, address)
	if err != nil {
		t.Fatalf("connect to %s: %v", url, err)
	}
	c := &client{t: t, conn: conn, in: conn}
	if buffered != nil { // the first packet came along with the handshake
		c.in = buffered
	}
	t.Cleanup(func() { conn.Close() })
	if open := c.read(); !strings.HasPrefix(open, "0{") {
		t.Fatalf("the server opened with %q", open)
	}
	c.write("40/live,")
	if connected := c.read(); !strings.HasPrefix(connected, "40/live,") {
		t.Fatalf("the server answered the CONNECT with %q", connected)
	}
	return c
}

func (c *client) write(s string) {
	c.t.Helper()
	_ = c.conn.SetWriteDeadline(time.Now().Add(testkit.Patience))
	if err := wsutil.WriteClientText(c.conn, []byte(s)); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// read returns the next packet that is not a ping.
func (c *client) read() string {
	c.t.Helper()
	for {
		_ = c.conn.SetReadDeadline(time.Now().Add(testkit.Patience))
		b, err := wsutil.ReadServerText(struct {
			io.Reader
			io.Writer
		}{c.in, c.conn})
		if err != nil {
			c.t.Fatalf("read: %v", err)
		}
		if string(b) != "2" {
			return string(b)
		}
		c.write("3")
	}
}

// next returns the argument of the next event with that name.
func (c *client) next(event string) json.RawMessage {
	c.t.Helper()
	for {
		if arg, ok := strings.CutPrefix(c.read(), `42/live,["`+event+`",`); ok {
			return json.RawMessage(strings.TrimSuffix(arg, "]"))
		}
	}
}

// ask sends a request and decodes its answer, passing over events.
func (c *client) ask(event string, arg, answer any) {
	c.t.Helper()
	b, err := json.Marshal(arg)
	if err != nil {
		c.t.Fatal(err)
	}
	c.lastID++
	c.write(fmt.Sprintf(`42/live,%d["%s",%s]`, c.lastID, event, b))
	prefix := "43/live," + strconv.Itoa(c.lastID) + "["
	for {
		if a, ok := strings.CutPrefix(c.read(), prefix); ok {
			if err := json.Unmarshal([]byte(strings.TrimSuffix(a, "]")), answer); err != nil {
				c.t.Fatalf("answer %s: %v", a, err)
			}
			return
		}
	}
}
