package live

import (
	"context"
	"fmt"
	"math"
	"math/bits"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/store"
)

// unknownTime stands for a time that is not known.
const unknownTime = math.MinInt64

// missing is one series that may lack samples. Times are Unix ms.
type missing struct {
	hash   uint64
	labels labels.Labels
	// after is the newest time that was accepted of the series before what is missing.
	// unknownTime: this process has not heard of any, and the store is asked.
	after int64
	// bound is when what is missing begins at the latest; nobody may know after.
	bound int64
	// early is by how much the writer's samples have been older than what it had written
	// before.
	early int64
	// to is the first time at which nothing is missing any more.
	to int64
}

// from returns the newest time at which nothing is missing yet. A writer may publish
// what it measured at one time in several batches, so something of the newest accepted
// time itself may be missing.
func (m *missing) from() int64 {
	from := m.bound
	if m.after != unknownTime {
		from = min(from, m.after)
	}
	return from - m.early - 1
}

// absence is what may be missing because of one event, and is declared as one or more
// gaps, as soon as it is known since when.
type absence struct {
	reason string
	source string // whose batches are missing; empty: the log's
	series []missing
	// storedBefore, if not 0, has the series count too that the store has in the hour
	// before that time, and that this process does not know.
	storedBefore int64
	storedTo     int64  // missing.to of those
	declared     func() // called with h.mu when the gaps are; may be nil
}

// newestWithin is how long before a gap the store is asked for the newest sample of a
// series, in ms: where it is older, the gap begins here.
const newestWithin = 24 * 3600 * 1000

// ask finds out since when the series of m lack something, as far as this process was
// not there. The caller is the apply goroutine, so nothing is committed meanwhile, and
// does not hold h.mu: it takes 10 to 20 µs a series.
func (h *Hub) ask(ctx context.Context, m *absence) error {
	if m.storedBefore != 0 {
		if err := h.addStored(ctx, m); err != nil {
			return err
		}
	}
	var questions []store.Question
	var of []*missing
	for i := range m.series {
		if x := &m.series[i]; x.after == unknownTime {
			questions = append(questions, store.Question{Labels: x.labels, From: x.bound - newestWithin, To: x.bound})
			of = append(of, x)
		}
	}
	if err := h.store.LookUp(ctx, questions); err != nil {
		return fmt.Errorf("look for the newest samples before a gap: %w", err)
	}
	for i, x := range of {
		x.after = questions[i].Newest
	}
	return nil
}

// addStored adds the series that only the store knows.
func (h *Hub) addStored(ctx context.Context, m *absence) error {
	every := []*labels.Matcher{labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+")}
	found, err := h.store.Series(ctx, every, m.storedBefore-indexAge.Milliseconds(), m.storedBefore)
	if err != nil {
		return fmt.Errorf("list the series before a gap: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ls := range found {
		if h.index.get(ls) == nil {
			m.series = append(m.series, missing{
				hash: hashOf(ls), labels: ls, after: unknownTime, bound: m.storedBefore - h.lateness(), early: h.earlyOf(nil), to: m.storedTo,
			})
		}
	}
	m.storedBefore = 0
	return nil
}

// lateness is how old samples may be when they come into the log, where nothing else is
// known of their writers: the greatest age that was seen of those without numbers.
// The caller holds h.mu.
func (h *Hub) lateness() int64 { return max(lossMargin, h.late.most()) }

// gapsOf returns the gaps to declare for m, within what can be shown at a log time. Series
// whose spans are about as long share a gap: a page is told of a few, not of one for
// each moment at which a series was written last.
func (h *Hub) gapsOf(m *absence, logTime int64) []*gap {
	oldest, newest := logTime-h.o.Limits.Window*1000, logTime+FutureBound+1
	latest := int64(math.MinInt64)
	for i := range m.series {
		latest = max(latest, m.series[i].bound)
	}
	type span struct {
		to     int64
		length int // of the time before latest, as a power of two
	}
	type group struct {
		from   int64
		hashes []uint64
	}
	groups := map[span]*group{}
	var order []span // of their first series, so that the result is the same each time
	for i := range m.series {
		x := &m.series[i]
		from, to := max(x.from(), oldest), min(x.to, newest)
		if from >= to {
			continue
		}
		k := span{to, bits.Len64(uint64(max(0, latest-from-1) / 1000))}
		g := groups[k]
		if g == nil {
			g = &group{from: from}
			groups[k] = g
			order = append(order, k)
		}
		g.from = min(g.from, from)
		g.hashes = append(g.hashes, x.hash)
	}
	var gs []*gap
	for _, k := range order {
		g := groups[k]
		gs = append(gs, &gap{from: g.from, to: k.to, reason: m.reason, source: m.source, series: concernOf(g.hashes)})
	}
	return gs
}
