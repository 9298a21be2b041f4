package socketio

import (
	"encoding/json"
	"errors"
)

// maxAsks is how many questions of the server may be open on one socket.
const maxAsks = 64

var (
	// ErrNotConnected means that the socket is not, or no longer, connected.
	ErrNotConnected = errors.New("socket is not connected")
	// ErrTooManyAsks means that the client has left too many questions open.
	ErrTooManyAsks = errors.New("too many unanswered questions on this socket")
	// ErrRefused means that the connection's queue is full; Drained follows.
	ErrRefused = errors.New("output queue is full")
)

// Answer is what an acknowledgement of the client's brings: its arguments and
// their attachments, or ErrNotConnected if none can come any more.
type Answer func(args []json.RawMessage, attachments [][]byte, err error)

// asks are the open questions of one socket. Conn.mu guards them.
type asks struct {
	last uint64
	open map[uint64]Answer
}

// Ask sends an event that asks for an acknowledgement. answer is called once,
// under the rules of Namespace's methods, before Disconnected at the latest; it
// is not called if Ask returns an error. There is no timeout: a client that
// never answers has at most maxAsks questions open.
func (s *Socket) Ask(name string, arg json.RawMessage, answer Answer) error {
	c := s.conn
	c.mu.Lock()
	if !s.Connected() {
		c.mu.Unlock()
		return ErrNotConnected
	}
	if s.asks == nil {
		s.asks = &asks{open: map[uint64]Answer{}}
	}
	if len(s.asks.open) >= maxAsks {
		c.mu.Unlock()
		return ErrTooManyAsks
	}
	s.asks.last++
	id := s.asks.last
	s.asks.open[id] = answer
	c.mu.Unlock()

	if s.Send(encodeAsk(s.namespace.name, name, arg, id)) {
		return nil
	}
	switch {
	case s.answered(id) == nil:
		return nil // the end of the connection has called it already
	case s.Connected():
		return ErrRefused
	}
	return ErrNotConnected
}

// answered takes an open question off the list; nil if there is none.
func (s *Socket) answered(id uint64) Answer {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	if s.asks == nil {
		return nil
	}
	answer := s.asks.open[id]
	delete(s.asks.open, id)
	return answer
}

// abandon answers every open question with ErrNotConnected. Conn.app is held.
func (s *Socket) abandon() {
	s.conn.mu.Lock()
	var open map[uint64]Answer
	if s.asks != nil {
		open, s.asks.open = s.asks.open, nil
	}
	s.conn.mu.Unlock()
	for _, answer := range open {
		answer(nil, nil, ErrNotConnected)
	}
}
