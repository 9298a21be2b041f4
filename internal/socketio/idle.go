package socketio

import (
	"io"
	"net"
	"sync"
	"syscall"
)

// readBufferSize holds any message that a page usually sends, in bytes.
const readBufferSize = 4 << 10

// tlsBufferSize is the buffer of connections that cannot wait without one. They
// keep it while idle.
const tlsBufferSize = 512

type readBuffer = [readBufferSize]byte

// bufferPool lends read buffers to the connections that have something to read.
type bufferPool struct{ pool sync.Pool }

func (p *bufferPool) get() *readBuffer {
	if b, ok := p.pool.Get().(*readBuffer); ok {
		return b
	}
	return new(readBuffer)
}

func (p *bufferPool) put(b *readBuffer) { p.pool.Put(b) }

// idleReader reads from a connection that is silent most of the time. While it
// waits it holds no buffer: it waits for the socket to become readable, and
// only then takes one.
type idleReader struct {
	pool *bufferPool
	raw  syscall.RawConn
	try  func(fd uintptr) bool // bound once to attempt
	buf  *readBuffer
	n    int
	err  error

	conn net.Conn // for connections without raw
	own  []byte
}

func newIdleReader(conn net.Conn, raw syscall.RawConn, pool *bufferPool) *idleReader {
	r := &idleReader{pool: pool, raw: raw, conn: conn}
	if raw == nil {
		r.own = make([]byte, tlsBufferSize)
	} else {
		r.try = r.attempt
	}
	return r
}

// next waits for bytes and returns them; they are valid until done.
func (r *idleReader) next() ([]byte, error) {
	if r.raw == nil {
		n, err := r.conn.Read(r.own)
		if n > 0 {
			return r.own[:n], nil
		}
		return nil, err
	}
	if err := r.raw.Read(r.try); err != nil {
		return nil, err
	}
	switch {
	case r.err != nil:
		return nil, r.err
	case r.n == 0:
		return nil, io.EOF
	}
	return r.buf[:r.n], nil
}

// done gives the buffer back.
func (r *idleReader) done() {
	if r.buf != nil {
		r.pool.put(r.buf)
		r.buf = nil
	}
}
