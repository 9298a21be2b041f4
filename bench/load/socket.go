//go:build linux

package load

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// RaiseFileLimit raises the number of files that this process may have open as
// far as it is allowed to, for its children too, and returns it.
func RaiseFileLimit() (uint64, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("limit of open files: %w", err)
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("limit of open files: %w", err)
	}
	return limit.Cur, nil
}

// dial begins to connect from local, any port. buffer is the size of the receive
// buffer in bytes, 0 for the kernel's own; it must be set before the connection
// has its window.
func dial(server netip.AddrPort, local netip.Addr, buffer int) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
		}
	}()
	// Without this bind itself takes a port, one that no other connection has,
	// wherever to.
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return -1, fmt.Errorf("bind without a port: %w", err)
	}
	if buffer > 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer); err != nil {
			return -1, fmt.Errorf("receive buffer: %w", err)
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: local.As4()}); err != nil {
		return -1, fmt.Errorf("bind to %v: %w", local, err)
	}
	to := &unix.SockaddrInet4{Addr: server.Addr().As4(), Port: int(server.Port())}
	if err := unix.Connect(fd, to); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return -1, fmt.Errorf("connect: %w", err)
	}
	return fd, nil
}

// hangUp closes fd with a reset: nothing lingers, and the port is free at once.
func hangUp(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	_ = unix.Close(fd)
}
