//go:build linux || darwin

package socketio

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// directIO says that this platform can write to a socket without blocking, and wait for
// one without a buffer.
const directIO = true

// attempt writes sd.buf or sd.vec to fd, once.
func (sd *sender) attempt(fd uintptr) {
	for {
		if len(sd.vec) > 0 {
			sd.n, sd.err = unix.Writev(int(fd), sd.vec)
		} else {
			sd.n, sd.err = unix.Write(int(fd), sd.buf)
		}
		switch sd.err {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			sd.n, sd.err = 0, nil
		}
		sd.n = max(sd.n, 0) // -1 with an error
		return
	}
}

// readable tells whether a read of fd would return at once.
func readable(fd uintptr) bool {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds[:], 0)
		if err != unix.EINTR {
			return n > 0 || err != nil
		}
	}
}

// limitUnsent bounds the bytes that the kernel queues for a peer that does not read. The
// default is up to 4 MB, hours of updates. With it, viewers would receive old updates
// before the connection's own bound is reached, and a few of them would fill the kernel's
// memory. Bytes that are sent and not acknowledged are not limited, so a distant peer
// with a fast line is not slowed down.
func limitUnsent(conn net.Conn) {
	if outer, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = outer.NetConn()
	}
	direct, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := direct.SyscallConn()
	if err != nil {
		return // it is closed
	}
	_ = raw.Control(func(fd uintptr) {
		// Without it, only memory is lost. A socket that is not TCP has no such bound.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, kernelQueue)
	})
}
