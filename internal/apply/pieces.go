package apply

import (
	"slices"

	"stripchart/internal/recent"
)

const (
	// pieceSeries and pieceSamples bound what is committed in one hold of the lock.
	pieceSeries  = 1000
	pieceSamples = 4000
)

// writing is a part that is on its way into the store.
type writing struct {
	recent.Part
	of   *series // part.series
	late int     // as many of fresh are committed before the others: see recordLate
}

// partsOf returns what is accepted, in parts that fit into a piece each. It uses the memory of
// scratch.
func partsOf(incoming []incoming, scratch []writing) []writing {
	parts := slices.Grow(scratch[:0], len(incoming))
	for i := range incoming {
		in := &incoming[i]
		p := writing{recent.Part{Series: &in.series.Series, Samples: in.samples, Fresh: in.fresh}, in.series, in.late}
		for len(p.Samples) > pieceSamples {
			var head writing
			head, p = p.split(pieceSamples)
			parts = append(parts, head)
		}
		if len(p.Samples) > 0 {
			parts = append(parts, p)
		}
	}
	return parts
}

// split returns the first n samples of p, and the rest.
func (p writing) split(n int) (head, tail writing) {
	head, tail = p, p
	head.Samples, tail.Samples = p.Samples[:n:n], p.Samples[n:]
	k := 0
	for k < len(p.Fresh) && p.Fresh[k].T < tail.Samples[0].T {
		k++
	}
	head.Fresh, tail.Fresh = p.Fresh[:k:k], p.Fresh[k:]
	head.late, tail.late = min(p.late, k), max(0, p.late-k)
	return head, tail
}

// piece returns the first of parts, as many as are committed in one hold of the lock.
func piece(parts []writing) []writing {
	samples := 0
	for i := range parts {
		samples += len(parts[i].Samples)
		if i > 0 && (i >= pieceSeries || samples > pieceSamples) {
			return parts[:i]
		}
	}
	return parts
}
