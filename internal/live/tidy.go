package live

// What the matcher forgets of series that were not written to lately.

// tidy drops the series from the index that were not written to for indexAge.
func (x *matcher) tidy(now int64) {
	x.mu.Lock()
	all := x.index.all.after(0)
	x.mu.Unlock()
	for len(all) > 0 {
		x.mu.Lock()
		for len(all) > 0 && x.mu.work < workOfHold {
			birth := all[0]
			all = all[1:]
			x.mu.did(1)
			if !birth.isOver() && now-birth.series.seenAt > indexAge.Milliseconds() {
				x.remove(birth.series)
			}
		}
		x.metrics.series.Set(float64(len(x.index.byKey)))
		x.mu.Unlock()
	}
	x.mu.Lock()
	untidy := x.index.untidy
	x.index.untidy = map[*births]string{}
	x.mu.Unlock()
	x.compact(&x.index.all)
	for b, name := range untidy {
		x.compact(b)
		x.mu.Lock()
		if len(b.list) == 0 && b.searches == 0 {
			delete(x.index.byName, name)
		}
		x.mu.Unlock()
	}
}

// remove drops s from the index and from what rooms and catalogues have found. The
// caller holds recent.mu.
func (x *matcher) remove(s *series) {
	for q := range x.searches {
		if q.found.remove(s.slot) {
			q.owner.vanished(s)
		}
	}
	x.mu.did(len(x.searches))
	x.left(s)
	x.index.remove(s)
}

// compact drops the births that are over from b when they are half of it. It takes the
// lock for a piece at a time; nobody else compacts.
func (x *matcher) compact(b *births) {
	var kept []birth
	for done := 0; ; {
		x.mu.Lock()
		if done == 0 && 2*b.over <= len(b.list) {
			x.mu.Unlock()
			return
		}
		piece := b.list[done:min(done+pieceOf, len(b.list))]
		for _, birth := range piece {
			if !birth.isOver() {
				kept = append(kept, birth)
			}
		}
		x.mu.did(len(piece))
		if done += len(piece); done == len(b.list) {
			b.over -= len(b.list) - len(kept)
			b.list = kept
			x.mu.Unlock()
			return
		}
		x.mu.Unlock()
	}
}
