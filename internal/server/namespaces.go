package server

import (
	"encoding/json"

	"stripchart/internal/live"
	"stripchart/internal/socketio"
	"stripchart/internal/wire"
)

// rootNamespace is namespace "/", for pages of the Flask-SocketIO recipe.
type rootNamespace struct{ hub *live.Hub }

func (n *rootNamespace) Connect(*socketio.Socket, json.RawMessage) error { return nil }

func (n *rootNamespace) Connected(s *socketio.Socket) {
	enter(n.hub, s).JoinRoot()
}

func (n *rootNamespace) Event(_ *socketio.Socket, _ string, _ []json.RawMessage, ack func(json.RawMessage)) {
	refuse(ack, wire.CodeUnknownEvent, "this namespace takes no events; use /live")
}

func (n *rootNamespace) Drained(s *socketio.Socket)                { client(s).Drained() }
func (n *rootNamespace) Disconnected(s *socketio.Socket, _ string) { client(s).Close() }

// liveNamespace is "/live": everything of docs/PROTOCOL.md.
type liveNamespace struct {
	hub        *live.Hub
	overloaded func() bool
}

func (n *liveNamespace) Connect(*socketio.Socket, json.RawMessage) error { return nil }

func (n *liveNamespace) Connected(s *socketio.Socket) {
	enter(n.hub, s).Hello()
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

func (n *liveNamespace) Drained(s *socketio.Socket)                { client(s).Drained() }
func (n *liveNamespace) Disconnected(s *socketio.Socket, _ string) { client(s).Close() }

// enter makes the socket's client.
func enter(hub *live.Hub, s *socketio.Socket) *live.Client {
	c := hub.NewClient(connection{s.Conn()})
	s.Data = c
	return c
}

// client returns the client that enter has made: socketio calls Connected first.
func client(s *socketio.Socket) *live.Client { return s.Data.(*live.Client) }

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
