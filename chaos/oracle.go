package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// truth is what is known of one series.
type truth struct {
	acknowledged []int64                            // times, ascending
	possible     func(t int64) bool                 // it was published, acknowledged or not
	published    func(t int64) int64                // the newest time of the batch that it was in
	onBus        func(t int64) bool                 // its acknowledgement came from the bus too, not only from the spool
	refusable    func(t int64) bool                 // its source's clock was so wrong that servers may refuse it
	value        func(t int64) (v float64, ok bool) // ok: the value can be known
	second       func(t int64, v float64) bool      // it was published after the first value; nil: none was
}

// verdict is what the oracle found, in samples unless it says otherwise. Only
// Acknowledged and Gapped are no faults.
type verdict struct {
	Acknowledged int // that the holders should have
	Lost         int // acknowledged, not there, and in no declared gap
	Doubled      int // two values for one sample, or twice in one answer
	Order        int // times that do not ascend where they must
	Wrong        int // another value than its source measured
	Foreign      int // there, but never published
	Undue        int // declared gaps (not samples) with a reason that no fault allows
	Gapped       int // acknowledged, not there, in a declared gap
	Gaps         int // declared gaps, not samples, each series' own counted
	Notes        []string
}

// maxNotes bounds the details that are kept: when there are many faults, most of them look alike.
const maxNotes = 40

func (v *verdict) add(w verdict) {
	v.Acknowledged += w.Acknowledged
	v.Lost += w.Lost
	v.Doubled += w.Doubled
	v.Order += w.Order
	v.Wrong += w.Wrong
	v.Foreign += w.Foreign
	v.Undue += w.Undue
	v.Gapped += w.Gapped
	v.Gaps += w.Gaps
	v.Notes = append(v.Notes, w.Notes[:min(len(w.Notes), max(0, maxNotes-len(v.Notes)))]...)
}

// faulty reports whether the promise is broken.
func (v *verdict) faulty() bool {
	return v.Lost+v.Doubled+v.Order+v.Wrong+v.Foreign+v.Undue > 0
}

func (v *verdict) String() string {
	return fmt.Sprintf("%d acknowledged: %d lost, %d doubled, %d out of order, %d wrong, %d foreign; %d in %d declared gaps, %d of them undue\n%s",
		v.Acknowledged, v.Lost, v.Doubled, v.Order, v.Wrong, v.Foreign, v.Gapped, v.Gaps, v.Undue, strings.Join(v.Notes, "\n"))
}

// recordedAgain is no reason for a gap: a server records again what came while its disk was full. The history of a
// viewer that joins meanwhile holds a batch that was recorded at once, and what came before that follows.
const recordedAgain = "recorded again"

// allowance is a reason for which gaps may be declared, and where they may lie.
type allowance struct {
	reason   string
	from, to int64 // Unix ms
	plain    bool  // only for series that are written without numbers: nobody but Redis may have them
}

func (a allowance) allows(g gap) bool {
	if !hasNumbers(g.series) {
		// Nobody can know how late, or how far ahead of the clock, the writer of the series was.
		a.from, a.to = a.from-maxBacklog, a.to+maxAhead
	}
	return a.reason == g.reason && a.from <= g.from && g.to <= a.to && !(a.plain && hasNumbers(g.series))
}

// maxBacklog bounds how old a sample without a number may be when it is delivered, or
// for how long its series was not written before, and maxAhead how far ahead servers
// accept one, in ms.
const (
	maxBacklog = 900_000
	maxAhead   = 61_000
)

// hasNumbers reports whether the series is of a source with numbers.
func hasNumbers(series string) bool {
	return !strings.Contains(series, fmt.Sprintf(`source="%d"`, nameless)) && !strings.Contains(series, `"`+crowdQuery+`"`)
}

// judge compares what somebody holds with the truth of each series that they
// should hold, for the times from to to, both included.
func judge(h *holding, series map[string]truth, from, to int64, allowed []allowance) (v verdict) {
	v.Doubled, v.Order = h.doubled, h.order
	v.Notes = slices.Clone(h.notes)
	undue := map[gap]int{}
	for g, isNew := range h.gaps {
		if !isNew {
			continue
		}
		h.gaps[g] = false
		v.Gaps++
		if !slices.ContainsFunc(allowed, func(a allowance) bool { return a.allows(g) }) {
			v.Undue++
			undue[gap{"", g.from, g.to, g.reason}]++
		}
	}
	for g, n := range undue {
		v.note("%s: was told of a gap of %d series from %d to %d for the reason %s, which no fault explains", h.who, n, g.from, g.to, g.reason)
	}
	details := 0
	bySeries := map[string][]gap{}
	for g := range h.gaps {
		bySeries[g.series] = append(bySeries[g.series], g)
	}
	// A server that has lost the first value of a time takes the second value for the first.
	inGap := func(name string, t int64) bool {
		holds := func(g gap) bool { return g.holds(name, t) }
		return slices.ContainsFunc(bySeries[name], holds) || slices.ContainsFunc(bySeries[""], holds)
	}
	for _, b := range h.behind {
		// Where a server has lost the first value, a second one comes when it is published.
		if of, known := series[b.series]; known && of.second != nil && of.second(b.t, h.samples[b.series][b.t]) {
			continue
		}
		if inGap(b.series, b.t) {
			continue
		}
		again := func(a allowance) bool { return a.reason == recordedAgain && a.from <= b.began && b.began <= a.to }
		if slices.ContainsFunc(allowed, again) {
			continue
		}
		v.Order++
		v.notice(&details, "%s: %s at %d came after %d in %s", h.who, b.series, b.t, b.newest, b.in)
	}
	for _, c := range h.changed {
		if of, known := series[c.series]; known && of.second != nil && inGap(c.series, c.t) {
			continue
		}
		v.Doubled++
		v.notice(&details, "%s: %s at %d is %v and %v", h.who, c.series, c.t, c.was, c.now)
	}
	for _, name := range slices.Sorted(maps.Keys(series)) {
		of := series[name]
		held := h.samples[name]
		gaps := append(slices.Clone(bySeries[""]), bySeries[name]...)
		var missing []int64
		for _, t := range of.acknowledged {
			if t < from || t > to {
				continue
			}
			if _, there := held[t]; there {
				v.Acknowledged++
				continue
			}
			if x, known := of.value(t); known && h.draws(name, t, x) {
				v.Acknowledged++
				continue
			}
			if of.refusable(t) {
				continue
			}
			v.Acknowledged++
			if slices.ContainsFunc(gaps, func(g gap) bool { return g.holds(name, t) || g.holds(name, of.published(t)) }) {
				v.Gapped++
				continue
			}
			missing = append(missing, t)
		}
		if len(missing) > 0 {
			v.Lost += len(missing)
			onBus := 0
			for _, t := range missing {
				if of.onBus(t) {
					onBus++
				}
			}
			v.notice(&details, "%s: %s lacks %d acknowledged samples (%d of them by the bus) from %d to %d, such as %v", h.who, name, len(missing), onBus,
				missing[0], missing[len(missing)-1], missing[:min(3, len(missing))])
		}
		for t, got := range held {
			if t < from || t > to {
				continue
			}
			want, ok := of.value(t)
			switch {
			case !of.possible(t):
				v.Foreign++
				v.notice(&details, "%s: %s at %d was never published", h.who, name, t)
			case ok && !same(want, got) && !(of.second != nil && of.second(t, got) && inGap(name, t)):
				v.Wrong++
				v.notice(&details, "%s: %s at %d is %v, not %v", h.who, name, t, got, want)
			}
		}
	}
	for name, held := range h.samples {
		if _, ok := series[name]; !ok {
			for t := range held {
				if from <= t && t <= to {
					v.Foreign++
				}
			}
			v.note("%s: holds %d samples of %s, which nobody published or it did not ask for", h.who, len(held), name)
		}
	}
	return v
}

// notice notes one of the first few details of a holder: what goes wrong with one
// series mostly does with all.
func (v *verdict) notice(details *int, format string, args ...any) {
	if *details++; *details <= 3 {
		v.note(format, args...)
	}
}

func (v *verdict) note(format string, args ...any) {
	if len(v.Notes) < maxNotes {
		v.Notes = append(v.Notes, fmt.Sprintf(format, args...))
	}
}

// agree compares holders of samples of a real collector, of which no journal exists: a sample that one
// holder has must be in all holders, with the same value. It returns the truth of each series that
// follows from that.
func agree(holders ...*holding) map[string]truth {
	all := map[string]map[int64]float64{}
	for _, h := range holders {
		for name, samples := range h.samples {
			if all[name] == nil {
				all[name] = map[int64]float64{}
			}
			for t, x := range samples {
				if _, there := all[name][t]; !there {
					all[name][t] = x
				}
			}
		}
	}
	out := map[string]truth{}
	for name, samples := range all {
		out[name] = truth{
			acknowledged: slices.Sorted(maps.Keys(samples)),
			possible:     func(t int64) bool { _, ok := samples[t]; return ok },
			published:    func(t int64) int64 { return t },
			onBus:        func(int64) bool { return false },
			refusable:    func(int64) bool { return false },
			value:        func(t int64) (float64, bool) { v, ok := samples[t]; return v, ok },
		}
	}
	return out
}

// truths returns what a journal says of each of the n series of a source.
func (a *account) truths(source, n int) map[string]truth {
	out := map[string]truth{}
	for k := range n {
		lag := lagOf(source, k)
		times := make([]int64, 0, len(a.spooled))
		for t := range a.spooled {
			times = append(times, t-lag)
		}
		slices.Sort(times)
		out[seriesName(seriesOf(source, k))] = truth{
			acknowledged: times,
			possible:     func(t int64) bool { _, ok := a.sent[t+lag]; return ok },
			published:    published,
			onBus:        func(t int64) bool { return a.bus[a.spooled[t+lag]] },
			// A server judges by the log's clock, which is that of the entry: at the earliest
			// when the sample was measured.
			refusable: func(t int64) bool { return t > a.sent[t+lag]+59_000 || t < a.sent[t+lag]-23*3_600_000 },
			value:     func(t int64) (float64, bool) { return valueAt(source, k, t), true },
		}
	}
	return out
}

// published returns when the batch of a sample was measured. A late one goes with its
// batch: nobody can know of a lost one how late it was.
func published(t int64) int64 {
	if isLate(t) {
		return t + lateBy - tick/2
	}
	return t
}

// isLate reports whether the sample is one that its source published late.
func isLate(t int64) bool { return t%tick >= tick/2 }
