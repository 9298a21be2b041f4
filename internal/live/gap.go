package live

import (
	"slices"

	"stripchart/internal/wire"
)

// tellGaps has the rooms that gaps concern tell them. The caller holds h.mu and has
// added their entry to the ring.
func (h *Hub) tellGaps(gs []*gap) {
	for _, g := range gs {
		for _, r := range h.rooms {
			if len(g.members(r)) == 0 {
				continue
			}
			r.fromHere(h)
			r.gaps = append(r.gaps, g)
			g.introduce(r)
			h.markDirty(r)
		}
	}
}

// concerns reports whether m's series is one of g's. The caller holds Hub.mu.
func (g *gap) concerns(m *member) bool {
	if m.hash == 0 {
		m.hash = hashOf(m.labels)
	}
	return g.series.has(m.hash)
}

// members returns the ids of r's members that g concerns, ascending. The caller
// holds Hub.mu.
func (g *gap) members(r *Room) []int {
	var ids []int
	for _, m := range r.members {
		if g.concerns(m) {
			ids = append(ids, m.id)
		}
	}
	slices.Sort(ids)
	return ids
}

// idsOf returns the ids that the gaps name.
func idsOf(gaps []wire.Gap) map[int]bool {
	ids := map[int]bool{}
	for i := range gaps {
		for _, id := range gaps[i].IDs {
			ids[id] = true
		}
	}
	return ids
}

// introduce has the next broadcast describe the members that g concerns and that the
// current viewers do not know: who hears of a gap has to know whose it is. The caller
// holds Hub.mu.
func (g *gap) introduce(r *Room) {
	for _, m := range r.members {
		if !m.announced && g.concerns(m) {
			m.announced = true
			r.descriptors = append(r.descriptors, m)
		}
	}
}

// messages returns what a room is told of gaps. Many gaps may have the same series, so
// the ids of those are found once. The caller holds Hub.mu.
func (r *Room) messages(gs []*gap) []wire.Gap {
	var out []wire.Gap
	known := map[*concern][]int{}
	for _, g := range gs {
		ids, there := known[g.series]
		if !there {
			ids = g.members(r)
			known[g.series] = ids
		}
		if len(ids) > 0 {
			out = append(out, wire.Gap{Room: r.id, IDs: ids, From: g.from, To: g.to, Reason: g.reason})
		}
	}
	return out
}

// gapPackets encodes what r is told of gaps.
func (h *Hub) gapPackets(r *Room, gs []wire.Gap) []Packet {
	var ps []Packet
	for i := range gs {
		if r.root {
			ps = append(ps, h.transport.Encode(NamespaceRoot, wire.EventGap, wire.AppendRootGap(nil, &gs[i], h.o.Zone)))
		} else {
			ps = append(ps, h.encode(wire.EventGap, gs[i]))
		}
	}
	return ps
}
