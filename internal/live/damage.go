package live

import (
	"slices"

	"stripchart/internal/store"
	"stripchart/internal/wire"
)

// gapOf returns what a loss of the store is to pages.
func gapOf(l store.Loss) *gap {
	g := &gap{from: l.From, to: l.To, reason: wire.GapDamaged, series: everySeries}
	if l.Series != nil && len(l.Series) <= maxConcern {
		hashes := make([]uint64, 0, len(l.Series))
		for _, ls := range l.Series {
			hashes = append(hashes, hashOf(ls))
		}
		slices.Sort(hashes)
		g.series = newConcern(slices.Compact(hashes))
	}
	return g
}

// declareLosses declares what damage has cost the store before it was opened.
func (h *Hub) declareLosses() {
	ls := h.store.Losses()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.declareNew(ls)
}

// declareNew declares those of the store's losses that are not declared yet, and returns
// the gaps. The store keeps a loss until its gap is saved. The caller holds h.mu.
func (h *Hub) declareNew(ls []store.Loss) (gs []*gap) {
	for _, l := range ls {
		if !slices.ContainsFunc(h.lossesTold, l.Equal) {
			gs = append(gs, gapOf(l))
		}
	}
	h.lossesTold = ls
	h.declare(gs)
	return gs
}

// tellLosses declares what was lost where an Append has opened the store again and found
// damage: pages that are there are told, and those that are joining. Where the log
// outlives this process all of it is applied again, as after a start. again says that the
// log is being applied again already. The caller is the apply goroutine.
func (h *Hub) tellLosses(again bool) {
	ls := h.store.Losses()
	if len(ls) == 0 && len(h.lossesTold) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	gs := h.declareNew(ls)
	if len(gs) == 0 {
		return
	}
	h.ring.addGaps(gs, h.now())
	h.tellGaps(gs)
	for _, r := range h.rooms {
		r.expire(h.ring.end())
	}
	if p := &h.progress; h.o.Replica {
		p.damaged = true
		p.againFailed = p.againFailed || again // what was read before may be what is lost now
	}
}

// isDamaged reports whether the log has to be applied again because the store has lost
// something.
func (h *Hub) isDamaged() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.progress.damaged
}
