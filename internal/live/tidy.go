package live

// What the matcher forgets of series that were not written to lately.

// tidy drops the series from the index that were not written to for indexAge.
func (x *matcher) tidy(now int64) {
	x.mu.Lock()
	all := x.index.all.after(0)
	x.mu.Unlock()
	for len(all) > 0 {
		x.mu.Lock()
		for len(all) > 0 && !x.mu.hasWorkedEnough() {
			birth := all[0]
			all = all[1:]
			x.mu.did(1)
			if !birth.isOver() && now-birth.series.seenAt > indexAge.Milliseconds() {
				x.remove(birth.series)
			}
		}
		x.publishSeries()
		x.mu.Unlock()
	}
	x.compact()
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
