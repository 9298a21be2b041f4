package live

import (
	"cmp"
	"slices"

	"stripchart/internal/wire"
)

const (
	// maxGaps and maxGapBytes bound the declared gaps, in their saved form. Beyond, gaps
	// are merged, so what was declared stays declared, less exactly: see boundGaps.
	maxGaps     = 1000
	maxGapBytes = 1 << 20
	gapBytes    = 120 // of one gap, without its series and its source's name
)

// gap is a span of time in which samples may be missing; both ends are excluded.
// Immutable once declared.
type gap struct {
	from, to int64 // Unix ms
	reason   string
	source   string // whose batches are missing; empty: those of any
	series   *concern
}

// declare takes up gaps. Their entry goes into the ring with them, which puts them into
// the order of the log: a viewer that is sent the ring from before it is told. The
// caller holds h.mu.
func (h *Hub) declare(gs []*gap) {
	for _, g := range gs {
		g.series = h.sharedConcern(g.series)
		h.metrics.gaps.WithLabelValues(g.reason).Inc()
		h.gapsDeclared++
		h.gaps = append(h.gaps, h.absorb(g))
	}
	if len(gs) > 0 {
		h.boundGaps()
		h.saveSoon()
	}
}

// absorb takes out the gaps that overlap with g and say the same of the same series. It
// returns what they and g are together. The caller holds h.mu.
func (h *Hub) absorb(g *gap) *gap {
	whole := *g
	h.gaps = slices.DeleteFunc(h.gaps, func(x *gap) bool {
		if x.reason != g.reason || x.source != g.source || !x.series.equal(g.series) || x.to <= whole.from || x.from >= whole.to {
			return false
		}
		whole.from, whole.to = min(whole.from, x.from), max(whole.to, x.to)
		return true
	})
	if whole == *g {
		return g
	}
	return &whole
}

// gapsSize returns about how many bytes the gaps take when they are saved. The caller
// holds h.mu.
func (h *Hub) gapsSize() int {
	n := 0
	counted := map[*concern]bool{}
	for _, g := range h.gaps {
		n += gapBytes + len(g.source)
		if !counted[g.series] {
			counted[g.series] = true
			n += g.series.size()
		}
	}
	return n
}

// boundGaps merges gaps while there are too many of them, or they take too much. The
// source with the most of them loses its exactness first: its two oldest gaps become
// one, which holds what lies between them too. So a source that jumps all the time does
// not cost others theirs. Where no source has two, the two oldest of all are merged. The
// caller holds h.mu.
func (h *Hub) boundGaps() {
	size := h.gapsSize()
	for (len(h.gaps) > maxGaps || size > maxGapBytes) && len(h.gaps) > 1 {
		bySource := map[string]int{}
		for _, g := range h.gaps {
			bySource[g.source]++
		}
		most := ""
		for source, n := range bySource {
			if n > bySource[most] || n == bySource[most] && source > most {
				most = source
			}
		}
		one, other := h.oldestPair(func(g *gap) bool { return bySource[most] < 2 || g.source == most })
		a, b := h.gaps[one], h.gaps[other]
		merged := &gap{from: min(a.from, b.from), to: max(a.to, b.to), reason: b.reason, source: b.source, series: a.series.union(b.series)}
		if a.source != b.source {
			merged.source = ""
		}
		h.gaps[one] = merged
		h.gaps = slices.Delete(h.gaps, other, other+1)
		h.metrics.gapsMerged.Inc()
		size = h.gapsSize()
	}
	h.metrics.gapsKept.Set(float64(len(h.gaps)))
	h.metrics.gapBytes.Set(float64(size))
}

// oldestPair returns the indexes of the two gaps that begin first, of those that count;
// the first index is the lower one. The caller holds h.mu.
func (h *Hub) oldestPair(counts func(*gap) bool) (int, int) {
	var at []int
	for i, g := range h.gaps {
		if counts(g) {
			at = append(at, i)
		}
	}
	slices.SortStableFunc(at, func(i, j int) int { return cmp.Compare(h.gaps[i].from, h.gaps[j].from) })
	return min(at[0], at[1]), max(at[0], at[1])
}

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

// gapsIn returns the declared gaps that reach into a span of time. The caller
// holds h.mu.
func (h *Hub) gapsIn(from, to int64) []*gap {
	var out []*gap
	for _, g := range h.gaps {
		if g.to > from && g.from < to {
			out = append(out, g)
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
