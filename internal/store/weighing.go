package store

import (
	"context"
	"maps"
	"math"
	"os"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/record"

	"stripchart/internal/wlogpage"
)

const (
	// leastLag is how far apart series are written at least, ms; see weighing.lag.
	leastLag = 1000
	// maxLossesOf bounds into how many losses one kind of damage is told.
	maxLossesOf = 100
	// maxSeriesRef is what a Ref has room for, and far more than tsdb gives.
	maxSeriesRef = 1<<refBits - 1
)

// weighing finds out what was in the holes of damaged write logs, from what stands around
// them.
//
// In-order samples: the samples missing in a hole of the WAL were measured between the newest
// sample before the hole and the newest one behind it, or up to lag earlier or later. lag is
// the largest distance, anywhere in the log, of a sample to a newer one before it. The series
// of the missing samples are unknown; the store may never have seen them.
//
// Series: if the record of a series is lost, its samples are in the log and its labels are
// not. The samples are dropped, and their times are known.
//
// Late samples: each is in the WAL too. A late sample that is in the WAL, and not in the
// database once that is open, was in a hole of the WBL.
type weighing struct {
	log    *logs
	floor  int64 // head samples are not older, unless they are late
	window int64 // how old late samples are at most, ms

	series  map[uint64]*weighed // by reference
	newest  int64               // in-order sample so far; math.MinInt64: none
	lag     int64
	holes   []hole
	sure    bool                 // one of them is damage
	unknown span                 // of samples whose series is not known
	late    map[*weighed][]int64 // times of what may be late; nil: nobody needs them
}

type weighed struct {
	labels labels.Labels
	last   int64
}

// hole is a place in the WAL where records are missing, by the newest samples before it
// and behind it.
type hole struct {
	before, after int64
	open          bool // nothing newer has come yet
}

// span is the least and the greatest time of some samples.
type span struct {
	from, to int64
	some     bool
}

func (s *span) add(t int64) {
	if !s.some {
		s.from, s.to, s.some = t, t, true
	}
	s.from, s.to = min(s.from, t), max(s.to, t)
}

// weigh reads the damaged logs once more. floor is the end of the newest block that is
// not of late samples, or math.MinInt64.
func weigh(l *logs, floor, window int64) (*weighing, error) {
	w := &weighing{log: l, floor: floor, window: window, series: map[uint64]*weighed{}, newest: math.MinInt64, lag: leastLag}
	if l.lateDamaged() {
		w.late = map[*weighed][]int64{}
	}
	for _, f := range l.files {
		if f.gone {
			w.hole(f)
			continue
		}
		b, err := os.ReadFile(l.path(f.rel))
		if err != nil {
			return nil, err
		}
		s := wlogpage.Scan(b, func(rec []byte) bool { return w.record(f, rec) }, func() { w.hole(f) })
		f.Holes = s.Holes
		if f.cut {
			w.hole(f)
		}
	}
	return w, nil
}

func (w *weighing) hole(f *logFile) {
	if f.late {
		return
	}
	w.sure = w.sure || !f.may
	if n := len(w.holes); n > 0 && w.holes[n-1].open {
		return // nothing newer between the two
	}
	w.holes = append(w.holes, hole{before: max(w.newest, w.floor), open: true})
}

// decodable reports whether a record is what its type says.
func decodable(rec []byte) bool {
	if !knownType(rec) {
		return false
	}
	dec := record.NewDecoder(nil, nil)
	switch record.Type(rec[0]) {
	case record.Series:
		series, err := dec.Series(rec, nil)
		for _, s := range series {
			if uint64(s.Ref) > maxSeriesRef || s.Labels.IsEmpty() {
				return false
			}
		}
		return err == nil
	case record.Samples:
		_, err := dec.Samples(rec, nil)
		return err == nil
	}
	return true
}

// record takes a record in, and returns false if it makes no sense.
func (w *weighing) record(f *logFile, rec []byte) bool {
	if !decodable(rec) {
		return false
	}
	dec := record.NewDecoder(nil, nil)
	switch record.Type(rec[0]) {
	case record.Series:
		series, _ := dec.Series(rec, nil)
		for _, s := range series {
			if w.series[uint64(s.Ref)] == nil {
				w.series[uint64(s.Ref)] = &weighed{labels: s.Labels.Copy(), last: math.MinInt64}
			}
		}
	case record.Samples:
		samples, _ := dec.Samples(rec, nil)
		w.samples(f, samples)
	}
	return true
}

func (w *weighing) samples(f *logFile, samples []record.RefSample) {
	before := w.newest
	// tsdb's rule: older samples are late, also for a series that has none.
	oldest := w.floor
	if before != math.MinInt64 {
		oldest = max(oldest, before-tsdb.DefaultBlockDuration/2)
	}
	for _, s := range samples {
		series := w.series[uint64(s.Ref)]
		switch {
		case series == nil:
			if f.drop == nil {
				f.drop = map[uint64]struct{}{}
			}
			f.drop[uint64(s.Ref)] = struct{}{}
			w.unknown.add(s.T)
			continue
		case f.late:
			continue
		case s.T <= series.last || s.T < oldest:
			if w.late != nil {
				w.late[series] = append(w.late[series], s.T)
			}
			continue
		}
		series.last = s.T
		w.newest = max(w.newest, s.T)
		if before != math.MinInt64 {
			w.lag = max(w.lag, before-s.T)
		}
	}
	for i := range w.holes {
		if h := &w.holes[i]; h.open && w.newest > h.before {
			h.after, h.open = w.newest, false
		}
	}
}

// losses returns what is known before the database is open.
func (w *weighing) losses() []Loss {
	var out []Loss
	now := time.Now().UnixMilli()
	what := "the write log was damaged"
	if !w.sure {
		what = "the machine was restarted without a stop, and had perhaps not written everything"
	}
	for _, h := range w.holes {
		if h.open {
			h.after = now
		}
		from := int64(0)
		if h.before != math.MinInt64 {
			from = h.before - w.lag - 1
		}
		if n := len(out); n > 0 && from <= out[n-1].To {
			out[n-1].To = max(out[n-1].To, h.after+w.lag+1)
			continue
		}
		out = append(out, Loss{From: from, To: h.after + w.lag + 1, What: what})
	}
	if len(out) > maxLossesOf {
		out = []Loss{{From: out[0].From, To: out[len(out)-1].To, What: what}}
	}
	if w.unknown.some {
		out = append(out, Loss{From: w.unknown.from - 1, To: w.unknown.to + 1, What: "the write log was damaged where it names series"})
	}
	if w.late != nil && w.sure {
		// Nobody knows what was in both.
		newest := max(w.newest, w.floor)
		out = append(out, Loss{From: newest - w.window, To: newest + 1, What: "both write logs were damaged"})
	}
	return out
}

// lateLosses returns which late samples db does not have, db being open.
func (w *weighing) lateLosses(ctx context.Context, db *tsdb.DB) ([]Loss, error) {
	type times struct{ from, to int64 }
	found := map[times][]labels.Labels{}
	for series, at := range w.late {
		slices.Sort(at)
		lost, err := absent(ctx, db, series.labels, slices.Compact(at))
		if err != nil {
			return nil, err
		}
		if lost.some {
			found[times{lost.from, lost.to}] = append(found[times{lost.from, lost.to}], series.labels)
		}
	}
	const what = "the log of late samples was damaged"
	if len(found) > maxLossesOf {
		sum := Loss{From: math.MaxInt64, To: math.MinInt64, What: what}
		for t, ls := range found {
			sum.From, sum.To, sum.Series = min(sum.From, t.from-1), max(sum.To, t.to+1), append(sum.Series, ls...)
		}
		return []Loss{sum}, nil
	}
	var out []Loss
	for t := range maps.Keys(found) {
		out = append(out, Loss{From: t.from - 1, To: t.to + 1, Series: found[t], What: what})
	}
	return out, nil
}

// absent returns the span of those of the ascending times at which a series has no sample.
func absent(ctx context.Context, db *tsdb.DB, l labels.Labels, times []int64) (lost span, err error) {
	q, err := db.Querier(times[0], times[len(times)-1])
	if err != nil {
		return lost, err
	}
	defer q.Close()
	var ms []*labels.Matcher
	l.Range(func(lb labels.Label) { ms = append(ms, labels.MustNewMatcher(labels.MatchEqual, lb.Name, lb.Value)) })
	there := map[int64]bool{}
	set := q.Select(ctx, false, &storage.SelectHints{Start: times[0], End: times[len(times)-1]}, ms...)
	for set.Next() {
		if !labels.Equal(set.At().Labels(), l) {
			continue
		}
		it := set.At().Iterator(nil)
		for it.Next() != chunkenc.ValNone {
			there[it.AtT()] = true
		}
		if err := it.Err(); err != nil {
			return lost, err
		}
	}
	for _, t := range times {
		if !there[t] {
			lost.add(t)
		}
	}
	return lost, set.Err()
}
