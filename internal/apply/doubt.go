package apply

// maxDoubts bounds the samples in doubts. Beyond it all are forgotten: those
// among them that were stored after all are then taken for duplicates, and reach
// pages with their next bootstrap only.
const maxDoubts = 1 << 16

// doubts are the samples of commits that failed. Some may be stored all the
// same, without ever having been in the ring: when a source publishes them
// again, they look like duplicates, but no page has them. recent.Log.Mu guards doubts.
type doubts struct {
	times map[*series]map[int64]struct{}
	count int // a time that was tried twice counts twice
}

// add remembers the new samples of a commit that failed.
func (d *doubts) add(parts []writing) {
	n := 0
	for _, p := range parts {
		n += len(p.Fresh)
	}
	if d.count += n; d.count > maxDoubts {
		clear(d.times)
		d.count = n
	}
	for _, p := range parts {
		values := d.times[p.of]
		if values == nil {
			values = map[int64]struct{}{}
			d.times[p.of] = values
		}
		for _, x := range p.Fresh {
			values[x.T] = struct{}{}
			p.of.doubt(x.T)
		}
	}
}

// has reports whether a sample that the store has may never have been in the ring.
func (d *doubts) has(s *series, t int64) bool {
	_, there := d.times[s][t]
	return there
}

// settle forgets samples that are in the ring now.
func (d *doubts) settle(parts []writing) {
	if len(d.times) == 0 {
		return
	}
	for _, p := range parts {
		values := d.times[p.of]
		for _, x := range p.Samples {
			if _, there := values[x.T]; there {
				delete(values, x.T)
				d.count--
			}
		}
		if len(values) == 0 {
			delete(d.times, p.of)
		}
	}
}
