package live

import "stripchart/internal/wire"

// encoding is how the viewers of a room are sent what it has to tell. A room has its own.
type encoding interface {
	// tellsMore reports whether viewers can be told more than new samples: the room's state, the
	// server's clock, and samples that are older than those that they hold.
	tellsMore() bool
	// take takes up, with recent.Log.Mu held, what a flush will have sent once j is.
	take(j *job)
	// broadcast encodes what the room's current viewers are sent.
	broadcast(j *job) []Packet
	// party encodes what newcomers are sent.
	party(j *job, p *party) []Packet
	// bootstrap encodes what was read, in parts, without the reason. lastT is the newest time that
	// namespace / holds then.
	bootstrap(past pastOfRoom, known identified) (parts [][]byte, lastT int64)
	// stamp makes the packet of a part of a bootstrap.
	stamp(part []byte, reason string, now int64) Packet
	// gaps encodes gaps.
	gaps(gs []wire.Gap) []Packet
}

// liveEncoding is that of namespace /live: see docs/PROTOCOL.md.
type liveEncoding struct{ *audience }

func (liveEncoding) tellsMore() bool { return true }

func (liveEncoding) take(*job) {}

func (e liveEncoding) broadcast(j *job) []Packet {
	var ps []Packet
	if len(j.pending) > 0 || len(j.update.Series) > 0 || len(j.update.Gone) > 0 || j.update.Matched != nil {
		j.update.Blocks = blocksOf(rowsOf(j.pending))
		ps = append(ps, e.transport.Encode(NamespaceLive, wire.EventUpdate, j.update.AppendJSON(nil)))
	}
	ps = append(ps, e.gaps(j.gaps)...)
	if j.tellState {
		ps = append(ps, e.status(j))
	}
	return ps
}

// status tells the room's state.
func (e liveEncoding) status(j *job) Packet {
	return e.encode(wire.EventStatus, wire.Status{Room: j.room.id, State: j.state, Since: j.since})
}

func (e liveEncoding) party(j *job, p *party) []Packet {
	var ps []Packet
	rows := rowsOf(p.chunks)
	switch {
	case p.since != "":
		parts := encodeParts(wire.Bootstrap{
			Room: j.room.id, From: &p.since, Position: j.update.Position, Now: j.now, Series: p.descriptors,
		}, rows)
		for _, part := range parts {
			ps = append(ps, e.transport.Encode(NamespaceLive, wire.EventBootstrap, wire.AppendReason(part, p.reason)))
		}
	case len(rows) > 0 || len(p.descriptors) > 0:
		u := wire.Update{Room: j.room.id, Position: j.update.Position, Now: j.now, Blocks: blocksOf(rows), Series: p.descriptors, Matched: j.update.Matched}
		ps = append(ps, e.transport.Encode(NamespaceLive, wire.EventUpdate, u.AppendJSON(nil)))
	}
	ps = append(ps, e.gaps(p.gaps)...)
	// A viewer that resumes may have been told another state before.
	if j.state != wire.StateLive || p.since != "" {
		ps = append(ps, e.status(j))
	}
	return ps
}

func (liveEncoding) bootstrap(past pastOfRoom, known identified) ([][]byte, int64) {
	return encodeBootstrap(past, known), 0
}

func (e liveEncoding) stamp(part []byte, reason string, now int64) Packet {
	return e.transport.Encode(NamespaceLive, wire.EventBootstrap, wire.AppendReason(wire.Restamp(part, now), reason))
}

func (e liveEncoding) gaps(gs []wire.Gap) (ps []Packet) {
	for i := range gs {
		ps = append(ps, e.encode(wire.EventGap, gs[i]))
	}
	return ps
}
