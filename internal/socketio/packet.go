package socketio

import (
	"bytes"
	"encoding/json"
	"strconv"
	"sync/atomic"

	"github.com/gobwas/ws"
)

// Packet is one Socket.IO packet (or Engine.IO control packet) to be sent,
// encoded once. It never changes, so any number of connections may share it.
//
//	Engine.IO text of an event:  42/live,["update",{"position":"e-43"}]
//	                             ^^ message, EVENT
type Packet struct {
	// frame is the packet as finished WebSocket frames of Engine.IO 4: one text
	// frame and one binary frame for each attachment, unmasked.
	frame []byte
	// text is the payload of the text frame, a part of frame. Empty for a
	// binary message without text.
	text []byte
	// attachments are the payloads of the binary frames, parts of frame.
	attachments [][]byte

	// holders is how many queues hold the packet.
	holders atomic.Int32

	// legacy holds what only Engine.IO 3 clients need, made when the first of
	// them is sent the packet.
	legacy atomic.Pointer[legacyPacket]
	// deflated holds the packet compressed, made when the first connection that
	// takes it so is sent the packet.
	deflated atomic.Pointer[deflated]
}

// encoding is how a connection takes packets on its WebSocket.
type encoding struct {
	legacy  bool // Engine.IO 3
	deflate bool // compressed, if flatePool.prepare has made it so
}

// Engine.IO packet types, the first byte of a packet's text.
// Engine.IO protocol v4, "Packet encoding".
const (
	engineOpen    = '0'
	engineClose   = '1'
	enginePing    = '2'
	enginePong    = '3'
	engineMessage = '4'
	engineUpgrade = '5'
	engineNoop    = '6'
)

// Socket.IO packet types, the byte after the Engine.IO message type.
// Socket.IO protocol v5, "Packet encoding".
const (
	socketConnect      = '0'
	socketDisconnect   = '1'
	socketEvent        = '2'
	socketAck          = '3'
	socketConnectError = '4'
	socketBinaryEvent  = '5'
	socketBinaryAck    = '6'
)

// The control packets that never differ.
var (
	pingPacket  = newPacket([]byte{enginePing})
	probePacket = newPacket([]byte("3probe"))
	closePacket = newPacket([]byte{engineClose})
	noopPacket  = newPacket([]byte{engineNoop})
)

// EncodeEvent encodes an EVENT with one argument for all sockets of namespace
// ("/" or "/name"). arg must be valid JSON, which is not checked; nil sends the
// event without an argument. The packet keeps no reference to arg.
func EncodeEvent(namespace, name string, arg json.RawMessage) *Packet {
	if arg == nil {
		return EncodeEventArgs(namespace, name, nil)
	}
	return EncodeEventArgs(namespace, name, []json.RawMessage{arg})
}

// EncodeEventArgs encodes an EVENT with any number of arguments, or, with
// attachments, a BINARY_EVENT. For each attachment the arguments hold a
// placeholder, {"_placeholder":true,"num":0} and so on.
func EncodeEventArgs(namespace, name string, args []json.RawMessage, attachments ...[]byte) *Packet {
	kind := byte(socketEvent)
	if len(attachments) > 0 {
		kind = socketBinaryEvent
	}
	b := appendHead(nil, kind, len(attachments), namespace)
	return newPacket(appendArray(b, quote(name), args), attachments...)
}

// quote makes a JSON string.
func quote(name string) []byte {
	b, err := json.Marshal(name)
	if err != nil {
		panic("socketio: encode event name: " + err.Error()) // a string always encodes
	}
	return b
}

// EncodeRaw encodes an Engine.IO message without Socket.IO, for Config.Raw.
func EncodeRaw(data []byte, binary bool) *Packet {
	if binary {
		return newPacket(nil, data)
	}
	return newPacket(append([]byte{engineMessage}, data...))
}

func encodeAck(namespace string, id uint64, args []json.RawMessage, attachments [][]byte) *Packet {
	kind := byte(socketAck)
	if len(attachments) > 0 {
		kind = socketBinaryAck
	}
	b := appendHead(nil, kind, len(attachments), namespace)
	b = strconv.AppendUint(b, id, 10)
	return newPacket(appendArray(b, nil, args), attachments...)
}

// encodeControl encodes a packet with a JSON value instead of an argument list:
// CONNECT, CONNECT_ERROR, DISCONNECT. data may be nil.
func encodeControl(kind byte, namespace string, data any) *Packet {
	b := appendHead(nil, kind, 0, namespace)
	if data != nil {
		value, err := json.Marshal(data)
		if err != nil {
			panic("socketio: encode control packet: " + err.Error()) // only own types come here
		}
		b = append(b, value...)
	}
	return newPacket(b)
}

// appendHead appends what precedes the acknowledgement id: "42/live,".
func appendHead(b []byte, kind byte, attachments int, namespace string) []byte {
	b = append(b, engineMessage, kind)
	if attachments > 0 {
		b = strconv.AppendInt(b, int64(attachments), 10)
		b = append(b, '-')
	}
	if namespace != "/" {
		b = append(b, namespace...)
		b = append(b, ',')
	}
	return b
}

// appendArray appends a JSON array of first (unless nil) and args.
func appendArray(b, first []byte, args []json.RawMessage) []byte {
	b = append(b, '[')
	if first != nil {
		b = append(b, first...)
	}
	for i, arg := range args {
		if i > 0 || first != nil {
			b = append(b, ',')
		}
		b = append(b, arg...)
	}
	return append(b, ']')
}

// newPacket makes the frames of text and attachments. text nil means a packet
// that is one binary message.
func newPacket(text []byte, attachments ...[]byte) *Packet {
	size := ws.MaxHeaderSize + len(text)
	for _, a := range attachments {
		size += ws.MaxHeaderSize + len(a)
	}
	frame := bytes.NewBuffer(make([]byte, 0, size))
	p := &Packet{}
	add := func(op ws.OpCode, payload []byte) []byte {
		// Writing to a bytes.Buffer with room cannot fail, nor move it.
		_ = ws.WriteFrame(frame, ws.NewFrame(op, true, payload))
		end := frame.Len()
		return frame.Bytes()[end-len(payload) : end : end]
	}
	if text != nil {
		p.text = add(ws.OpText, text)
	}
	for _, a := range attachments {
		p.attachments = append(p.attachments, add(ws.OpBinary, a))
	}
	p.frame = frame.Bytes()
	return p
}

// Size is what the packet costs on a WebSocket, in bytes.
func (p *Packet) Size() int { return len(p.frame) }

// messages is how many packets of Engine.IO the packet is: its text and each of
// its attachments.
func (p *Packet) messages() int {
	n := len(p.attachments)
	if len(p.text) > 0 {
		n++
	}
	return n
}

// split divides the packet behind its first n packets of Engine.IO; it has more.
func (p *Packet) split(n int) (head, rest *Packet) {
	if len(p.text) > 0 {
		n--
	}
	return newPacket(p.text, p.attachments[:n]...), newPacket(nil, p.attachments[n:]...)
}

// wire returns the packet's WebSocket frames in an encoding: always the same
// ones for a packet and an encoding.
func (p *Packet) wire(e encoding) []byte {
	if e.legacy && len(p.attachments) > 0 {
		return p.forLegacy().frame
	}
	if e.deflate {
		if d := p.deflated.Load(); d != nil && d.frame != nil {
			return d.frame
		}
	}
	return p.frame
}
