package live

import (
	"slices"

	"stripchart/internal/store"
)

// damage is what the store has lost, as far as gaps are declared for it. The store keeps a loss
// until its gap is saved. The goroutine that applies changes told, and recent.mu guards it.
type damage struct{ told []store.Loss }

// take takes up the losses that the store has now, and returns the gaps of those that are new.
func (d *damage) take(ls []store.Loss) (gs []*gap) {
	for _, l := range ls {
		if !slices.ContainsFunc(d.told, l.Equal) {
			gs = append(gs, gapOf(l))
		}
	}
	d.told = ls
	return gs
}
