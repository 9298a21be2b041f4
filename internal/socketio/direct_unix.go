//go:build linux || darwin

package socketio

import "golang.org/x/sys/unix"

// directIO tells that a socket can be tried without blocking.
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

// attempt reads into a buffer of the pool. It returns false, holding no
// buffer, if there is nothing to read, and the caller is parked until there is.
func (r *idleReader) attempt(fd uintptr) bool {
	r.buf = r.pool.get()
	for {
		r.n, r.err = unix.Read(int(fd), r.buf[:])
		switch r.err {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			r.pool.put(r.buf)
			r.buf = nil
			return false
		}
		return true
	}
}
