package api

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"stripchart/internal/access"
	"stripchart/internal/httperr"
	"stripchart/internal/store"
)

// view is store.Query within what the session of ctx may see. Every read of this package goes
// through it. The matchers of the session are added where series are selected, below the
// engine: no expression, function or endpoint can name a series around them, and what is
// counted, limited or listed is counted, limited and listed among the series that are left.
func (a *API) view(ctx context.Context, share *store.Share, f func(context.Context, storage.Queryable) error) ([]store.Loss, error) {
	bound := access.Of(ctx).Matchers
	if len(bound) == 0 {
		return a.store.Query(ctx, share, f)
	}
	return a.store.Query(ctx, share, func(ctx context.Context, db storage.Queryable) error {
		return f(ctx, boundQueryable{db, bound})
	})
}

type boundQueryable struct {
	storage.Queryable
	bound []*labels.Matcher
}

// Querier implements storage.Queryable.
func (b boundQueryable) Querier(from, to int64) (storage.Querier, error) {
	q, err := b.Queryable.Querier(from, to)
	if err != nil {
		return nil, err
	}
	return boundQuerier{q, b.bound}, nil
}

// boundQuerier adds matchers to each of its queries. It embeds nothing, so that a method that
// storage.Querier may get later does not go around them.
type boundQuerier struct {
	q     storage.Querier
	bound []*labels.Matcher
}

// Select implements storage.Querier.
func (b boundQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	return b.q.Select(ctx, sorted, hints, slices.Concat(ms, b.bound)...)
}

// LabelValues implements storage.Querier.
func (b boundQuerier) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return b.q.LabelValues(ctx, name, hints, slices.Concat(ms, b.bound)...)
}

// LabelNames implements storage.Querier.
func (b boundQuerier) LabelNames(ctx context.Context, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return b.q.LabelNames(ctx, hints, slices.Concat(ms, b.bound)...)
}

// Close implements storage.Querier.
func (b boundQuerier) Close() error { return b.q.Close() }

// Refuse answers a request that is refused before it comes here, in the form of this API.
func Refuse(w http.ResponseWriter, r *http.Request, status int, e httperr.Error) {
	send(w, r, status, failure(&apiError{e.Code, errors.New(e.Message)}))
}
