//go:build linux || darwin

package server

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// unsentBytes is what the kernel may queue for a peer that does not read, beyond
// what is under way to it.
const unsentBytes = 16 << 10

// limitUnsent bounds what the kernel queues for c. By default that is up to 4 MB:
// a thousand requests for a large file whose clients do not read would fill a gigabyte.
func limitUnsent(c net.Conn) {
	direct, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := direct.SyscallConn()
	if err != nil {
		return // it is closed
	}
	_ = raw.Control(func(fd uintptr) {
		// Without it, only memory is lost.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentBytes)
	})
}
