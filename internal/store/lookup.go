package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// Series returns the label sets of the series that match ms and have a sample
// in [from, to], sorted. Of each it reads up to its first sample there.
func (s *Store) Series(ctx context.Context, ms []*labels.Matcher, from, to int64) ([]labels.Labels, error) {
	var all []labels.Labels
	err := s.view(ctx, from, to, func(ctx context.Context, sq storage.Querier) error {
		all = nil
		var it chunkenc.Iterator
		set := sq.Select(ctx, true, &storage.SelectHints{Start: from, End: to}, ms...)
		for set.Next() {
			if err := ctx.Err(); err != nil {
				return err
			}
			// The index alone would not do: the newest chunk of a series has
			// no end there, so one that ended an hour ago would be listed.
			it = set.At().Iterator(it)
			if it.Next() != chunkenc.ValNone {
				all = append(all, set.At().Labels())
			} else if err := it.Err(); err != nil {
				return err
			}
		}
		return set.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("series: %w", err)
	}
	return all, nil
}

// Question is what LookUp is asked about one series, with the answers.
type Question struct {
	Labels labels.Labels
	// Times are asked for one by one, ascending.
	Times []int64
	// From and To bound the search for the newest sample, both included; no newest
	// sample is asked for unless From is before To.
	From, To int64

	Values []float64 // of the samples at Times
	There  []bool    // whether there is a sample at each of Times
	Newest int64     // time of the newest sample in [From, To]; math.MinInt64 without one
}

// oldest returns the oldest time that q asks for, and newest the newest one.
func (q *Question) oldest() int64 {
	oldest := int64(math.MaxInt64)
	if len(q.Times) > 0 {
		oldest = q.Times[0]
	}
	if q.From < q.To {
		oldest = min(oldest, q.From)
	}
	return oldest
}

func (q *Question) newest() int64 {
	newest := int64(math.MinInt64)
	if n := len(q.Times); n > 0 {
		newest = q.Times[n-1]
	}
	if q.From < q.To {
		newest = max(newest, q.To)
	}
	return newest
}

// lookUpSpan is how far apart the oldest times of questions are that share a querier,
// in ms: a question about an hour ago does not have those about now look into the
// blocks of a day.
const lookUpSpan = 2 * 3600 * 1000

// LookUp answers questions about what is committed of exactly the series that they
// name. It opens one querier for all questions of about the same age, so asking about
// many series at once is cheaper than one by one.
func (s *Store) LookUp(ctx context.Context, questions []Question) error {
	byAge := make([]*Question, 0, len(questions))
	for i := range questions {
		q := &questions[i]
		q.Values, q.There, q.Newest = make([]float64, len(q.Times)), make([]bool, len(q.Times)), math.MinInt64
		if q.oldest() <= q.newest() {
			byAge = append(byAge, q)
		}
	}
	slices.SortStableFunc(byAge, func(a, b *Question) int { return cmp.Compare(a.oldest(), b.oldest()) })
	for len(byAge) > 0 {
		from := byAge[0].oldest()
		n, to := 0, from
		for n < len(byAge) && byAge[n].oldest() < from+lookUpSpan {
			to = max(to, byAge[n].newest())
			n++
		}
		if err := s.lookUp(ctx, byAge[:n], from, to); err != nil {
			return fmt.Errorf("look up samples: %w", err)
		}
		byAge = byAge[n:]
	}
	return nil
}

// lookUp answers questions about times in [from, to].
func (s *Store) lookUp(ctx context.Context, questions []*Question, from, to int64) error {
	var ms []*labels.Matcher
	return s.view(ctx, from, to, func(ctx context.Context, sq storage.Querier) error {
		var it chunkenc.Iterator
		for _, q := range questions {
			if err := ctx.Err(); err != nil {
				return err
			}
			clear(q.There)
			q.Newest = math.MinInt64
			ms = ms[:0]
			q.Labels.Range(func(l labels.Label) {
				ms = append(ms, &labels.Matcher{Type: labels.MatchEqual, Name: l.Name, Value: l.Value})
			})
			set := sq.Select(ctx, false, &storage.SelectHints{Start: q.oldest(), End: q.newest()}, ms...)
			for set.Next() {
				series := set.At()
				// The matchers also accept series with further labels.
				if !labels.Equal(series.Labels(), q.Labels) {
					continue
				}
				var err error
				if it, err = q.answer(series, it); err != nil {
					return err
				}
			}
			if err := set.Err(); err != nil {
				return err
			}
		}
		return nil
	})
}

// answer fills in q's answers from its series. It returns the iterator that it has
// used last, for use by the next one.
func (q *Question) answer(series storage.Series, it chunkenc.Iterator) (chunkenc.Iterator, error) {
	if len(q.Times) > 0 {
		it = series.Iterator(it)
		for i, t := range q.Times {
			kind := it.Seek(t)
			if kind == chunkenc.ValNone {
				break
			}
			if kind == chunkenc.ValFloat && it.AtT() == t {
				q.There[i] = true
				_, q.Values[i] = it.At()
			}
		}
		if err := it.Err(); err != nil {
			return it, err
		}
	}
	if q.From >= q.To {
		return it, nil
	}
	// Chunks before the place that is sought are passed over without reading them, so
	// the newest sample is sought from ever further back.
	for back := int64(60_000); ; back *= 16 {
		start := q.From
		if q.To-back > q.From { // times are far from the ends of int64
			start = q.To - back
		}
		it = series.Iterator(it)
		for kind := it.Seek(start); kind != chunkenc.ValNone && it.AtT() <= q.To; kind = it.Next() {
			q.Newest = it.AtT()
		}
		if err := it.Err(); err != nil {
			return it, err
		}
		if q.Newest != math.MinInt64 || start == q.From {
			return it, nil
		}
	}
}

// view calls f with a querier that is open for the call, again when the
// database was opened again meanwhile.
func (s *Store) view(ctx context.Context, from, to int64, f func(context.Context, storage.Querier) error) error {
	for {
		r, err := s.read(from, to)
		if err != nil {
			return err
		}
		err = r.use(ctx, f)
		cerr := r.close()
		switch {
		case errors.Is(err, ErrSnapshotClosed):
			// read waits for the reopening, or finds the store closed.
		case err != nil:
			return err
		default:
			return cerr
		}
	}
}
