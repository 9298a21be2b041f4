package live

import (
	"fmt"
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

// declareLosses declares what damage has cost the store before it was opened. The store
// keeps it until the gaps are saved.
func (h *Hub) declareLosses() error {
	ls := h.store.Losses()
	if len(ls) == 0 {
		return nil
	}
	h.mu.Lock()
	for _, l := range ls {
		h.declare([]*gap{gapOf(l)})
	}
	h.mu.Unlock()
	h.saving <- struct{}{}
	_, kept := h.keepGaps()
	<-h.saving
	if !kept {
		return nil // it is declared again at the next start
	}
	if err := h.store.LossesDeclared(ls); err != nil {
		return fmt.Errorf("note that losses are declared: %w", err)
	}
	return nil
}
