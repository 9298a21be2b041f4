package server

import (
	"encoding/json"

	"stripchart/internal/live"
	"stripchart/internal/socketio"
)

// Transport lets package live send through s.
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
	n := 0
	for i := range out {
		n += len(out[i].Packets)
	}
	t.out = t.out[:0]
	if cap(t.packets) < n {
		t.packets = make([]*socketio.Packet, 0, n)
	}
	t.packets = t.packets[:0]
	for i := range out {
		first := len(t.packets)
		for _, p := range out[i].Packets {
			t.packets = append(t.packets, p.(*socketio.Packet))
		}
		t.out = append(t.out, socketio.Outgoing{Conn: out[i].Conn.(connection).Conn, Packets: t.packets[first:]})
	}
	t.sockets.Broadcast(t.out)
	for i := range out {
		out[i].OK = t.out[i].OK
	}
	clear(t.out) // keep nobody who leaves now until the next time
	clear(t.packets)
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
