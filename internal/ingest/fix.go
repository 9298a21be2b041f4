package ingest

import (
	"cmp"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
)

// fix gives every series of b the labels of fixed, in place of its own of the same names. Series
// that were different only in those become one: of two values at one time the first is kept.
func fix(b *bus.Batch, fixed labels.Labels, report *Report) {
	builder := bus.NewLabelBuilder(bus.EndpointLabels())
	builder.Fix(fixed)
	all := b.Series[:0]
	byLabels := map[string]int{}
	merged := map[int]bool{}
	for _, s := range b.Series {
		builder.Reset()
		s.Labels.Range(func(l labels.Label) { builder.Add([]byte(l.Name), []byte(l.Value)) })
		ls, err := builder.Labels()
		if err != nil {
			report.refuse(refusedLabels, len(s.Samples), err.Error)
			continue
		}
		key := string(ls.Bytes(nil))
		i, there := byLabels[key]
		if !there {
			byLabels[key] = len(all)
			all = append(all, bus.Series{Labels: ls, Samples: s.Samples})
			continue
		}
		all[i].Samples = slices.Concat(all[i].Samples, s.Samples)
		merged[i] = true
	}
	clear(b.Series[len(all):])
	b.Series = all
	for i := range merged {
		all[i].Samples = inOrder(all[i].Samples, report)
	}
}

// inOrder returns samples in the order of their times. Of several at one time it keeps the first,
// and reports the others that have another value.
func inOrder(samples []bus.Sample, report *Report) []bus.Sample {
	slices.SortStableFunc(samples, func(a, b bus.Sample) int { return cmp.Compare(a.T, b.T) })
	kept := samples[:0]
	for _, x := range samples {
		if n := len(kept); n > 0 && kept[n-1].T == x.T {
			if math.Float64bits(kept[n-1].V) != math.Float64bits(x.V) {
				report.refuse(refusedDuplicate, 1, func() string {
					return "two series that the token's labels make one have two values at one time; the first is kept"
				})
			}
			continue
		}
		kept = append(kept, x)
	}
	return kept
}
