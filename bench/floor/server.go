//go:build linux

package floor

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// The product's heartbeat: each connection is pinged once in pingInterval, and
// the pings are spread over it.
const (
	pingInterval = 25 * time.Second
	pingParts    = 250
)

// ping is the finished frame of Engine.IO's ping.
var ping = []byte{0x81, 1, '2'}

// handshakeTimeout is how long a client may take for its request.
const handshakeTimeout = 10 * time.Second

// Server is the floor.
type Server struct {
	interval time.Duration
	template *template

	mu    sync.Mutex // guards conns, and every descriptor in it against being closed
	conns []*conn
}

// conn is one connection. Server.mu guards all but tcp.
type conn struct {
	tcp    net.Conn
	fd     int
	place  int  // in Server.conns
	broken bool // it was full once: a part of a frame may have left
}

// New makes a floor that writes frames, as recorded from the product, every
// interval, at multiples of it since the epoch.
func New(frames []byte, interval time.Duration) (*Server, error) {
	t, err := newTemplate(frames)
	if err != nil {
		return nil, err
	}
	if interval < time.Millisecond {
		return nil, fmt.Errorf("floor: the interval must be at least 1ms, not %v", interval)
	}
	return &Server{interval: interval, template: t}, nil
}

// Serve runs until ctx ends, and returns when its goroutines have ended.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	var parts sync.WaitGroup
	defer parts.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	parts.Go(func() { s.ticks(ctx) })
	parts.Go(func() { s.heartbeat(ctx) })
	parts.Go(func() {
		<-ctx.Done()
		_ = l.Close() // ends the loop below
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, c := range s.conns {
			_ = c.tcp.SetReadDeadline(time.Unix(1, 0)) // ends its reader
		}
	})
	for {
		tcp, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("floor: accept: %w", err)
		}
		// The handshake's goroutine ends with it, and with it the stack it has grown.
		parts.Go(func() {
			c, err := handshake(tcp)
			if err != nil {
				_ = tcp.Close()
				return
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if ctx.Err() != nil {
				_ = tcp.Close()
				return
			}
			c.place = len(s.conns)
			s.conns = append(s.conns, c)
			parts.Go(func() { s.read(c) })
		})
	}
}

// handshake answers the upgrade. RFC 6455, section 4.2.2.
func handshake(tcp net.Conn) (*conn, error) {
	_ = tcp.SetDeadline(time.Now().Add(handshakeTimeout))
	r, err := http.ReadRequest(bufio.NewReaderSize(tcp, 1<<10))
	if err != nil {
		return nil, err
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n"
	if _, err := tcp.Write([]byte(answer)); err != nil {
		return nil, err
	}
	_ = tcp.SetDeadline(time.Time{})
	socket, ok := tcp.(*net.TCPConn)
	if !ok {
		return nil, errors.New("floor: not a TCP connection")
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &conn{tcp: tcp}
	return c, raw.Control(func(fd uintptr) { c.fd = int(fd) })
}

// read waits for what the client sends, and for its end.
func (s *Server) read(c *conn) {
	var b [64]byte
	for {
		if _, err := c.tcp.Read(b[:]); err != nil {
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.conns[len(s.conns)-1]
	last.place = c.place
	s.conns[c.place] = last
	s.conns[len(s.conns)-1] = nil
	s.conns = s.conns[:len(s.conns)-1]
	_ = c.tcp.Close() // under the lock: nobody writes to the descriptor meanwhile
}

// ticks sends the frames at every multiple of the interval.
func (s *Server) ticks(ctx context.Context) {
	for {
		next := time.Now().Truncate(s.interval).Add(s.interval)
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(next)):
		}
		s.mu.Lock()
		s.send(s.template.at(next, time.Now()))
		s.mu.Unlock()
	}
}

// grain is how many connections a sender takes at a time.
const grain = 32

// send writes b to every connection. s.mu is held.
func (s *Server) send(b []byte) {
	var senders sync.WaitGroup
	var next atomic.Int64 // first connection that no sender has taken
	for range runtime.GOMAXPROCS(0) {
		senders.Go(func() {
			for {
				end := int(next.Add(grain))
				if end-grain >= len(s.conns) {
					return
				}
				for _, c := range s.conns[end-grain : min(end, len(s.conns))] {
					c.write(b)
				}
			}
		})
	}
	senders.Wait()
}

// write tries once.
func (c *conn) write(b []byte) {
	if c.broken {
		return
	}
	n, err := unix.Write(c.fd, b)
	if err == unix.EINTR {
		n, err = unix.Write(c.fd, b)
	}
	c.broken = err != nil || n < len(b) // its reader hears of errors too
}

// heartbeat pings a part of the connections at a time.
func (s *Server) heartbeat(ctx context.Context) {
	ticker := time.NewTicker(pingInterval / pingParts)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		s.mu.Lock()
		for i := n % pingParts; i < len(s.conns); i += pingParts {
			s.conns[i].write(ping)
		}
		s.mu.Unlock()
	}
}
