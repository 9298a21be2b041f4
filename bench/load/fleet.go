//go:build linux

package load

import (
	"container/heap"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"stripchart/bench/measure"
)

// readSize is what one read takes at most, in bytes.
const readSize = 64 << 10

// pausableBuffer is the receive buffer of a viewer that may be paused, in bytes.
const pausableBuffer = 32 << 10

// Figures are what a Fleet has counted since Reset.
type Figures struct {
	Updates int // to viewers that were live and may not be paused
	Bytes   int // of them, payload
	Pings   int
	Lost    int // connections that ended without being asked to
	Refused int // attempts that the server refused
	// Delays at the first update of each read: from when the server began to send,
	// and from when the sample was taken.
	FromSend, FromSample *measure.Delays
}

// Fleet is many viewers. Its methods must be called from one goroutine; they do
// all the work while they run, so call Run, or nothing is read.
type Fleet struct {
	plan    Plan
	epoll   int
	viewers []viewer
	host    string
	upgrade []byte // the request
	buf     []byte // what is read
	scratch []byte // what is written
	events  []unix.EpollEvent

	queue    queue // who is to connect, and when
	underway int   // between connecting and live
	alive    int   // live
	figures  Figures
	broken   error // why a viewer could not connect, or was lost, lately
}

// New makes a fleet; nobody connects before Connect.
func New(p Plan) (*Fleet, error) {
	p.setDefaults()
	if !p.Server.Addr().Is4() || !p.Server.Addr().IsLoopback() {
		return nil, fmt.Errorf("load: %v is not an IPv4 address of the loopback network", p.Server)
	}
	if addresses := (p.Viewers + p.PerAddress - 1) / p.PerAddress; addresses > 250 {
		return nil, fmt.Errorf("load: %d viewers need %d addresses, of which there are 250", p.Viewers, addresses)
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("load: epoll: %w", err)
	}
	f := &Fleet{
		plan: p, epoll: epoll, viewers: make([]viewer, p.Viewers), host: p.Server.String(), upgrade: request(p.Server.String()),
		buf: make([]byte, readSize), events: make([]unix.EpollEvent, 256),
		figures: Figures{FromSend: measure.NewDelays(), FromSample: measure.NewDelays()},
	}
	for i := range f.viewers {
		f.viewers[i].fd = -1
	}
	return f, nil
}

// Close ends every connection. Calls after the first do nothing.
func (f *Fleet) Close() {
	if f.epoll < 0 {
		return
	}
	for i := range f.viewers {
		f.drop(&f.viewers[i])
	}
	_ = unix.Close(f.epoll)
	f.epoll = -1
}

// Live returns how many viewers are live.
func (f *Fleet) Live() int { return f.alive }

// Figures returns what was counted since the last Reset. The delays are the
// fleet's own and change with it.
func (f *Fleet) Figures() Figures { return f.figures }

// Reset begins to count anew.
func (f *Fleet) Reset() {
	f.figures.FromSend.Reset()
	f.figures.FromSample.Reset()
	f.figures = Figures{FromSend: f.figures.FromSend, FromSample: f.figures.FromSample}
}

// Connect brings every viewer that is away to its last bootstrap, within timeout.
func (f *Fleet) Connect(timeout time.Duration) error {
	f.Recall()
	return f.Await(func() bool { return f.alive == len(f.viewers) }, timeout)
}

// Recall has every viewer that is away begin to connect.
func (f *Fleet) Recall() {
	now := time.Now()
	for i := range f.viewers {
		if f.viewers[i].state == away {
			f.enqueue(i, now)
		}
	}
}

// Run reads for d.
func (f *Fleet) Run(d time.Duration) error {
	end := time.Now().Add(d)
	for time.Now().Before(end) {
		if err := f.step(end); err != nil {
			return err
		}
	}
	return nil
}

// Await reads until done, and fails after timeout.
func (f *Fleet) Await(done func() bool, timeout time.Duration) error {
	end := time.Now().Add(timeout)
	for !done() {
		if !time.Now().Before(end) {
			return fmt.Errorf("load: after %v %d of %d viewers are live; the last failure: %w", timeout, f.alive, len(f.viewers), f.broken)
		}
		if err := f.step(end); err != nil {
			return err
		}
	}
	return nil
}

// Pause makes viewers first to first+n-1 stop reading. Their connections stay.
func (f *Fleet) Pause(first, n int) error { return f.setPaused(first, n, true, 0) }

// Resume makes them read again.
func (f *Fleet) Resume(first, n int) error { return f.setPaused(first, n, false, unix.EPOLLIN) }

func (f *Fleet) setPaused(first, n int, paused bool, events uint32) error {
	for i := first; i < first+n; i++ {
		v := &f.viewers[i]
		v.paused = paused
		if v.state != live {
			return fmt.Errorf("load: viewer %d is not live and cannot be paused or resumed", i)
		}
		if err := f.watch(i, v, unix.EPOLL_CTL_MOD, events); err != nil {
			return err
		}
	}
	return nil
}

// HangUp ends every connection: with a WebSocket close frame, answered by the
// server within timeout, or, when unclean or polling, with a reset.
func (f *Fleet) HangUp(clean bool, timeout time.Duration) error {
	for i := range f.viewers {
		v := &f.viewers[i]
		switch {
		case v.state != live:
			f.drop(v)
		case !clean || v.polling != nil:
			f.drop(v)
		default:
			if err := f.send(v, goodbye); err != nil {
				f.drop(v)
			}
		}
	}
	retry := f.plan.Retry
	f.plan.Retry = func(int) time.Duration { return -1 }
	defer func() { f.plan.Retry = retry }()
	return f.Await(func() bool { return f.alive == 0 }, timeout)
}

// step waits for events, until end at the latest, and handles them.
func (f *Fleet) step(end time.Time) error {
	next, err := f.dialDue(time.Now())
	if err != nil {
		return err
	}
	if next.IsZero() || next.After(end) {
		next = end
	}
	wait := max(time.Until(next).Milliseconds()+1, 0)
	n, err := unix.EpollWait(f.epoll, f.events, int(wait))
	if err != nil && err != unix.EINTR {
		return fmt.Errorf("load: epoll: %w", err)
	}
	for _, e := range f.events[:max(n, 0)] {
		i := int(e.Fd)
		v := &f.viewers[i]
		if e.Pad != v.generation || v.fd < 0 {
			continue // of a connection that this round has ended
		}
		if v.paused && e.Events&(unix.EPOLLHUP|unix.EPOLLERR) == 0 {
			continue
		}
		if err := f.ready(i, v, e.Events); err != nil {
			if err := f.lost(i, v, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// lost ends a connection that has failed, and has the viewer come back if it is
// to. Without that it is an error.
func (f *Fleet) lost(i int, v *viewer, cause error) error {
	f.broken = cause
	if v.state == live {
		f.figures.Lost++
		v.attempts = 0
	} else {
		f.figures.Refused++
	}
	f.drop(v)
	if f.plan.Retry == nil {
		return fmt.Errorf("load: viewer %d: %w", i, cause)
	}
	v.attempts++
	if wait := f.plan.Retry(int(v.attempts)); wait >= 0 {
		f.enqueue(i, time.Now().Add(wait))
	}
	return nil
}

// drop closes a viewer's connection.
func (f *Fleet) drop(v *viewer) {
	switch v.state {
	case live:
		f.alive--
	case dialing, entering:
		f.underway--
	case away, waiting:
		return
	}
	hangUp(int(v.fd))
	v.fd, v.state, v.rest, v.polling, v.paused = -1, away, nil, nil, false
}

// enter makes a viewer live.
func (f *Fleet) enter(v *viewer) {
	v.state, v.attempts = live, 0
	f.underway--
	f.alive++
}

func (f *Fleet) enqueue(i int, at time.Time) {
	f.viewers[i].state = waiting
	heap.Push(&f.queue, appointment{at, i})
}

// dialDue connects those whose time has come, and returns when the next one's
// does; zero if there is none, or if too many are under way already.
func (f *Fleet) dialDue(now time.Time) (next time.Time, err error) {
	for len(f.queue) > 0 && f.underway < f.plan.Dialing {
		if f.queue[0].at.After(now) {
			return f.queue[0].at, nil
		}
		i := heap.Pop(&f.queue).(appointment).viewer
		v := &f.viewers[i]
		buffer := 0
		if i < f.plan.Pausable {
			buffer = pausableBuffer
		}
		fd, err := dial(f.plan.Server, f.address(i), buffer)
		if err != nil {
			v.state = away
			if !errors.Is(err, unix.ECONNREFUSED) && !errors.Is(err, unix.EADDRNOTAVAIL) {
				return next, fmt.Errorf("load: viewer %d: %w", i, err)
			}
			if err := f.lost(i, v, err); err != nil {
				return next, err
			}
			continue
		}
		v.fd, v.state, v.rest = int32(fd), dialing, nil
		v.generation++
		f.underway++
		if err := f.watch(i, v, unix.EPOLL_CTL_ADD, unix.EPOLLOUT); err != nil {
			return next, err
		}
	}
	return time.Time{}, nil
}

// address is where viewer i comes from: 127.0.0.2 and so on.
func (f *Fleet) address(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 0, 0, byte(2 + i/f.plan.PerAddress)})
}

// watch sets the events of a viewer. Their data are its number and generation.
func (f *Fleet) watch(i int, v *viewer, op int, events uint32) error {
	e := unix.EpollEvent{Events: events, Fd: int32(i), Pad: v.generation}
	if err := unix.EpollCtl(f.epoll, op, int(v.fd), &e); err != nil {
		return fmt.Errorf("load: epoll: %w", err)
	}
	return nil
}

// appointment is when a viewer is to connect.
type appointment struct {
	at     time.Time
	viewer int
}

// queue is a heap of appointments, the next one first.
type queue []appointment

func (q queue) Len() int           { return len(q) }
func (q queue) Less(a, b int) bool { return q[a].at.Before(q[b].at) }
func (q queue) Swap(a, b int)      { q[a], q[b] = q[b], q[a] }
func (q *queue) Push(x any)        { *q = append(*q, x.(appointment)) }
func (q *queue) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	*q = (*q)[:last]
	return x
}
