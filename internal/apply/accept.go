package apply

import (
	"context"
	"fmt"
	"slices"

	"stripchart/internal/bus"
	"stripchart/internal/recent"
	"stripchart/internal/store"
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

// incoming is what is accepted of one series of a batch.
type incoming struct {
	series *series
	isNew  bool         // series is not in the index yet
	in     []bus.Sample // as it was published
	// samples are those that the rule accepts, ascending; in itself when all are. After
	// lookUp those that the store had have their stored values.
	samples []bus.Sample
	// known is the newest time up to which the store may hold samples of the series.
	// asked are as many of samples: the store is asked about them.
	known int64
	asked int
	fresh []bus.Sample // those of samples that are new; in order
	// late are as many of fresh as may be late for the store too.
	late int
}

const (
	// resolveAtOnce is how many series are looked for in the index in one hold of the lock.
	resolveAtOnce = 2000
	// lateAfter is how old a sample may be, compared with the newest one of any series,
	// before it is taken for late, in ms. tsdb has room in the head for the newest hour.
	lateAfter = 30 * 60_000
)

// acceptor decides what of a batch is accepted, and which of it is new. The goroutine that
// applies uses it alone.
type acceptor struct {
	recent  *recent.Log
	store   Store
	metrics *metrics
	doubts  *doubts
	shown   *shown
	age     int64 // W of the acceptance rule, ms

	scratch []incoming
}

// resolve applies the rule to the samples of a batch, and finds their series. It returns the newest
// accepted time too, or recent.UnknownTime. A series that is new does not enter the index before
// something of it is recorded: what is refused must not occupy memory.
func (x *acceptor) resolve(b *bus.Batch, logTime, now int64) (list []incoming, newest int64) {
	rule := acceptanceAt(logTime, x.age)
	list = slices.Grow(x.scratch[:0], len(b.Series))[:len(b.Series)]
	newest = recent.UnknownTime
	for at := 0; at < len(list); at += resolveAtOnce {
		x.recent.Mu.Lock()
		for i := at; i < min(at+resolveAtOnce, len(list)); i++ {
			y, in := &b.Series[i], &list[i]
			*in = incoming{in: y.Samples, series: seriesOf(x.recent.Index.Get(y.Labels))}
			if in.isNew = in.series == nil; in.isNew {
				in.series = newSeries(y.Labels, x.recent.Index.NewestT, now)
			}
			x.judge(in, rule)
			if n := len(in.samples); n > 0 {
				newest = max(newest, in.samples[n-1].T)
				in.series.Touch(now)
			}
		}
		x.recent.Mu.Unlock()
	}
	return list, newest
}

// keep keeps the memory of a batch for the next one, without what it refers to.
func (x *acceptor) keep(list []incoming) {
	clear(list)
	if x.scratch = list[:0]; cap(list) > maxScratch {
		x.scratch = nil
	}
}

// drop leaves out the series with the given reference.
func drop(list []incoming, ref *store.Ref) {
	for i := range list {
		if in := &list[i]; &in.series.ref == ref {
			in.samples, in.fresh, in.late = nil, nil, 0
		}
	}
}

// judge applies the rule to the samples of one series. A sample that is newer than everything
// that the store may hold of the series is surely new. Any other may be a duplicate (a source
// sends it again, or the log is read again), so the store is to be asked. The caller holds
// recent.Log.Mu.
func (c *acceptor) judge(in *incoming, rule acceptance) {
	in.known = max(in.series.LastT, in.series.floor)
	late := max(in.known, c.recent.Index.NewestT-lateAfter)
	plain := true
	prev := int64(recent.UnknownTime)
	for _, x := range in.in {
		if rule.refuses(x.T) != "" || x.T <= prev || x.T <= late {
			plain = false
			break
		}
		prev = x.T
	}
	if plain {
		in.samples, in.fresh = in.in, in.in
		return
	}
	prev = recent.UnknownTime
	out := make([]bus.Sample, 0, len(in.in))
	for _, x := range in.in {
		if reason := rule.refuses(x.T); reason != "" {
			c.metrics.refused.WithLabelValues(reason).Inc()
			continue
		}
		if x.T <= prev {
			c.metrics.refused.WithLabelValues(refusedOrder).Inc()
			continue
		}
		prev = x.T
		if x.T <= in.known {
			in.asked++
		}
		if x.T <= late {
			in.late++
		}
		out = append(out, x)
	}
	in.samples, in.fresh = out, out
}

// lookUp asks the store which of the samples it has: the first value wins. It takes some
// microseconds a series, so recent.Log.Mu is not held; only the goroutine that applies commits, so the
// answer stays true.
//
// A series that was not heard of before is asked about as a whole, so that its next
// samples are known to be new.
func (c *acceptor) lookUp(ctx context.Context, list []incoming, lacksShown bool) error {
	var questions []store.Question
	var of []*incoming
	for i := range list {
		in := &list[i]
		if in.asked == 0 {
			continue
		}
		times := make([]int64, in.asked)
		for k := range times {
			times[k] = in.samples[k].T
		}
		q := store.Question{Labels: in.series.Labels, Times: times}
		if in.series.floor > in.series.LastT {
			q.From, q.To = times[0], in.series.floor
		}
		questions = append(questions, q)
		of = append(of, in)
	}
	if len(questions) == 0 {
		return nil
	}
	if err := c.store.LookUp(ctx, questions); err != nil {
		return fmt.Errorf("look for samples that are stored already: %w", err)
	}
	for i, in := range of {
		c.answered(in, &questions[i], lacksShown)
	}
	return nil
}

// answered takes up what the store says of in. lacksShown says that the store may lack what was
// only shown.
func (c *acceptor) answered(in *incoming, q *store.Question, lacksShown bool) {
	if q.From < q.To {
		in.series.answered(max(q.Newest, q.From-1))
	}
	c.metrics.late.Add(float64(in.asked))
	fresh := make([]bus.Sample, 0, len(in.samples))
	samples := in.samples[:0]
	late := 0
	for i, x := range in.samples {
		if i < in.asked {
			v, known := q.Values[i], q.There[i]
			if !known && lacksShown {
				var sure bool
				if v, known, sure = c.shown.value(in.series.Hash, x.T); !sure {
					continue
				}
			}
			if known {
				x.V = v
				if !c.doubts.has(in.series, x.T) {
					c.metrics.refused.WithLabelValues(refusedDuplicate).Inc()
					samples = append(samples, x)
					continue
				}
			}
		}
		if i < in.late {
			late++
		}
		samples, fresh = append(samples, x), append(fresh, x)
	}
	in.samples, in.fresh, in.late = samples, fresh, late
}
