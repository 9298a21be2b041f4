// Command conformance serves what the public test suites of the two protocols
// expect to find on localhost:3000 (repositories socketio/engine.io-protocol and
// socketio/socket.io-protocol, folder test-suite, run there with npm ci && npm test):
//
//	go run ./internal/socketio/conformance --listen 127.0.0.1:3000 --suite engine.io
//
// With --suite engine.io every message is sent back. With --suite socket.io the
// namespaces "/" and "/custom" answer a connection with the event "auth", the
// event "message" with "message-back" and "message-with-ack" with an
// acknowledgement, arguments and attachments as they came.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"stripchart/internal/socketio"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run() error {
	listen := flag.String("listen", "127.0.0.1:3000", "address to serve on")
	suite := flag.String("suite", "socket.io", "engine.io or socket.io")
	verbose := flag.Bool("verbose", false, "log every refused request and broken connection")
	compress := flag.Int("compress-from", 0, "agree to permessage-deflate, for packets of so many bytes")
	interval := flag.Duration("ping-interval", 300*time.Millisecond, "time between two pings")
	timeout := flag.Duration("ping-timeout", 200*time.Millisecond, "time for the answer")
	flag.Parse()

	cfg := socketio.Config{
		PingInterval:   *interval,
		PingTimeout:    *timeout,
		ConnectTimeout: 1 * time.Second,
		MaxPayload:     1_000_000,
		CompressFrom:   *compress,
	}
	if *verbose {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	var server *socketio.Server
	switch *suite {
	case "engine.io":
		cfg.Raw = func(c *socketio.Conn, data []byte, binary bool) {
			c.Write(socketio.EncodeRaw(data, binary))
		}
		server = socketio.NewServer(cfg)
	case "socket.io":
		server = socketio.NewServer(cfg)
		server.Handle("/", echo{})
		server.Handle("/custom", echo{})
	default:
		return fmt.Errorf("--suite is %q, want engine.io or socket.io", *suite)
	}

	mux := http.NewServeMux()
	mux.Handle("/"+*suite+"/", server)
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Println("serving", *suite, "on", l.Addr())
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(l) }()
	select {
	case err := <-failed:
		return errors.Join(err, server.Close())
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	return errors.Join(server.Shutdown(ctx), web.Shutdown(ctx))
}

// echo is a namespace that sends back what it is sent.
type echo struct{}

func (echo) Connect(s *socketio.Socket, auth json.RawMessage) error {
	if auth == nil {
		auth = json.RawMessage("{}")
	}
	s.Data = auth
	return nil
}

// authDelay keeps the event apart from the confirmation of the connection. The
// suite listens for one message at a time, and its client hands on all that came
// in one read before it listens for the next: two packets at once are one too
// many for it.
const authDelay = 60 * time.Millisecond

func (echo) Connected(s *socketio.Socket) {
	event := socketio.EncodeEvent(s.Namespace(), "auth", s.Data.(json.RawMessage))
	time.AfterFunc(authDelay, func() { s.Send(event) })
}

// Receive implements socketio.Receiver.
func (echo) Receive(s *socketio.Socket, m socketio.Message) {
	switch m.Name {
	case "message":
		s.Send(socketio.EncodeEventArgs(s.Namespace(), "message-back", m.Args, m.Attachments...))
	case "message-with-ack":
		if m.Reply != nil {
			m.Reply(m.Args, m.Attachments)
		}
	}
}

// Event is not called: Receive is.
func (echo) Event(*socketio.Socket, string, []json.RawMessage, func(json.RawMessage)) {}

func (echo) Drained(*socketio.Socket) {}

func (echo) Disconnected(*socketio.Socket, string) {}
