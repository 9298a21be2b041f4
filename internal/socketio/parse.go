package socketio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Bounds of a received packet.
const (
	maxAttachments = 64
	// maxAckID is the largest number that the clients' language holds exactly.
	maxAckID = 1<<53 - 1
)

// What can be wrong with a received packet; each ends the connection.
var (
	errEmptyPacket  = errors.New("empty packet")
	errPacketType   = errors.New("unknown packet type")
	errPayload      = errors.New("payload does not fit the packet type")
	errAckID        = errors.New("acknowledgement id is not a number up to 2^53-1")
	errAttachments  = fmt.Errorf("attachment count is not a number from 1 to %d", maxAttachments)
	errReservedName = errors.New("event name is reserved")
)

// packet is a decoded Socket.IO packet.
// Socket.IO protocol v5, "Packet encoding":
//
//	<packet type>[<# of binary attachments>-][<namespace>,][<acknowledgment id>][JSON-stringified payload]
type packet struct {
	kind        byte // socketConnect and so on
	attachments int
	namespace   string
	id          uint64 // of the acknowledgement; valid if hasID
	hasID       bool
	data        json.RawMessage // valid JSON fit for kind, or nil
}

// parsePacket decodes the text of a Socket.IO packet (without the Engine.IO
// type). The result keeps references to b.
func parsePacket(b []byte) (packet, error) {
	if len(b) == 0 {
		return packet{}, errEmptyPacket
	}
	p := packet{kind: b[0], namespace: "/"}
	b = b[1:]
	if p.kind < socketConnect || p.kind > socketBinaryAck {
		return packet{}, errPacketType
	}
	if p.kind == socketBinaryEvent || p.kind == socketBinaryAck {
		n, rest, ok := number(b, maxAttachments)
		if !ok || n == 0 || len(rest) == 0 || rest[0] != '-' {
			return packet{}, errAttachments
		}
		p.attachments, b = int(n), rest[1:]
	}
	if len(b) > 0 && b[0] == '/' {
		name, rest, _ := bytes.Cut(b, []byte{','})
		// Clients may append the query of their URL to the namespace: /live?token=x.
		name, _, _ = bytes.Cut(name, []byte{'?'})
		p.namespace, b = string(name), rest
	}
	if len(b) > 0 && b[0] >= '0' && b[0] <= '9' {
		n, rest, ok := number(b, maxAckID)
		if !ok {
			return packet{}, errAckID
		}
		p.id, p.hasID, b = n, true, rest
	}
	if len(b) > 0 {
		if !json.Valid(b) {
			return packet{}, errPayload
		}
		p.data = b
	}
	return p, p.check()
}

// check tells whether the payload fits the type.
func (p *packet) check() error {
	first := byte(0)
	if p.data != nil {
		first = bytes.TrimLeft(p.data, " \t\r\n")[0]
	}
	fits := false
	switch p.kind {
	case socketConnect:
		fits = p.data == nil || first == '{'
	case socketDisconnect:
		fits = p.data == nil
	case socketEvent, socketBinaryEvent, socketAck, socketBinaryAck:
		fits = first == '['
	case socketConnectError: // only servers send it
	}
	if !fits {
		return errPayload
	}
	return nil
}

// parseEvent splits the payload of an EVENT into its name and arguments.
func parseEvent(data json.RawMessage) (name string, args []json.RawMessage, err error) {
	if json.Unmarshal(data, &args) != nil || len(args) == 0 {
		return "", nil, errPayload
	}
	if args[0][0] != '"' || json.Unmarshal(args[0], &name) != nil {
		return "", nil, errPayload
	}
	switch name {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return "", nil, errReservedName // the client's library emits these itself
	}
	return name, args[1:], nil
}

// number reads the decimal digits at the start of b; ok is false if there are
// none or the number exceeds limit.
func number(b []byte, limit uint64) (n uint64, rest []byte, ok bool) {
	i := 0
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		n = n*10 + uint64(b[i]-'0')
		if n > limit {
			return 0, nil, false
		}
	}
	return n, b[i:], i > 0
}
