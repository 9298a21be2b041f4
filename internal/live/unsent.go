package live

import (
	"stripchart/internal/bus"
	"stripchart/internal/recent"
)

// unsent holds the samples and gaps that the ring has of series since their births. A room that has
// just found the series was not given them when they were applied.
type unsent struct {
	samples map[*recent.Series][][]bus.Sample
	gaps    []*recent.Gap
	upTo    uint64 // the entries before were looked through
	lost    bool   // the ring does not go back to all births any more
}

// unsentOf looks through the ring, without the lock but for a moment.
func (x *matcher) unsentOf(bs []recent.Birth) *unsent {
	u := &unsent{samples: make(map[*recent.Series][][]bus.Sample, len(bs))}
	x.recent.Mu.Lock()
	from := x.recent.Ring.End()
	for _, b := range bs {
		if !b.IsOver() {
			u.samples[b.Series] = nil
			from = min(from, b.Series.BornAt)
		}
	}
	if !x.recent.Ring.Covers(from) {
		from, u.lost = x.recent.Ring.Start(), true
	}
	entries := x.recent.Ring.From(from)
	u.upTo = x.recent.Ring.End()
	x.recent.Mu.Unlock()
	u.look(entries)
	return u
}

func (u *unsent) look(entries []recent.Entry) {
	for i := range entries {
		u.gaps = append(u.gaps, entries[i].Gaps...)
		for _, p := range entries[i].Parts {
			if list, asked := u.samples[p.Series]; asked {
				u.samples[p.Series] = append(list, p.Samples)
			}
		}
	}
}

// complete adds what has come to the ring in the meantime. The caller holds recent.Log.Mu.
func (u *unsent) complete(r *recent.Ring) {
	if u == nil {
		return
	}
	if !r.Covers(u.upTo) {
		u.upTo, u.lost = r.Start(), true
	}
	u.look(r.From(u.upTo))
	u.upTo = r.End()
}
