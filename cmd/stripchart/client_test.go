package main

import (
	"context"
	"encoding/json"
	"testing"

	"stripchart/internal/socketio/siotest"
	"stripchart/internal/testkit"
)

// client is a page's connection in namespace /live. It fails its test when the server does.
type client struct {
	t testing.TB
	*siotest.Client
}

// dial connects; url is http://host:port.
func dial(t testing.TB, url string) *client {
	t.Helper()
	c, err := siotest.Dial(t.Context(), url, siotest.Options{Namespace: "/live", Patience: testkit.Patience})
	if err != nil {
		t.Fatalf("connect to %s: %v", url, err)
	}
	t.Cleanup(c.Close)
	return &client{t, c}
}

// openSocket opens a WebSocket from a local address and reads nothing.
func openSocket(p *process, from string) (*siotest.Client, error) {
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	defer cancel()
	return siotest.Open(ctx, p.url, siotest.Options{From: from, Patience: testkit.Patience})
}

func (c *client) send(text string) {
	c.t.Helper()
	if err := c.Send(text); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// read returns the next packet that is not a ping.
func (c *client) read() string {
	c.t.Helper()
	b, err := c.Text()
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	return string(b)
}

// next returns the argument of the next event with that name.
func (c *client) next(event string) json.RawMessage {
	c.t.Helper()
	for {
		p, err := c.Next()
		if err != nil {
			c.t.Fatalf("waiting for %s: %v", event, err)
		}
		if p.Event == event {
			return p.Arg
		}
	}
}

// ask sends a request and decodes its answer, passing over events.
func (c *client) ask(event string, arg, answer any) {
	c.t.Helper()
	b, err := c.Ask(event, arg)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := json.Unmarshal(b, answer); err != nil {
		c.t.Fatalf("answer %s: %v", b, err)
	}
}
