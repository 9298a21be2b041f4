package apply

import (
	"cmp"
	"slices"

	"stripchart/internal/recent"
)

const (
	// maxGaps and maxGapBytes bound the declared gaps, in their saved form. Beyond, gaps
	// are merged, so what was declared stays declared, less exactly: see bound.
	maxGaps     = 1000
	maxGapBytes = 1 << 20
	gapBytes    = 120 // of one gap, without its series and its source's name
)

// declaredGaps are the declared gaps, and which of them are saved. recent.Log.Mu guards it.
type declaredGaps struct {
	metrics  *metrics
	saveSoon func()

	gaps     []*recent.Gap
	declared uint64    // how many were, ever
	saved    uint64    // of those, in order
	receipts []receipt // batches that wait for gaps to be saved; as many as wait for an answer
}

// receipt is the acknowledgement of a batch whose gaps are not saved yet.
type receipt struct {
	gaps uint64 // as many of the gaps that were ever declared have to be saved first
	done func(error)
}

// declare takes up gaps. Their entry goes into the ring with them, which puts them into
// the order of the log: a viewer that is sent the ring from before it is told.
func (l *declaredGaps) declare(gs []*recent.Gap) {
	for _, g := range gs {
		g.Series = l.shared(g.Series)
		l.metrics.gaps.WithLabelValues(g.Reason).Inc()
		l.declared++
		l.gaps = append(l.gaps, l.absorb(g))
	}
	if len(gs) > 0 {
		l.bound()
		l.saveSoon()
	}
}

// restore takes up the gaps that were declared by a life before this one.
func (l *declaredGaps) restore(gs []*recent.Gap) {
	l.gaps = gs
	l.bound()
}

// shared returns the set that the declared gaps have already, when one is equal to c.
func (l *declaredGaps) shared(c *recent.Concern) *recent.Concern {
	for _, g := range l.gaps {
		if g.Series.Equal(c) {
			return g.Series
		}
	}
	return c
}

// absorb takes out the gaps that overlap with g and say the same of the same series. It
// returns what they and g are together.
func (l *declaredGaps) absorb(g *recent.Gap) *recent.Gap {
	whole := *g
	l.gaps = slices.DeleteFunc(l.gaps, func(x *recent.Gap) bool {
		if x.Reason != g.Reason || x.Source != g.Source || !x.Series.Equal(g.Series) || x.To <= whole.From || x.From >= whole.To {
			return false
		}
		whole.From, whole.To = min(whole.From, x.From), max(whole.To, x.To)
		return true
	})
	if whole == *g {
		return g
	}
	return &whole
}

// size returns about how many bytes the gaps take when they are saved.
func (l *declaredGaps) size() int {
	n := 0
	counted := map[*recent.Concern]bool{}
	for _, g := range l.gaps {
		n += gapBytes + len(g.Source)
		if !counted[g.Series] {
			counted[g.Series] = true
			n += g.Series.Size()
		}
	}
	return n
}

// bound merges gaps while there are too many of them, or they take too much. The
// source with the most of them loses its exactness first: its two oldest gaps become
// one, which holds what lies between them too. So a source that jumps all the time does
// not cost others theirs. Where no source has two, the two oldest of all are merged.
func (l *declaredGaps) bound() {
	size := l.size()
	for (len(l.gaps) > maxGaps || size > maxGapBytes) && len(l.gaps) > 1 {
		bySource := map[string]int{}
		for _, g := range l.gaps {
			bySource[g.Source]++
		}
		most := ""
		for source, n := range bySource {
			if n > bySource[most] || n == bySource[most] && source > most {
				most = source
			}
		}
		one, other := l.oldestPair(func(g *recent.Gap) bool { return bySource[most] < 2 || g.Source == most })
		a, b := l.gaps[one], l.gaps[other]
		merged := &recent.Gap{From: min(a.From, b.From), To: max(a.To, b.To), Reason: b.Reason, Source: b.Source, Series: a.Series.Union(b.Series)}
		if a.Source != b.Source {
			merged.Source = ""
		}
		l.gaps[one] = merged
		l.gaps = slices.Delete(l.gaps, other, other+1)
		l.metrics.gapsMerged.Inc()
		size = l.size()
	}
	l.metrics.gapsKept.Set(float64(len(l.gaps)))
	l.metrics.gapBytes.Set(float64(size))
}

// oldestPair returns the indexes of the two gaps that begin first, of those that count;
// the first index is the lower one.
func (l *declaredGaps) oldestPair(counts func(*recent.Gap) bool) (int, int) {
	var at []int
	for i, g := range l.gaps {
		if counts(g) {
			at = append(at, i)
		}
	}
	slices.SortStableFunc(at, func(i, j int) int { return cmp.Compare(l.gaps[i].From, l.gaps[j].From) })
	return min(at[0], at[1]), max(at[0], at[1])
}

// in returns the declared gaps that reach into a span of time.
func (l *declaredGaps) in(from, to int64) []*recent.Gap {
	var out []*recent.Gap
	for _, g := range l.gaps {
		if g.To > from && g.From < to {
			out = append(out, g)
		}
	}
	return out
}

// declaredFor returns the series for which gaps were declared because of a loss of the log.
func (l *declaredGaps) declaredFor(x *loss) (cs []*recent.Concern) {
	for _, g := range l.gaps {
		if g.From < x.from && g.To >= x.reach() && g.Reason == x.reason && g.Source == "" {
			cs = append(cs, g.Series)
		}
	}
	return cs
}

// await has done called once the gaps are saved that were declared up to a number. It reports
// false when they are saved already.
func (l *declaredGaps) await(declared uint64, done func(error)) bool {
	if declared <= l.saved {
		return false
	}
	l.receipts = append(l.receipts, receipt{declared, done})
	return true
}

// toSave returns the gaps that a window reaches which begins at oldest, and forgets the others.
// It reports whether some that were declared are not saved.
func (l *declaredGaps) toSave(oldest int64) (gs []*recent.Gap, declared uint64, some bool) {
	if l.saved == l.declared {
		return nil, l.declared, false
	}
	l.gaps = slices.DeleteFunc(l.gaps, func(g *recent.Gap) bool { return g.To < oldest })
	return slices.Clone(l.gaps), l.declared, true
}

// keptUpTo notes that gaps were saved, or could not be, as of a number of declared ones. It returns
// the batches that have waited for that.
func (l *declaredGaps) keptUpTo(declared uint64, ok bool) (due []receipt) {
	if ok {
		l.saved = declared
	}
	n := 0
	for n < len(l.receipts) && l.receipts[n].gaps <= declared { // they ascend but for those of duplicates
		n++
	}
	due = l.receipts[:n:n]
	l.receipts = l.receipts[n:]
	return due
}

// declare declares what a batch has revealed, with its first entry, once. The
// caller holds recent.Log.Mu.
func (x *applier) declare(a *application) {
	for i := range a.absences {
		m := &a.absences[i]
		if m.declared != nil {
			m.declared()
		}
	}
	a.absences = nil
	if len(a.gaps) == 0 || a.shown {
		return
	}
	x.ledger.declare(a.gaps)
	if a.source != nil {
		a.source.owes(x.ledger.declared)
	}
}
