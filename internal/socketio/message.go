package socketio

import (
	"bytes"
	"errors"
)

var (
	errEngineType   = errors.New("unexpected Engine.IO packet type")
	errHeartbeat    = errors.New("heartbeat in the wrong direction")
	errBinary       = errors.New("binary message without a packet that announces it")
	errPlain        = errors.New("text message where an attachment was due")
	errNotConnected = errors.New("packet for a namespace that is not connected")
	errConnected    = errors.New("namespace is connected already")
	errRate         = errors.New("too many messages per second")
	errTwoPolls     = errors.New("two polls at once")
	errTwoPosts     = errors.New("two requests with packets at once")
	// errGoodbye means that the client closed the session as the protocol says.
	errGoodbye = errors.New("client closed the session")
)

// maxPingData bounds what a client's ping may make the server send back.
const maxPingData = 128

// assembly is a binary packet whose attachments are arriving.
type assembly struct {
	packet packet
	got    [][]byte
	bytes  int
}

// receive handles one Engine.IO packet of the client: its text with the type, or
// a binary message without it. data is valid during the call only. An error ends
// the connection.
func (c *Conn) receive(data []byte, binary bool) error {
	if err := c.takeTurn(); err != nil {
		return err
	}
	c.app.Lock()
	defer c.app.Unlock()
	if c.finished || c.closing() {
		return nil // closing: the rest is ignored
	}
	if binary {
		return c.message(data, true)
	}
	if len(data) == 0 {
		return errEmptyPacket
	}
	switch data[0] {
	case engineMessage:
		return c.message(data[1:], false)
	case engineClose:
		return errGoodbye
	case enginePong:
		if c.protocol == protocol3 {
			return errHeartbeat
		}
		c.beat.pongBy.Store(0)
		return nil
	case enginePing:
		if c.protocol != protocol3 {
			return errHeartbeat
		}
		if len(data) > maxPingData {
			return errTooBig
		}
		c.server.heartbeat.pinged(c)
		pong := append([]byte(nil), data...)
		pong[0] = enginePong
		c.control(newPacket(pong))
		return nil
	case engineNoop:
		return nil
	}
	return errEngineType
}

// receiveBinary handles one binary frame of a WebSocket.
func (c *Conn) receiveBinary(data []byte) error {
	if c.protocol == protocol3 {
		return receive3(data, true, c.receive)
	}
	return c.receive(data, true)
}

// message handles one Engine.IO message. c.app is held.
func (c *Conn) message(data []byte, binary bool) error {
	if raw := c.server.cfg.Raw; raw != nil {
		raw(c, bytes.Clone(data), binary)
		return nil
	}
	if binary {
		return c.attachment(bytes.Clone(data))
	}
	if c.partial != nil {
		return errPlain
	}
	p, err := parsePacket(data)
	if err != nil {
		return err
	}
	if p.attachments > 0 {
		p.data = bytes.Clone(p.data)
		c.partial = &assembly{packet: p}
		return nil
	}
	return c.dispatch(p, nil)
}

// attachment adds one to the binary packet in progress, and handles the packet
// after the last. c.app is held.
func (c *Conn) attachment(data []byte) error {
	a := c.partial
	if a == nil {
		return errBinary
	}
	a.got = append(a.got, data)
	a.bytes += len(data)
	if a.bytes > c.server.cfg.MaxPayload {
		return errTooBig
	}
	if len(a.got) < a.packet.attachments {
		return nil
	}
	c.partial = nil
	return c.dispatch(a.packet, a.got)
}

// dispatch carries out a Socket.IO packet. c.app is held.
func (c *Conn) dispatch(p packet, attachments [][]byte) error {
	s := c.socket(p.namespace)
	if p.kind == socketConnect {
		return c.connect(p, s)
	}
	if s == nil || !s.Connected() {
		if c.sentAway {
			return nil // Disconnect and the client's packet may have crossed each other
		}
		return errNotConnected
	}
	switch p.kind {
	case socketDisconnect:
		if c.remove(s) {
			s.leave(ReasonClientLeft)
		}
		return nil
	case socketAck, socketBinaryAck:
		// This server never asks for an acknowledgement.
		if !p.hasID {
			return errAckID
		}
		return nil
	}
	name, args, err := parseEvent(p.data)
	if err != nil {
		return err
	}
	m := Message{Name: name, Args: args, Attachments: attachments}
	if p.hasID {
		m.Reply = s.reply(p.id)
	}
	s.event(m)
	return nil
}

// connect carries out a CONNECT; present is the connection's socket in that
// namespace, if any. c.app is held.
func (c *Conn) connect(p packet, present *Socket) error {
	if present != nil {
		if present.Connected() {
			return errConnected
		}
		if c.remove(present) {
			present.leave(ReasonServerLeft)
		}
	}
	ns := c.server.namespaces[p.namespace]
	if ns == nil {
		c.refuse(p.namespace, &ConnectError{Message: "Invalid namespace"})
		return nil
	}
	s := &Socket{conn: c, namespace: ns, id: c.socketID(ns.name)}
	if err := ns.handler.Connect(s, bytes.Clone(p.data)); err != nil {
		c.refuse(p.namespace, err)
		return nil
	}
	c.beat.connectBy.Store(0)
	c.sockets = append(c.sockets, s)
	if c.protocol == protocol4 && c.polling != nil {
		c.server.joined(c)
	} // an older client did not have to ask for it; see servePolling
	c.control(c.confirmation(s))
	s.state.Store(socketConnected)
	ns.handler.Connected(s)
	return nil
}

func (c *Conn) socketID(namespace string) string {
	if c.protocol == protocol4 {
		return newID()
	}
	// Engine.IO 3 clients get no id; they derive it from the session's.
	if namespace == "/" {
		return c.id
	}
	return namespace + "#" + c.id
}

// confirmation is the server's CONNECT.
func (c *Conn) confirmation(s *Socket) *Packet {
	if c.protocol == protocol3 {
		return encodeControl(socketConnect, s.namespace.name, nil)
	}
	return encodeControl(socketConnect, s.namespace.name, map[string]string{"sid": s.id})
}

// refuse answers a CONNECT with CONNECT_ERROR.
func (c *Conn) refuse(namespace string, err error) {
	if c.protocol == protocol3 {
		c.control(encodeControl(socketConnectError, namespace, err.Error()))
		return
	}
	said := map[string]any{"message": err.Error()}
	if with, ok := errors.AsType[*ConnectError](err); ok && with.Data != nil {
		said["data"] = with.Data
	}
	c.control(encodeControl(socketConnectError, namespace, said))
}

// socket finds the connection's socket in a namespace. c.app is held.
func (c *Conn) socket(namespace string) *Socket {
	for _, s := range c.sockets {
		if s.namespace.name == namespace {
			return s
		}
	}
	return nil
}

// remove takes a socket off the connection; false if it was gone. c.app is held.
func (c *Conn) remove(s *Socket) bool {
	for i, other := range c.sockets {
		if other == s {
			last := len(c.sockets) - 1
			c.sockets[i], c.sockets[last] = c.sockets[last], nil
			c.sockets = c.sockets[:last]
			return true
		}
	}
	return false
}
