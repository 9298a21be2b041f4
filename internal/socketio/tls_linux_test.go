package socketio

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// overTLS marks the kinds of server that are reached over TLS.
const overTLS = "+tls"

// BenchmarkSendingOverTLS compares sending to many over TLS with the same over
// plain TCP, and both with the floor: a bare loop that writes the same bytes to
// the same kind of connection. The clients have a goroutine each, for they have to
// decrypt, so delays are theirs as well; processor time and memory are not.
//
//	go test ./internal/socketio -run '^$' -bench SendingOverTLS -benchtime 1x -timeout 20m
func BenchmarkSendingOverTLS(b *testing.B) {
	conns := benchEnvInt("SOCKETIO_BENCH_CONNS", 1000)
	rate := benchEnvInt("SOCKETIO_BENCH_RATE", 5)
	for _, rooms := range []int{1, 12} {
		for _, kind := range []string{"floor", "socketio", "floor" + overTLS, "socketio" + overTLS} {
			b.Run(fmt.Sprintf("%s/rooms=%d", kind, rooms), func(b *testing.B) {
				for range b.N {
					benchRun(b, kind, rooms, rate, conns, func(addr string) (benchLoad, error) {
						return newReaders(addr, conns, kind)
					})
				}
			})
		}
	}
}

// readers are clients with a goroutine each.
type readers struct {
	conns   []net.Conn
	reading sync.WaitGroup

	mu       sync.Mutex // guards the fields below
	messages int
	delays   []time.Duration
}

func newReaders(addr string, conns int, kind string) (*readers, error) {
	r := &readers{}
	for i := range conns {
		c, err := dialReader(addr, fmt.Sprintf("127.0.0.%d", 2+i%8), kind)
		if err != nil {
			r.close()
			return nil, err
		}
		r.conns = append(r.conns, c.conn)
		r.reading.Go(func() { r.read(c.conn) })
	}
	return r, nil
}

func dialReader(addr, local, kind string) (*client, error) {
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}}
	dialer := ws.Dialer{NetDial: d.DialContext, ReadBufferSize: 512, WriteBufferSize: 512}
	kind, secure := strings.CutSuffix(kind, overTLS)
	if secure {
		dialer.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := d.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			// The certificate is httptest's and nobody's secret.
			secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
			return secure, secure.HandshakeContext(ctx)
		}
	}
	c, err := dialWith(dialer, addr, eio4)
	if err != nil || kind == "floor" {
		return c, err
	}
	if _, err := c.conn.Write(maskedFrame(ws.NewTextFrame([]byte("40/live,")))); err != nil {
		return nil, err
	}
	for range 2 {
		if _, _, err := c.frame(); err != nil {
			return nil, err
		}
	}
	return c, c.conn.SetReadDeadline(time.Time{})
}

// read counts what arrives on conn, and answers pings, until it is closed.
func (r *readers) read(conn net.Conn) {
	mark := []byte(`"t":"`)
	pong := maskedFrame(ws.NewTextFrame([]byte("3")))
	buf := make([]byte, 4<<10)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		now := time.Now().UnixNano()
		if bytes.Contains(buf[:n], pingPacket.frame) {
			if _, err := conn.Write(pong); err != nil {
				return
			}
		}
		at := bytes.Index(buf[:n], mark) + len(mark)
		if at < len(mark) || n < at+19 {
			continue
		}
		sent, _ := strconv.ParseInt(string(buf[at:at+19]), 10, 64)
		r.mu.Lock()
		r.messages++ // what one tick brings is read at once
		r.delays = append(r.delays, time.Duration(now-sent))
		r.mu.Unlock()
	}
}

func (r *readers) run(d time.Duration) { time.Sleep(d) }

func (r *readers) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages, r.delays = 0, r.delays[:0]
}

func (r *readers) delivered() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.messages
}

func (r *readers) percentile(p float64) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.delays)
	return r.delays[int(float64(len(r.delays)-1)*p)]
}

func (r *readers) close() {
	for _, c := range r.conns {
		if outer, ok := c.(*tls.Conn); ok {
			c = outer.NetConn()
		}
		_ = c.Close()
	}
	r.reading.Wait()
}
