package live

import "stripchart/internal/bus"

// unsent is what the ring has of series since they were born: a room that has just found
// them was not given it when it came.
type unsent struct {
	samples map[*series][][]bus.Sample
	gaps    []*gap
	upTo    uint64 // the entries before were looked through
	lost    bool   // the ring does not go back to all births any more
}

// unsentOf looks through the ring, without the lock but for a moment.
func (x *matcher) unsentOf(bs []birth) *unsent {
	u := &unsent{samples: make(map[*series][][]bus.Sample, len(bs))}
	x.mu.Lock()
	from := x.ring.end()
	for _, b := range bs {
		if !b.isOver() {
			u.samples[b.series] = nil
			from = min(from, b.series.bornAt)
		}
	}
	if !x.ring.covers(from) {
		from, u.lost = x.ring.start(), true
	}
	entries := x.ring.from(from)
	u.upTo = x.ring.end()
	x.mu.Unlock()
	u.look(entries)
	return u
}

func (u *unsent) look(entries []entry) {
	for i := range entries {
		u.gaps = append(u.gaps, entries[i].gaps...)
		for _, p := range entries[i].parts {
			if list, asked := u.samples[p.series]; asked {
				u.samples[p.series] = append(list, p.samples)
			}
		}
	}
}

// complete adds what has come to the ring in the meantime. The caller holds recent.mu.
func (u *unsent) complete(r *ring) {
	if u == nil {
		return
	}
	if !r.covers(u.upTo) {
		u.upTo, u.lost = r.start(), true
	}
	u.look(r.from(u.upTo))
	u.upTo = r.end()
}
