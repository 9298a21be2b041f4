package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// truths returns, for each series of the sources, what the journals say of it. slices are the time
// slices between from and to that can hold samples.
func (r *rig) truths(from, to int64) (_ map[string]truth, slices []int64, err error) {
	in := map[int64]bool{}
	// The first sample of a series that lags is older than the rig.
	for t := max(from, r.began.UnixMilli()-maxLag); t <= to; t += slice {
		in[t/slice] = true
	}
	in[to/slice] = true
	out := map[string]truth{}
	for _, s := range r.sources {
		a, err := readJournal(s.journal)
		if err != nil {
			return nil, nil, err
		}
		maps.Copy(out, a.truths(s.number, r.shape.Series))
		for t := range a.sent {
			if from <= t && t <= to {
				in[t/slice] = true
				in[(t-maxLag)/slice] = true // its series that lag
			}
		}
	}
	if r.writer != nil {
		maps.Copy(out, r.writer.truths())
	}
	for n := range in {
		slices = append(slices, n*slice)
	}
	return out, slices, nil
}

// check asks the oracle about everything with a time from from to to: each server's history and each
// viewer. It looks again until nothing is wrong, because samples and gaps may be on their way, and
// gives up after so many looks without a change.
func (r *rig) check(from, to int64, allowed []allowance) (verdict, error) {
	allowed = r.widened(allowed)
	for _, b := range r.guests {
		b.rest(true)
		defer b.rest(false)
	}
	defer r.forget()
	undue := verdict{} // gaps are judged when they are new, so by one look alone
	for last, still := -1, 0; ; time.Sleep(300 * time.Millisecond) {
		v, err := r.checkOnce(from, to, allowed)
		once := verdict{Undue: v.Undue}
		if v.Undue > 0 {
			once.Notes = slices.DeleteFunc(slices.Clone(v.Notes), func(n string) bool { return !strings.Contains(n, " which no fault explains") })
		}
		v.add(undue)
		undue.add(once)
		// A gap is declared up to 15 s after the loss. What it explains is missing, or has
		// another value, until then.
		waits := v.Lost + v.Doubled + v.Order + v.Wrong
		if err == nil && waits == 0 {
			return v, nil
		}
		if still++; err == nil && waits != last {
			last, still = waits, 0
		}
		if still > looks {
			return v, err
		}
	}
}

// forget removes the findings that a check has judged from the viewers, so that the next fault does not
// count them again.
func (r *rig) forget() {
	for _, v := range r.viewers {
		v.forget()
	}
	for _, b := range r.guests {
		for _, v := range b.viewers {
			v.forget()
		}
	}
	for _, v := range r.roots {
		v.forget()
	}
}

// looks is how often a check finds the same number of faults, or gets no answer, before it reports a
// failure.
const looks = 80

// checkOnce is check without waiting.
func (r *rig) checkOnce(from, to int64, allowed []allowance) (v verdict, err error) {
	published, parts, err := r.truths(from, to)
	if err != nil {
		return v, err
	}
	for _, query := range []string{everySource, measured} {
		histories := make([]*holding, len(r.servers))
		var viewers []*viewer
		for _, w := range r.viewers {
			if w.query == query || query == everySource && w.query == firstSource {
				viewers = append(viewers, w)
			}
		}
		if len(viewers) == 0 {
			continue
		}
		for i, s := range r.servers {
			if histories[i], err = s.history(query, parts); err != nil {
				return v, err
			}
			// A server's gaps are those that it told its own viewer.
			own := viewers[i]
			own.mu.Lock()
			for g := range own.held.gaps {
				histories[i].gaps[g] = false // judged there
			}
			own.mu.Unlock()
		}
		known := published
		if query == measured {
			known = r.alsoShown(agree(histories...))
		}
		count(&v, known, from, to)
		v.merge(alike(known, histories, from, to))
		for _, h := range histories {
			v.merge(judge(h, known, from, to, allowed))
		}
		for _, w := range viewers {
			v.merge(w.judge(known, from, to, allowed))
		}
	}
	for _, b := range r.guests {
		for _, w := range b.viewers {
			known := published
			if w.crowded {
				known = r.crowd.truths()
			}
			v.merge(w.judge(known, from, to, allowed))
		}
	}
	if len(r.roots) > 0 {
		a, err := readJournal(r.sources[rootSource-1].journal)
		if err != nil {
			return v, err
		}
		for _, w := range r.roots {
			v.merge(w.judge(a, from, to))
		}
	}
	return v, nil
}

// judge compares what the viewer holds with what it is owed.
func (v *viewer) judge(known map[string]truth, from, to int64, allowed []allowance) verdict {
	v.mu.Lock()
	defer v.mu.Unlock()
	// A little is left to the difference of the clocks.
	from = max(from, v.since, time.Now().UnixMilli()-v.window.Milliseconds()+500)
	h := v.held
	v.judged = findings{len(h.changed), len(h.behind), h.doubled, h.order, len(h.notes)}
	return judge(h, v.owed(known), from, to, allowed)
}

// findings counts what a holding found out while it was filled.
type findings struct{ changed, behind, doubled, order, notes int }

// forget takes back what judge has counted last.
func (v *viewer) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	h, n := v.held, v.judged
	h.changed, h.behind, h.notes = h.changed[n.changed:], h.behind[n.behind:], h.notes[n.notes:]
	h.doubled, h.order = h.doubled-n.doubled, h.order-n.order
	v.judged = findings{}
}

// alsoShown lets viewers hold what was shown and could not be recorded.
func (r *rig) alsoShown(series map[string]truth) map[string]truth {
	for name, of := range series {
		recorded := of.possible
		of.possible = func(t int64) bool {
			return recorded(t) || slices.ContainsFunc(r.unstored, func(s span) bool { return s.from <= t && t <= s.to })
		}
		series[name] = of
	}
	return series
}

// alike checks that all servers have refused the same samples, among those that they may refuse.
func alike(series map[string]truth, histories []*holding, from, to int64) (v verdict) {
	for name, of := range series {
		for _, t := range of.acknowledged {
			if t < from || t > to || !of.refusable(t) {
				continue
			}
			_, first := histories[0].samples[name][t]
			for _, h := range histories[1:] {
				if _, there := h.samples[name][t]; there != first {
					v.Lost++
					v.note("%s at %d: one of %s and %s has refused it, the other has not", name, t, histories[0].who, h.who)
				}
			}
		}
	}
	return v
}

// only returns the series whose names contain the text.
func only[T any](series map[string]T, text string) map[string]T {
	out := map[string]T{}
	for name, t := range series {
		if strings.Contains(name, text) {
			out[name] = t
		}
	}
	return out
}

// count adds the samples that were acknowledged, each once, however many should
// hold it.
func count(v *verdict, series map[string]truth, from, to int64) {
	for _, s := range series {
		lo, _ := slices.BinarySearch(s.acknowledged, from)
		hi, _ := slices.BinarySearch(s.acknowledged, to+1)
		v.Acknowledged += max(0, hi-lo)
	}
}

// merge adds the verdict w of one holder, except for Acknowledged. Gapped becomes the largest value of
// any one holder.
func (v *verdict) merge(w verdict) {
	w.Acknowledged = 0
	most := max(v.Gapped, w.Gapped)
	v.add(w)
	v.Gapped = most
}

// names returns the source's series, and by how much each lags.
func (s *sourceProcess) names(series int) map[string]int64 {
	out := map[string]int64{}
	for k := range series {
		out[seriesName(seriesOf(s.number, k))] = lagOf(s.number, k)
	}
	return out
}

// recover waits until every viewer is live again: holds samples that were
// measured after now, of every source. It returns how long that took.
func (r *rig) recover() (time.Duration, error) {
	began := time.Now()
	names := map[string]int64{}
	for _, s := range r.sources {
		maps.Copy(names, s.names(r.shape.Series))
	}
	first := map[string]int64{}
	for s := range only(names, `source="1"`) {
		first[s] = names[s]
	}
	var waits *viewer
	var slowest int64
	if untilStill(patience, func() bool {
		for _, v := range r.viewers {
			of := names
			switch v.query {
			case firstSource:
				of = first
			case measured:
				of = nil
			}
			live, last := v.live(of, began.UnixMilli())
			if !live {
				waits, slowest = v, last
				return false
			}
		}
		return true
	}, func() int64 { return slowest }) {
		return time.Since(began), nil
	}
	return time.Since(began), fmt.Errorf("%s is not live again after %v, and has got nothing for %v:\n%s", waits.name, time.Since(began).Round(time.Millisecond), patience, waits.diary())
}
