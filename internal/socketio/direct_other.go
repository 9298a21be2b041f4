//go:build !linux && !darwin

package socketio

import "net"

// directIO tells that a socket can be tried without blocking, and waited for
// without a buffer. Here it cannot: every write goes by way of the queue, and
// every connection has a read buffer.
const directIO = false

func (sd *sender) attempt(uintptr) { panic("socketio: no direct writes on this platform") }

func readable(uintptr) bool { panic("socketio: no waiting without a buffer on this platform") }

func limitUnsent(net.Conn) {} // the system's own limit stands
