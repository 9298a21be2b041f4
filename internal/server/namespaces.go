package server

import (
	"encoding/json"

	"stripchart/internal/access"
	"stripchart/internal/live"
	"stripchart/internal/socketio"
	"stripchart/internal/wire"
)

// rootNamespace is namespace "/", for pages of the Flask-SocketIO recipe.
type rootNamespace struct{ entrance }

func (n *rootNamespace) Connected(s *socketio.Socket) {
	n.enter(s).JoinRoot()
}

func (n *rootNamespace) Event(_ *socketio.Socket, _ string, _ []json.RawMessage, ack func(json.RawMessage)) {
	refuse(ack, wire.CodeUnknownEvent, "this namespace takes no events; use /live")
}

// liveNamespace is "/live": everything of docs/PROTOCOL.md.
type liveNamespace struct {
	entrance
	overloaded func() bool
}

func (n *liveNamespace) Connected(s *socketio.Socket) {
	n.enter(s).Hello()
}

func (n *liveNamespace) Event(s *socketio.Socket, name string, args []json.RawMessage, ack func(json.RawMessage)) {
	var arg json.RawMessage
	if len(args) > 0 {
		arg = args[0]
	}
	var answer live.Ack
	if ack != nil {
		answer = func(b []byte) { ack(b) }
	}
	c := client(s)
	// Existing rooms continue; requests that would take more memory are refused.
	if (name == wire.EventSubscribe || name == wire.EventHistory) && n.overloaded() {
		refuse(ack, wire.CodeOverloaded, overloaded)
		return
	}
	switch name {
	case wire.EventSubscribe:
		c.Subscribe(arg, answer)
	case wire.EventUnsubscribe:
		c.Unsubscribe(arg, answer)
	case wire.EventHistory:
		c.History(arg, answer)
	case wire.EventCatalogue:
		c.Catalogue(arg, answer)
	default:
		refuse(ack, wire.CodeUnknownEvent, "there is no such event; docs/PROTOCOL.md lists the events")
	}
}

// entrance is what the namespaces share: who may enter, and what a socket has meanwhile. A socket's
// Data is its access.Session from Connect to Connected, and then its seat.
type entrance struct {
	hub  *live.Hub
	gate *gate
}

// seat is a socket's client. release forgets that the socket has to go with its token.
type seat struct {
	client  *live.Client
	release func()
}

func (n *entrance) Connect(s *socketio.Socket, auth json.RawMessage) error {
	session, err := n.gate.join(s.Conn(), auth)
	s.Data = session
	return err
}

// enter makes the socket's client, which sees what the socket's session may see. When the token is
// removed the whole connection is cut: the session may have entered other namespaces, too.
func (n *entrance) enter(s *socketio.Socket) *live.Client {
	session := s.Data.(access.Session)
	c := n.hub.NewClient(connection{s.Conn()}, session.Matchers...)
	s.Data = &seat{c, n.gate.sessions.Hold(session, s.Conn().Cut)}
	return c
}

func (n *entrance) Drained(s *socketio.Socket) { client(s).Drained() }

func (n *entrance) Disconnected(s *socketio.Socket, _ string) {
	client(s).Close()
	s.Data.(*seat).release()
}

// client returns the client that enter has made: socketio calls Connected first.
func client(s *socketio.Socket) *live.Client { return s.Data.(*seat).client }

func refuse(ack func(json.RawMessage), code, message string) {
	if ack == nil {
		return
	}
	b, err := json.Marshal(wire.Refused{Error: &wire.Error{Code: code, Message: message}})
	if err != nil {
		b = []byte("null")
	}
	ack(b)
}
