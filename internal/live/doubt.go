package live

// maxDoubts bounds the samples in Hub.doubts. Beyond it all are forgotten: those
// among them that were stored after all are then taken for copies, and reach
// pages with their next bootstrap only.
const maxDoubts = 1 << 16

// doubt remembers the samples of a commit that failed. Some may be stored all the
// same, without ever having been in the ring: when their source publishes them
// again, or another one does, they look like copies, but no page has them. The
// caller holds h.mu.
func (h *Hub) doubt(parts []writing) {
	n := 0
	for _, p := range parts {
		n += len(p.fresh)
	}
	if h.doubtful += n; h.doubtful > maxDoubts {
		clear(h.doubts)
		h.doubtful = n
	}
	for _, p := range parts {
		values := h.doubts[p.series]
		if values == nil {
			values = map[int64]struct{}{}
			h.doubts[p.series] = values
		}
		for _, x := range p.fresh {
			values[x.T] = struct{}{}
			p.series.floor = max(p.series.floor, x.T) // have the store asked
		}
	}
}

// settleDoubts ends the doubts about samples that are in the ring now. The
// caller holds h.mu.
func (h *Hub) settleDoubts(parts []writing) {
	if len(h.doubts) == 0 {
		return
	}
	for _, p := range parts {
		values := h.doubts[p.series]
		for _, x := range p.samples {
			if _, there := values[x.T]; there {
				delete(values, x.T)
				h.doubtful--
			}
		}
		if len(values) == 0 {
			delete(h.doubts, p.series)
		}
	}
}
