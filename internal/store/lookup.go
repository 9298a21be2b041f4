package store

import (
	"context"
	"errors"
	"fmt"

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

// Existing returns the committed samples of exactly the series l at the ascending
// times: there[i] says whether there is one at times[i], and values[i] is its
// value.
func (s *Store) Existing(ctx context.Context, l labels.Labels, times []int64) (values []float64, there []bool, err error) {
	values, there = make([]float64, len(times)), make([]bool, len(times))
	if len(times) == 0 {
		return values, there, nil
	}
	ms := make([]*labels.Matcher, 0, l.Len())
	l.Range(func(lb labels.Label) {
		ms = append(ms, labels.MustNewMatcher(labels.MatchEqual, lb.Name, lb.Value))
	})
	from, to := times[0], times[len(times)-1]
	err = s.view(ctx, from, to, func(ctx context.Context, sq storage.Querier) error {
		clear(there)
		set := sq.Select(ctx, false, &storage.SelectHints{Start: from, End: to}, ms...)
		for set.Next() {
			// The matchers also accept series with further labels.
			if !labels.Equal(set.At().Labels(), l) {
				continue
			}
			it := set.At().Iterator(nil)
			for i, t := range times {
				if err := ctx.Err(); err != nil {
					return err
				}
				kind := it.Seek(t)
				if kind == chunkenc.ValNone {
					break
				}
				if kind != chunkenc.ValFloat || it.AtT() != t {
					continue
				}
				there[i] = true
				_, values[i] = it.At()
			}
			if err := it.Err(); err != nil {
				return err
			}
		}
		return set.Err()
	})
	if err != nil {
		return nil, nil, fmt.Errorf("look up samples: %w", err)
	}
	return values, there, nil
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
