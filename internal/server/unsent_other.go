//go:build !linux && !darwin

package server

import "net"

// limitUnsent does nothing here: the write deadline alone bounds how long what is
// queued stays.
func limitUnsent(net.Conn) {}
