package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

const (
	// DefaultAddress is where the server listens unless told otherwise.
	DefaultAddress = "127.0.0.1:5000"
	// EveryAddress is the default address for other machines.
	EveryAddress = ":5000"
)

// portsToTry is how many ports are tried when the default one is taken.
const portsToTry = 20

// CheckAddress returns an error when address can be reached from other machines,
// which has to be allowed. allowed says that there are tokens, or that the user wants it without.
func CheckAddress(address string, allowed bool) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("--listen %q is not an address: want host:port, such as %s", address, DefaultAddress)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("--listen %q: the port must be 0 to 65535", address)
	}
	if !allowed && !isLoopbackName(host) {
		return fmt.Errorf("--listen %s can be reached from other machines, and anybody there could watch and write: set --token-file, so that only those with a token can, or --insecure if that is what you want, or listen on %s", address, DefaultAddress)
	}
	return nil
}

// IsLoopback reports whether address, host:port, can be reached from this machine
// only.
func IsLoopback(address string) bool { return isLoopbackName(hostname(address)) }

// Listen opens address. When the default address is taken, and chosen says
// that nobody asked for it, the next free port is used.
func Listen(address string, chosen bool) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(context.Background(), "tcp", address)
	if err == nil || !errors.Is(err, syscall.EADDRINUSE) {
		if err != nil {
			err = fmt.Errorf("--listen %s: %w", address, err)
		}
		return l, err
	}
	if chosen {
		return nil, fmt.Errorf("--listen %s: the address is in use by another program; stop that one, or choose another port", address)
	}
	host, port, _ := net.SplitHostPort(address)
	first, _ := strconv.Atoi(port)
	for n := first + 1; n < first+portsToTry; n++ {
		l, err := config.Listen(context.Background(), "tcp", net.JoinHostPort(host, strconv.Itoa(n)))
		if err == nil {
			return l, nil
		}
	}
	return nil, fmt.Errorf("ports %d to %d of %s are all in use; choose one with --listen", first, first+portsToTry-1, host)
}
