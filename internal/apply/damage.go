package apply

import (
	"slices"

	"stripchart/internal/recent"
	"stripchart/internal/store"
	"stripchart/internal/wire"
)

// DamageGap returns the gap of what damage has cost the store.
func DamageGap(l store.Loss) *recent.Gap {
	m := absence{reason: wire.GapDamaged, from: l.From, to: l.To, of: recent.EverySeries}
	if l.Series != nil && len(l.Series) <= recent.MaxConcern {
		hashes := make([]uint64, 0, len(l.Series))
		for _, ls := range l.Series {
			hashes = append(hashes, recent.Hash(ls))
		}
		slices.Sort(hashes)
		m.of = recent.NewConcern(slices.Compact(hashes))
	}
	return m.gap()
}

// damage is what the store has lost, as far as gaps are declared for it. The store keeps a loss
// until its gap is saved. The goroutine that applies changes told, and recent.Log.Mu guards it.
type damage struct{ told []store.Loss }

// take takes up the losses that the store has now, and returns the gaps of those that are new.
func (d *damage) take(ls []store.Loss) (gs []*recent.Gap) {
	for _, l := range ls {
		if !slices.ContainsFunc(d.told, l.Equal) {
			gs = append(gs, DamageGap(l))
		}
	}
	d.told = ls
	return gs
}

// tellDamage declares what was lost where an Append has opened the store again and found
// damage: pages that are there are told, and those that are joining. Where the log
// outlives this process all of it is applied again, as after a start.
func (x *applier) tellDamage() {
	ls := x.store.Losses()
	if len(ls) == 0 && len(x.damage.told) == 0 {
		return
	}
	x.recent.Mu.Lock()
	defer x.recent.Mu.Unlock()
	gs := x.damage.take(ls)
	if x.ledger.declare(gs); len(gs) == 0 {
		return
	}
	x.record.pass(x.recent.Ring.GapsOnly(gs, x.recent.Now()))
	x.pages.Outdated()
	if x.o.Replica {
		x.progress.damaged()
	}
}
