//go:build !linux && !darwin

package socketio

// directIO tells that a socket can be tried without blocking. Here it cannot:
// every write goes by way of the queue.
const directIO = false

func (sd *sender) attempt(uintptr) { panic("socketio: no direct writes on this platform") }

func (r *idleReader) attempt(uintptr) bool { panic("socketio: no direct reads on this platform") }
