//go:build linux

package load

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// viewer is one connection.
type viewer struct {
	fd         int32
	generation int32 // of fd, so that events of an earlier one are not taken for its own
	state      state
	paused     bool
	attempts   uint16
	missing    uint8    // bootstraps that are still to come
	rest       []byte   // what was read of an unfinished frame, or of the answer to the upgrade
	position   []byte   // the last one, if viewers come back
	polling    *polling // nil: a WebSocket
}

// state of a viewer.
type state uint8

const (
	away     state = iota // not connected, not on its way
	waiting               // in Fleet.queue
	dialing               // connecting, or waiting for the answer to the upgrade
	entering              // until its last bootstrap
	live                  // receives updates
)

var (
	errEnded   = errors.New("the server ended the connection")
	errRefused = errors.New("refused")

	goodbye = appendFrame(nil, opClose, "\x03\xe8")
)

// What a viewer says, but for its subscriptions.
const (
	pong     = "3"
	entrance = "40/live,"
)

// ready reads once and handles what came.
func (f *Fleet) ready(i int, v *viewer, events uint32) error {
	if v.state == dialing && events&unix.EPOLLOUT != 0 {
		code, err := unix.GetsockoptInt(int(v.fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if err != nil || code != 0 {
			return fmt.Errorf("connect: %w", errors.Join(err, unix.Errno(code)))
		}
		if err := f.watch(i, v, unix.EPOLL_CTL_MOD, unix.EPOLLIN); err != nil {
			return err
		}
		if f.plan.Polling {
			v.state, v.polling = entering, &polling{}
			return f.next(v)
		}
		return f.send(v, f.upgrade)
	}
	n, err := unix.Read(int(v.fd), f.buf)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return nil
	case err != nil:
		return fmt.Errorf("read: %w", err)
	case n == 0:
		return errEnded
	}
	b := f.buf[:n]
	if len(v.rest) > 0 {
		v.rest = append(v.rest, b...)
		b = v.rest
	}
	if v.polling != nil {
		return f.takeAnswer(i, v, b)
	}
	if v.state == dialing {
		var done bool
		if b, done, err = upgraded(b); err != nil {
			return err
		}
		if !done {
			v.rest = append(v.rest[:0], b...)
			return nil
		}
		v.state = entering
		if f.plan.Bare {
			f.enter(v)
		}
	}
	return f.take(i, v, b)
}

// upgraded cuts the answer to the upgrade off b. done is false if it has not all come.
func upgraded(b []byte) (rest []byte, done bool, err error) {
	head, rest, done := bytes.Cut(b, []byte("\r\n\r\n"))
	if !done {
		return b, false, nil
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
		line, _, _ := bytes.Cut(head, []byte("\r\n"))
		return nil, false, fmt.Errorf("%w: the server answered %q to the upgrade", errRefused, line)
	}
	return rest, true, nil
}

// take handles the frames in b and keeps what is left of an unfinished one.
func (f *Fleet) take(i int, v *viewer, b []byte) error {
	updates := 0
	for {
		op, payload, rest, ok, err := nextFrame(b)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		b = rest
		switch op {
		case opText:
			isUpdate, err := f.message(i, v, payload, updates == 0)
			if err != nil {
				return err
			}
			if isUpdate {
				updates++
			}
		case opClose:
			return errEnded
		}
	}
	f.figures.Updates += updates
	v.keepRest(b)
	return nil
}

// keepRest keeps b, which may be a part of v.rest, until the next read.
func (v *viewer) keepRest(b []byte) {
	if len(b) == 0 && cap(v.rest) > 1<<10 {
		v.rest = nil // a bootstrap's; updates are short
		return
	}
	v.rest = append(v.rest[:0], b...)
}

// message handles one text message. first says that it is the first of its read;
// those behind it left the server together with it, so one tells the delay.
func (f *Fleet) message(i int, v *viewer, text []byte, first bool) (isUpdate bool, err error) {
	switch kindOf(text) {
	case kindUpdate:
		if v.state == live && i >= f.plan.Pausable {
			if first {
				f.observe(text)
			}
			f.figures.Bytes += len(text)
			isUpdate = true
		}
		f.keep(i, v, text)
	case kindBootstrap:
		f.keep(i, v, text)
		if v.missing > 0 {
			if v.missing--; v.missing == 0 && v.state == entering {
				f.enter(v)
			}
		}
	case kindPart, kindAnswer:
		f.keep(i, v, text)
	case kindPing:
		f.figures.Pings++
		return false, f.say(v, pong)
	case kindOpen:
		return false, f.say(v, entrance)
	case kindHello:
		return false, f.subscribe(i, v)
	case kindRefusal, kindNoEntrance:
		return false, fmt.Errorf("%w: %s", errRefused, text)
	case kindClose:
		return false, errEnded
	}
	return isUpdate, nil
}

// observe counts the delay of an update.
func (f *Fleet) observe(text []byte) {
	now := time.Now().UnixMicro()
	if sent := numberAfter(text, keyNow); sent > 0 {
		f.figures.FromSend.Add(time.Duration(now-sent*1000) * time.Microsecond)
	}
	if taken := numberAfter(text, keySample); taken > 0 {
		f.figures.FromSample.Add(time.Duration(now-taken*1000) * time.Microsecond)
	}
}

// keep notes what a viewer that comes back must know, and what is to be checked.
func (f *Fleet) keep(i int, v *viewer, text []byte) {
	if f.plan.Retry != nil {
		if p := textAfter(text, keyPosition); p != nil {
			v.position = append(v.position[:0], p...)
		}
	}
	if f.plan.Record != nil {
		f.plan.Record(i, text)
	}
}

// subscribe joins the rooms.
func (f *Fleet) subscribe(i int, v *viewer) error {
	v.missing = uint8(len(f.plan.Queries))
	window := f.plan.Windows[i%len(f.plan.Windows)]
	return f.say(v, subscriptions(f.plan.Queries, window, f.plan.Points, string(v.position))...)
}

// say sends messages, in one write.
func (f *Fleet) say(v *viewer, texts ...string) error {
	if v.polling != nil {
		v.polling.outbox = append(v.polling.outbox, texts...)
		return nil
	}
	frames := f.scratch[:0]
	for _, text := range texts {
		frames = appendFrame(frames, opText, text)
	}
	f.scratch = frames
	return f.send(v, frames)
}

// send writes b, which the socket's buffer has room for unless something is wrong.
func (f *Fleet) send(v *viewer, b []byte) error {
	n, err := unix.Write(int(v.fd), b)
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if n < len(b) {
		return fmt.Errorf("write: the server does not read")
	}
	return nil
}
