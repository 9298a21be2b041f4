package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// truths returns what the sources' journals say of each of their series, and in
// which slices from from to to there can be samples of anybody.
func (r *rig) truths(from, to int64) (_ map[string]truth, slices []int64, err error) {
	in := map[int64]bool{}
	for t := max(from, r.began.UnixMilli()); t <= to; t += slice {
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
			}
		}
	}
	for n := range in {
		slices = append(slices, n*slice)
	}
	return out, slices, nil
}

// check asks the oracle about everything with a time from from to to: each server's
// history and each viewer. It gives what is on its way some time to arrive, as
// long as nothing but arrival is missing.
func (r *rig) check(from, to int64, allowed []allowance) (verdict, error) {
	var v verdict
	var err error
	for deadline := time.Now().Add(patience); ; time.Sleep(300 * time.Millisecond) {
		v, err = r.checkOnce(from, to, allowed)
		if err == nil && v.Lost == 0 || time.Now().After(deadline) {
			return v, err
		}
	}
}

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
			known = agree(histories...)
		}
		count(&v, known, from, to)
		v.merge(alike(known, histories, from, to))
		for _, h := range histories {
			v.merge(judge(h, known, from, to, allowed))
		}
		for _, w := range viewers {
			of := known
			if w.query == firstSource {
				of = only(known, `source="1"`)
			}
			w.mu.Lock()
			one := judge(w.held, of, max(from, w.since), to, allowed)
			// What was counted once is not counted with the next fault again.
			w.held.doubled, w.held.order, w.held.notes = 0, 0, nil
			w.mu.Unlock()
			v.merge(one)
		}
	}
	return v, nil
}

// alike checks that every server has refused the same of what may be refused.
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
func only(series map[string]truth, text string) map[string]truth {
	out := map[string]truth{}
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
		v.Acknowledged += hi - lo
	}
}

// merge adds what one holder's verdict says, but for what was acknowledged; of
// what lies in gaps the most that one holder lacks counts.
func (v *verdict) merge(w verdict) {
	w.Acknowledged = 0
	most := max(v.Gapped, w.Gapped)
	v.add(w)
	v.Gapped = most
}

// recover waits until every viewer is live again: holds samples that were
// measured after now, of every source. It returns how long that took.
func (r *rig) recover() (time.Duration, error) {
	began := time.Now()
	var names []string
	for _, s := range r.sources {
		for k := range r.shape.Series {
			names = append(names, seriesName(seriesOf(s.number, k)))
		}
	}
	var waits *viewer
	if until(patience, func() bool {
		for _, v := range r.viewers {
			of := names
			switch v.query {
			case firstSource:
				of = names[:r.shape.Series]
			case measured:
				of = nil
			}
			if !v.live(of, began.UnixMilli()) {
				waits = v
				return false
			}
		}
		return true
	}) {
		return time.Since(began), nil
	}
	return time.Since(began), fmt.Errorf("%s is not live again after %v:\n%s", waits.name, patience, waits.diary())
}
