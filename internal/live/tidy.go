package live

import "stripchart/internal/recent"

// What the matcher forgets of series that were not written to lately.

// tidy drops the series from the index that were not written to for indexAge.
func (x *matcher) tidy(now int64) {
	x.recent.Mu.Lock()
	all := x.recent.Index.AllBirths.After(0)
	x.recent.Mu.Unlock()
	for len(all) > 0 {
		x.recent.Mu.Lock()
		for len(all) > 0 && !x.recent.Mu.HasWorkedEnough() {
			birth := all[0]
			all = all[1:]
			x.recent.Mu.Did(1)
			if !birth.IsOver() && now-birth.Series.SeenAt > recent.IndexAge.Milliseconds() {
				x.remove(birth.Series)
			}
		}
		x.recent.PublishSeries()
		x.recent.Mu.Unlock()
	}
	x.recent.Compact()
}

// remove drops s from the index and from what rooms and catalogues have found. The
// caller holds recent.Log.Mu.
func (x *matcher) remove(s *recent.Series) {
	for q := range x.searches {
		if q.found.remove(s.Slot) {
			q.owner.vanished(s)
		}
	}
	x.recent.Mu.Did(len(x.searches))
	x.left(s)
	x.recent.Index.Remove(s)
}
