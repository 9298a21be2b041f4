package live

import (
	"math"

	"stripchart/internal/bus"
)

// FutureBound is how far ahead of log time a sample may lie, in ms. One sample a
// day ahead would make tsdb refuse every other series as too old.
const FutureBound = 60_000

// Reasons for which a sample is refused, also in /metrics.
const (
	refusedTooOld    = "too_old"
	refusedTooNew    = "too_new"
	refusedDuplicate = "duplicate"
	refusedOrder     = "not_ascending"
)

// acceptance is the rule: a sample's time lies in [log time - W, log time +
// FutureBound]. It depends on the entry alone, so every server and every replay
// judges alike.
type acceptance struct{ from, to int64 }

func acceptanceAt(logTime, w int64) acceptance {
	return acceptance{from: logTime - w, to: logTime + FutureBound}
}

// refuses returns why t is not acceptable, or "".
func (a acceptance) refuses(t int64) string {
	switch {
	case t < a.from:
		return refusedTooOld
	case t > a.to:
		return refusedTooNew
	}
	return ""
}

// accept returns the samples of in that are accepted for s, in ascending order,
// and those of them that are new. Both are in itself when all are. The caller
// holds h.mu.
//
// A sample newer than everything that the store may hold of the series is surely
// new. Any other one may be a copy (a source that resends, a log that is read
// again), so the store is asked: the first value wins. A copy of a sample that was
// streamed but not stored is not recognised.
func (h *Hub) accept(s *series, in []bus.Sample, rule acceptance) (accepted, fresh []bus.Sample, err error) {
	known := max(s.lastT, s.floor)
	plain := true
	prev := int64(math.MinInt64)
	for _, x := range in {
		if rule.refuses(x.T) != "" || x.T <= prev || x.T <= known {
			plain = false
			break
		}
		prev = x.T
	}
	if plain {
		return in, in, nil
	}

	out := make([]bus.Sample, 0, len(in))
	late := 0 // the first late ones of out may exist already
	prev = math.MinInt64
	for _, x := range in {
		if reason := rule.refuses(x.T); reason != "" {
			h.metrics.refused.WithLabelValues(reason).Inc()
			continue
		}
		if x.T <= prev {
			h.metrics.refused.WithLabelValues(refusedOrder).Inc()
			continue
		}
		prev = x.T
		if x.T <= known {
			late++
		}
		out = append(out, x)
	}
	if late == 0 {
		return out, out, nil
	}
	times := make([]int64, late)
	for i := range times {
		times[i] = out[i].T
	}
	values, exists, err := h.store.Existing(h.ctx, s.labels, times)
	if err != nil {
		return nil, nil, err
	}
	fresh = make([]bus.Sample, 0, len(out))
	for i, x := range out {
		if i < late && exists[i] {
			out[i].V = values[i]
			if _, doubtful := h.doubts[s][x.T]; !doubtful {
				h.metrics.refused.WithLabelValues(refusedDuplicate).Inc()
				continue
			}
		}
		fresh = append(fresh, out[i])
	}
	h.metrics.late.Add(float64(late))
	return out, fresh, nil
}

// maxDoubts bounds the samples in Hub.doubts. Beyond it all are forgotten: those
// among them that were stored after all are then taken for copies, and reach
// pages with their next bootstrap only.
const maxDoubts = 1 << 16

// doubt remembers the samples of a commit that failed. Some may be stored all the
// same, without ever having been in the ring: when their source publishes them
// again, or another one does, they look like copies, but no page has them. The
// caller holds h.mu.
func (h *Hub) doubt(e entry) {
	n := 0
	for _, p := range e.parts {
		n += len(p.fresh)
	}
	if h.doubtful += n; h.doubtful > maxDoubts {
		clear(h.doubts)
		h.doubtful = n
	}
	for _, p := range e.parts {
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
func (h *Hub) settleDoubts(e entry) {
	if len(h.doubts) == 0 {
		return
	}
	for _, p := range e.parts {
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
