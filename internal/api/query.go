package api

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/stats"

	"stripchart/internal/access"
)

var errTruncated = errors.New("results truncated due to limit")

// query evaluates an expression at one time.
func (a *API) query(r *request) (result, error) {
	at, err := r.time("time", time.Now())
	if err != nil {
		return result{}, err
	}
	return a.evaluate(r, 0, func(ctx context.Context, db storage.Queryable, o promql.QueryOpts, expr string) (promql.Query, error) {
		return a.engine.NewInstantQuery(ctx, db, o, expr, at)
	})
}

// queryRange evaluates an expression at each step of a range.
func (a *API) queryRange(r *request) (result, error) {
	start, err := parseTime(r.Form.Get("start"))
	if err != nil {
		return result{}, badParameter("start", err)
	}
	end, err := parseTime(r.Form.Get("end"))
	if err != nil {
		return result{}, badParameter("end", err)
	}
	if end.Before(start) {
		return result{}, badParameter("end", errors.New("end timestamp must not be before start time"))
	}
	step, err := parseDuration(r.Form.Get("step"))
	if err != nil {
		return result{}, badParameter("step", err)
	}
	// The engine counts in milliseconds.
	if step = step.Truncate(time.Millisecond); step <= 0 {
		return result{}, badParameter("step", errors.New("the step must be a millisecond or more"))
	}
	if (end.UnixMilli()-start.UnixMilli())/step.Milliseconds() > maxPoints {
		return result{}, bad(errors.New("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"))
	}
	return a.evaluate(r, end.Sub(start), func(ctx context.Context, db storage.Queryable, o promql.QueryOpts, expr string) (promql.Query, error) {
		return a.engine.NewRangeQuery(ctx, db, o, expr, start, end, step)
	})
}

// evaluate runs the query that prepare makes of the parameter query, over a span of time,
// and returns its value. What the engine needs is given back before the answer is sent.
func (a *API) evaluate(r *request, span time.Duration, prepare func(context.Context, storage.Queryable, promql.QueryOpts, string) (promql.Query, error)) (result, error) {
	limit, err := r.limit()
	if err != nil {
		return result{}, err
	}
	var back time.Duration
	if s := r.Form.Get("lookback_delta"); s != "" {
		if back, err = parseDuration(s); err != nil {
			return result{}, badParameter("lookback_delta", err)
		}
	}
	expr := r.Form.Get("query")
	if err := a.check(expr, span); err != nil {
		return result{}, badParameter("query", err)
	}
	cancel, err := r.withTimeout()
	if err != nil {
		return result{}, err
	}
	defer cancel()

	out := result{query: expr}
	var b []byte
	lost, err := a.view(r.ctx, a.share, func(ctx context.Context, db storage.Queryable) error {
		out.notes = nil
		watched := watch(db, a.o.Gaps)
		q, err := prepare(ctx, watched, promql.NewPrometheusQueryOpts(false, back), expr)
		if err != nil {
			return badParameter("query", err)
		}
		defer q.Close()
		res := q.Exec(ctx)
		out.notes.Merge(res.Warnings)
		if res.Err != nil {
			return res.Err
		}
		out.notes.Merge(watched.warnings())
		if truncate(res, limit) {
			out.notes.Add(errTruncated)
		}
		b, err = appendValue(b[:0], res.Value, a.maxAnswer)
		// Times would tell a bound reader how much there is that it may not see.
		if err == nil && r.Form.Get("stats") != "" && len(access.Of(ctx).Matchers) == 0 {
			b, err = appendStats(b, q.Stats())
		}
		return err
	})
	if err != nil {
		return result{}, err
	}
	out.notes.Merge(damaged(lost))
	out.notes.Merge(a.recorded())
	out.size = len(b)
	out.append = func(to []byte) ([]byte, error) { return append(append(to, b...), '}'), nil }
	return out, nil
}

// truncate leaves the first limit series in res, and reports whether there were more.
func truncate(res *promql.Result, limit int) bool {
	switch v := res.Value.(type) {
	case promql.Matrix:
		if limit > 0 && len(v) > limit {
			res.Value = v[:limit]
			return true
		}
	case promql.Vector:
		if limit > 0 && len(v) > limit {
			res.Value = v[:limit]
			return true
		}
	}
	return false
}

func appendStats(b []byte, s *stats.Statistics) ([]byte, error) {
	b = append(b, `,"stats":`...)
	return appendJSON(b, stats.NewQueryStats(s))
}
