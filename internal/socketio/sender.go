package socketio

import (
	"net"
	"syscall"
)

// joinLimit is the most bytes that a write copies into one buffer. Above it the copy costs
// more than the kernel's handling of a vector.
const joinLimit = 64 << 10

// kernelQueue is how many bytes the kernel may hold for a connection that it has
// not sent yet.
const kernelQueue = 64 << 10

// maxVector is how many buffers the kernel takes in one call (IOV_MAX). Packets
// beyond it are left over as if the socket were full.
const maxVector = 1024

// sender is a goroutine's scratch for writes to sockets that neither block nor allocate. The
// call into the poller takes a func; one made for each write would be an allocation per viewer
// and message.
type sender struct {
	try func(fd uintptr) // bound once to attempt
	buf []byte           // what attempt writes, or
	vec [][]byte         // the same as a vector
	due int              // bytes of all packets of a write
	n   int              // bytes written
	err error            // nil also if the socket was full

	// joined is the concatenation of the frames of set in encoding, the last
	// several packets that were sent together. Many viewers watch the same
	// rooms, so the next one is often sent the same set.
	joined   []byte
	set      []*Packet
	encoding encoding

	// Counted here and added to the server's counters once per Broadcast,
	// because processors that share a counter wait for each other.
	writes, packets, bytes int64
}

func newSender() *sender {
	sd := &sender{}
	sd.try = sd.attempt
	return sd
}

// write sends the frames of ps in one system call and returns how many bytes the
// socket accepted, and whether those are all: they are fewer if it is full. The
// error means that the connection is broken.
func (sd *sender) write(raw syscall.RawConn, e encoding, ps []*Packet) (n int, all bool, err error) {
	sd.n, sd.err = 0, nil
	sd.load(e, ps)
	err = raw.Control(sd.try)
	n, tried := sd.result()
	if err == nil {
		err = tried
	}
	return n, n == sd.due, err
}

// run writes the contents of buf or vec to a descriptor that the caller holds.
func (sd *sender) run(fd uintptr) (int, error) {
	sd.attempt(fd)
	return sd.result()
}

// result counts an attempt and clears its buffers.
func (sd *sender) result() (int, error) {
	sd.buf = nil
	clear(sd.vec)
	sd.vec = sd.vec[:0]
	sd.writes++
	sd.bytes += int64(sd.n)
	return sd.n, sd.err
}

// load puts the frames of ps into buf or vec, and their bytes into due.
func (sd *sender) load(e encoding, ps []*Packet) {
	if len(ps) == 1 {
		sd.buf = ps[0].wire(e)
		sd.due = len(sd.buf)
		return
	}
	if sd.encoding == e && samePackets(sd.set, ps) {
		sd.buf = sd.joined
		sd.due = len(sd.buf)
		return
	}
	size := 0
	for _, p := range ps {
		size += len(p.wire(e))
	}
	sd.due = size
	if size > joinLimit {
		for _, p := range ps[:min(len(ps), maxVector)] {
			sd.vec = append(sd.vec, p.wire(e))
		}
		return
	}
	sd.joined = sd.joined[:0]
	for _, p := range ps {
		sd.joined = append(sd.joined, p.wire(e)...)
	}
	sd.set, sd.encoding = append(sd.set[:0], ps...), e
	sd.buf = sd.joined
}

// release drops what sd refers to, so that an idle sender keeps no packets.
func (sd *sender) release() {
	clear(sd.set)
	sd.set = sd.set[:0]
}

func samePackets(a, b []*Packet) bool {
	if len(a) != len(b) || len(a) == 0 {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// rawConn returns access to c's file descriptor. It returns nil if a write to c is more
// than a system call (TLS), and on platforms without directIO. A type with the method
// SyscallConn may be written to directly: the types of package net, and types of listeners
// that embed one of them.
func rawConn(c net.Conn) syscall.RawConn {
	if direct, ok := c.(syscall.Conn); ok && directIO {
		if raw, err := direct.SyscallConn(); err == nil {
			return raw
		}
	}
	return nil
}
