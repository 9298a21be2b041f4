package api

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// checkEvery is after how many series a read looks whether it was cancelled.
const checkEvery = 1024

// series lists the label sets that match.
func (a *API) series(r *request) (result, error) {
	selectors, err := r.selectors(a.parser)
	if err == nil && len(selectors) == 0 {
		err = bad(fmt.Errorf("no match[] parameter provided"))
	}
	if err != nil {
		return result{}, err
	}
	var b []byte
	out, err := a.list(r, func(ctx context.Context, q storage.Querier, from, to int64, limit int) (truncated bool, notes annotations.Annotations, err error) {
		hints := &storage.SelectHints{Start: from, End: to, Func: "series", Limit: oneMore(limit)}
		sets := make([]storage.SeriesSet, 0, len(selectors))
		for _, ms := range selectors {
			sets = append(sets, q.Select(ctx, true, hints, ms...))
		}
		set := sets[0]
		if len(sets) > 1 {
			set = storage.NewMergeSeriesSet(sets, 0, storage.ChainedSeriesMerge)
		}
		b = append(b[:0], '[')
		n := 0
		for ; set.Next(); n++ {
			if n%checkEvery == 0 && ctx.Err() != nil {
				return false, nil, ctx.Err()
			}
			if limit > 0 && n == limit {
				truncated = true
				break
			}
			if n > 0 {
				b = append(b, ',')
			}
			if b = appendLabels(b, set.At().Labels()); len(b) > a.maxAnswer {
				return false, nil, tooLarge(a.maxAnswer)
			}
		}
		b = append(b, ']')
		return truncated, set.Warnings(), set.Err()
	}, func(to []byte) ([]byte, error) { return append(to, b...), nil })
	out.size = len(b)
	return out, err
}

// labelNames lists the names of labels.
func (a *API) labelNames(r *request) (result, error) {
	return a.strings(r, func(ctx context.Context, q storage.Querier, hints *storage.LabelHints, ms []*labels.Matcher) ([]string, annotations.Annotations, error) {
		return q.LabelNames(ctx, hints, ms...)
	})
}

// labelValues lists the values of one label. A name that begins with U__ is escaped:
// __ stands for _, and _2e_ for the character U+002E.
func (a *API) labelValues(r *request) (result, error) {
	name := r.PathValue("name")
	if strings.HasPrefix(name, "U__") {
		name = model.UnescapeName(name, model.ValueEncodingEscaping)
	}
	if !model.UTF8Validation.IsValidLabelName(name) {
		return result{}, bad(fmt.Errorf("invalid label name: %q", name))
	}
	return a.strings(r, func(ctx context.Context, q storage.Querier, hints *storage.LabelHints, ms []*labels.Matcher) ([]string, annotations.Annotations, error) {
		return q.LabelValues(ctx, name, hints, ms...)
	})
}

// strings answers with the sorted union of what read returns for each match[], or for
// all series where there is none.
func (a *API) strings(r *request, read func(context.Context, storage.Querier, *storage.LabelHints, []*labels.Matcher) ([]string, annotations.Annotations, error)) (result, error) {
	selectors, err := r.selectors(a.parser)
	if err != nil {
		return result{}, err
	}
	if len(selectors) == 0 {
		selectors = [][]*labels.Matcher{nil}
	}
	var all []string
	return a.list(r, func(ctx context.Context, q storage.Querier, _, _ int64, limit int) (bool, annotations.Annotations, error) {
		found := map[string]struct{}{}
		var notes annotations.Annotations
		for _, ms := range selectors {
			some, warnings, err := read(ctx, q, &storage.LabelHints{Limit: oneMore(limit)}, ms)
			if err != nil {
				return false, nil, err
			}
			notes.Merge(warnings)
			for _, s := range some {
				found[strings.Clone(s)] = struct{}{} // the index that it is part of may be unmapped
			}
		}
		if all = slices.Sorted(maps.Keys(found)); all == nil {
			all = []string{}
		}
		if limit > 0 && len(all) > limit {
			all = all[:limit]
			return true, notes, nil
		}
		return false, notes, nil
	}, func(to []byte) ([]byte, error) { return appendStrings(to, all), nil })
}

// list calls read with a querier for the parameters start, end and limit, and answers
// with what encode appends.
func (a *API) list(r *request, read func(ctx context.Context, q storage.Querier, from, to int64, limit int) (truncated bool, notes annotations.Annotations, err error),
	encode func([]byte) ([]byte, error),
) (result, error) {
	limit, err := r.limit()
	if err != nil {
		return result{}, err
	}
	from, to, err := r.span()
	if err != nil {
		return result{}, err
	}
	out := result{append: encode}
	lost, err := a.view(r.ctx, a.share, func(ctx context.Context, db storage.Queryable) error {
		q, err := db.Querier(from, to)
		if err != nil {
			return err
		}
		truncated, notes, err := read(ctx, q, from, to, limit)
		out.notes = notes
		if truncated {
			out.notes.Add(errTruncated)
		}
		return err
	})
	if err != nil {
		return result{}, err
	}
	out.notes.Merge(damaged(lost))
	out.notes.Merge(a.recorded())
	return out, nil
}

// oneMore returns the hint of a limit: one more tells that there are more.
func oneMore(limit int) int {
	if limit == 0 {
		return 0
	}
	return limit + 1
}

// metadata has nothing to say: writers' metadata is not kept.
func (a *API) metadata(r *request) (result, error) {
	if _, err := r.limit(); err != nil {
		return result{}, err
	}
	return jsonOf(struct{}{}), nil
}
