package live

import (
	"slices"
)

const (
	// pieceSeries and pieceSamples bound what is committed in one hold of the lock.
	pieceSeries  = 1000
	pieceSamples = 4000
)

// writing is a part that is on its way into the store.
type writing struct {
	part
	of   *written // part.series
	late int      // as many of fresh are committed before the others: see recordLate
}

// partsOf returns what is accepted, in parts that fit into a piece each. It uses the memory of
// scratch.
func partsOf(incoming []incoming, scratch []writing) []writing {
	parts := slices.Grow(scratch[:0], len(incoming))
	for i := range incoming {
		in := &incoming[i]
		p := writing{part{&in.series.series, in.samples, in.fresh}, in.series, in.late}
		for len(p.samples) > pieceSamples {
			var head writing
			head, p = p.split(pieceSamples)
			parts = append(parts, head)
		}
		if len(p.samples) > 0 {
			parts = append(parts, p)
		}
	}
	return parts
}

// split returns the first n samples of p, and the rest.
func (p writing) split(n int) (head, tail writing) {
	head, tail = p, p
	head.samples, tail.samples = p.samples[:n:n], p.samples[n:]
	k := 0
	for k < len(p.fresh) && p.fresh[k].T < tail.samples[0].T {
		k++
	}
	head.fresh, tail.fresh = p.fresh[:k:k], p.fresh[k:]
	head.late, tail.late = min(p.late, k), max(0, p.late-k)
	return head, tail
}

// piece returns the first of parts, as many as are committed in one hold of the lock.
func piece(parts []writing) []writing {
	samples := 0
	for i := range parts {
		samples += len(parts[i].samples)
		if i > 0 && (i >= pieceSeries || samples > pieceSamples) {
			return parts[:i]
		}
	}
	return parts
}
