package socketio

import (
	"encoding/json"
	"sync/atomic"
)

// Namespace is the application's side of one Socket.IO namespace. For one
// connection its methods are called one at a time and in order; for different
// connections at the same time. They run on the connection's own goroutines and
// must not block: the connection hears nothing meanwhile, and Shutdown waits.
type Namespace interface {
	// Connect decides whether s may connect. auth is the JSON object that the
	// client sent with it, or nil; it is the application's to keep. The text of
	// an error is sent to the client, and so is the data of a *ConnectError. s cannot
	// send yet.
	Connect(s *Socket, auth json.RawMessage) error
	// Connected follows a Connect without error: the client's confirmation is on
	// its way, and s can send.
	Connected(s *Socket)
	// Event is an event from the client. args are its JSON arguments and the
	// application's to keep. ack is nil unless the client asked for an
	// acknowledgement; it may be called later and from any goroutine, and only
	// its first call counts. arg must be valid JSON, nil acknowledges without
	// an argument.
	Event(s *Socket, name string, args []json.RawMessage, ack func(arg json.RawMessage))
	// Drained says that Write works again: an earlier Write on the connection, not
	// necessarily by this socket, was refused, and the queue has emptied since.
	Drained(s *Socket)
	// Disconnected is the last call for s, exactly one for every Connected.
	// reason is one of the Reason constants.
	Disconnected(s *Socket, reason string)
}

// ConnectError is an error of Namespace.Connect with data for the client: the data of the
// error object that the official clients pass to connect_error. Clients of Engine.IO 3 get
// the message alone.
type ConnectError struct {
	Message string
	Data    any // has a JSON form
}

func (e *ConnectError) Error() string { return e.Message }

// Message is an event with everything that can come with one.
type Message struct {
	Name string
	Args []json.RawMessage
	// Attachments are the event's binary arguments; Args hold a placeholder for
	// each, {"_placeholder":true,"num":0} and so on.
	Attachments [][]byte
	// Reply acknowledges with any number of arguments and attachments, under the
	// rules of ack in Namespace.Event. Nil unless asked for.
	Reply func(args []json.RawMessage, attachments [][]byte)
}

// Receiver is implemented by a Namespace that wants attachments too. It is given
// every event instead of Namespace.Event. A Namespace that does not implement it
// gets no events with attachments; a client that asked for an acknowledgement of such an
// event gets an error.
type Receiver interface {
	Receive(s *Socket, m Message)
}

// binaryRefusal acknowledges an event with attachments in a namespace that takes none.
const binaryRefusal = `{"ok":false,"error":{"code":"binary_not_accepted","message":"this namespace takes no binary arguments; send JSON"}}`

type namespace struct {
	name     string
	handler  Namespace
	receiver Receiver // handler, if it is one
}

type socketState = uint32

const (
	socketConnecting socketState = iota
	socketConnected
	socketLeft
)

// Socket is a connection's membership in a namespace. Its methods may be called
// from any goroutine.
type Socket struct {
	// Data is the application's own; this package does not use it.
	Data any

	conn      *Conn
	namespace *namespace
	id        string
	state     atomic.Uint32
}

// ID is the socket's id as its client knows it. It is no secret.
func (s *Socket) ID() string { return s.id }

// Namespace is the name of the socket's namespace, "/" or "/name".
func (s *Socket) Namespace() string { return s.namespace.name }

// Conn is the connection of the socket.
func (s *Socket) Conn() *Conn { return s.conn }

// Connected tells whether the socket can send.
func (s *Socket) Connected() bool { return s.state.Load() == socketConnected }

// Send is Conn.Write for a connected socket; otherwise it returns false.
func (s *Socket) Send(ps ...*Packet) bool { return s.Connected() && s.conn.Write(ps...) }

// Disconnect makes the socket leave its namespace; the connection and its other sockets
// stay. The official clients do not reconnect by themselves after it. Disconnected follows.
func (s *Socket) Disconnect() {
	if !s.state.CompareAndSwap(socketConnected, socketLeft) {
		return
	}
	c := s.conn
	c.control(encodeControl(socketDisconnect, s.namespace.name, nil))
	// Not here: the caller may be in a call from this connection.
	c.spawn(func() {
		c.app.Lock()
		defer c.app.Unlock()
		c.sentAway = true
		if c.remove(s) {
			s.leave(ReasonServerLeft)
		}
	})
}

// leave is the end of a socket whose client or connection has gone. It is
// called with Conn.app held, once.
func (s *Socket) leave(reason string) {
	if s.state.Swap(socketLeft) == socketLeft {
		reason = ReasonServerLeft // Disconnect was on its way
	}
	s.namespace.handler.Disconnected(s, reason)
}

// reply returns the function that acknowledges packet id of the client.
func (s *Socket) reply(id uint64) func(args []json.RawMessage, attachments [][]byte) {
	var done atomic.Bool
	return func(args []json.RawMessage, attachments [][]byte) {
		if done.Swap(true) || !s.Connected() {
			return
		}
		s.conn.control(encodeAck(s.namespace.name, id, args, attachments))
	}
}

// event hands an event to the application. Conn.app is held.
func (s *Socket) event(m Message) {
	s.conn.server.count.eventsIn.Add(1)
	if s.namespace.receiver != nil {
		s.namespace.receiver.Receive(s, m)
		return
	}
	var ack func(json.RawMessage)
	if m.Reply != nil {
		ack = func(arg json.RawMessage) {
			if arg == nil {
				m.Reply(nil, nil)
				return
			}
			m.Reply([]json.RawMessage{arg}, nil)
		}
	}
	if len(m.Attachments) > 0 {
		s.conn.server.count.binaryRefused.Add(1)
		if ack != nil {
			ack(json.RawMessage(binaryRefusal))
		}
		return
	}
	s.namespace.handler.Event(s, m.Name, m.Args, ack)
}
