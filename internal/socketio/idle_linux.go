package socketio

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// idle waits for bytes on all silent connections in one goroutine. A goroutine for each
// would be most of a connection's memory: 2.5 KB, and as much again, because Go lets
// garbage grow to the size of the memory in use, stacks included.
//
// It has an epoll instance of its own, for which Go's poller waits as for any file. epoll
// reports bytes to read and peers that have gone, but no action of this side: code that
// closes a connection or sets a deadline calls leave.
type idle struct {
	server *Server

	mu      sync.Mutex // guards the fields below, and Conn.idle
	file    *os.File   // the epoll instance; nil while it has no members
	fd      int        // of file
	members int
	last    uint64           // number that was given last
	waiting map[uint64]*Conn // by number
}

// idleNumber is the number under which a connection waited last, another each
// time, so that a late event matches no connection. 0: it is not a member.
type idleNumber = uint64

// enter makes the next bytes call c.handleRead, once. It returns false if nothing will call
// it: the connection is closed or closing, or the system refused. The reader calls enter.
func (d *idle) enter(c *Conn) bool {
	d.mu.Lock()
	op := unix.EPOLL_CTL_MOD
	if c.idle == 0 {
		if d.members == 0 && d.open() != nil {
			d.mu.Unlock()
			return false
		}
		d.members++
		op = unix.EPOLL_CTL_ADD
	}
	d.last++
	n, poll := d.last, d.fd
	c.idle = n
	d.waiting[n] = c
	d.mu.Unlock()

	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: int32(n), Pad: int32(n >> 32)}
	var err error
	closed := c.raw.Control(func(fd uintptr) { err = unix.EpollCtl(poll, op, int(fd), &event) })
	// c is in waiting before this check. Code that closes c sets its state first, and then
	// looks into waiting.
	if closed == nil && err == nil && !c.closing() {
		return true
	}
	return d.take(n) == nil // an event may have come first, or leave
}

// leave starts a goroutine that waits for c, if c is idle. Such a goroutine notices the end
// of c and its deadline.
func (d *idle) leave(c *Conn) {
	d.mu.Lock()
	n := c.idle
	d.mu.Unlock()
	if d.take(n) != nil {
		go c.await()
	}
}

// take removes and returns the connection that waits under number n; nil if there is none.
func (d *idle) take(n uint64) *Conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.waiting[n]
	delete(d.waiting, n)
	return c
}

// retire ends the membership of a connection that has been closed. The system
// has removed the descriptor.
func (d *idle) retire(c *Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.idle == 0 {
		return
	}
	c.idle = 0
	if d.members--; d.members == 0 {
		_ = d.file.Close() // ends run
		d.file = nil
	}
}

// open makes the epoll instance. The caller holds d.mu, for a connection that the
// server's wg counts.
func (d *idle) open() error {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	if err := unix.SetNonblock(fd, true); err != nil { // or os would not give it to Go's poller
		_ = unix.Close(fd)
		return err
	}
	d.file, d.fd = os.NewFile(uintptr(fd), "epoll"), fd
	if d.waiting == nil {
		d.waiting = map[uint64]*Conn{}
	}
	file := d.file
	d.server.wg.Go(func() { d.run(file) })
	return nil
}

// run starts a reader for each connection that has something to read, until file
// is closed.
func (d *idle) run(file *os.File) {
	raw, err := file.SyscallConn()
	if err != nil {
		return // closed already
	}
	var events [64]unix.EpollEvent
	for {
		n := 0
		err := raw.Read(func(fd uintptr) bool {
			n, _ = unix.EpollWait(int(fd), events[:], 0) // it does not sleep, so nothing interrupts it
			return n > 0
		})
		if err != nil {
			return
		}
		for _, e := range events[:n] {
			if c := d.take(uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32); c != nil {
				go c.handleRead(nil, nil)
			}
		}
	}
}
