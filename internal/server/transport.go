package server

import (
	"encoding/json"

	"stripchart/internal/live"
	"stripchart/internal/socketio"
)

// Transport returns a live.Transport that sends through s.
func Transport(s *socketio.Server) live.Transport { return &transport{sockets: s} }

type transport struct {
	sockets *socketio.Server

	// Scratch of Broadcast, which the hub's flusher alone calls while it serves.
	out     []socketio.Outgoing
	packets []*socketio.Packet
}

func (t *transport) Encode(namespace, event string, arg []byte) live.Packet {
	return socketio.EncodeEvent(namespace, event, json.RawMessage(arg))
}

func (t *transport) Broadcast(out []live.Outgoing) {
	t.out, t.packets = t.out[:0], t.packets[:0]
	var packets []*socketio.Packet // those of out[i-1]
	for i := range out {
		if i == 0 || !isSame(out[i].Packets, out[i-1].Packets) {
			first := len(t.packets)
			for _, p := range out[i].Packets {
				t.packets = append(t.packets, p.(*socketio.Packet))
			}
			packets = t.packets[first:len(t.packets):len(t.packets)]
		}
		t.out = append(t.out, socketio.Outgoing{Conn: out[i].Conn.(connection).Conn, Packets: packets})
	}
	t.sockets.Broadcast(t.out)
	for i := range out {
		out[i].OK = t.out[i].OK
	}
	clear(t.out) // drop references, so that closed connections can be collected
	clear(t.packets)
}

// isSame reports whether a and b are one slice, as the hub passes it for many
// connections that are sent the same.
func isSame(a, b []live.Packet) bool {
	return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0]
}

// connection is a socketio.Conn as package live sees it.
type connection struct{ *socketio.Conn }

func (c connection) Write(ps ...live.Packet) bool {
	packets := make([]*socketio.Packet, len(ps))
	for i, p := range ps {
		packets[i] = p.(*socketio.Packet)
	}
	return c.Conn.Write(packets...)
}
