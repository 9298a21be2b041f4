package api

import (
	"context"
	"fmt"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// Gap is a span in which samples of some series may be missing. Both ends are excluded, Unix ms.
type Gap struct {
	From, To int64
	Reason   string // as in docs/PROTOCOL.md
	Of       func(labels.Labels) bool
}

// gaps finds the declared gaps that reach into what a query reads, of the series that it selects. One
// query uses it, and one goroutine of that at a time.
type gaps struct {
	db   storage.Queryable
	of   func(from, to int64) []Gap
	told map[[2]int64]string // warnings, by the ends of the gaps
	more int                 // gaps beyond those
}

// mostGaps is how many gaps an answer names.
const mostGaps = 5

// watch returns db with a view to gaps; of may be nil.
func watch(db storage.Queryable, of func(from, to int64) []Gap) *gaps {
	return &gaps{db: db, of: of, told: map[[2]int64]string{}}
}

// note takes a gap up.
func (g *gaps) note(x Gap) {
	k := [2]int64{x.From, x.To}
	if _, known := g.told[k]; known {
		return
	}
	if len(g.told) == mostGaps {
		g.more++
		return
	}
	g.told[k] = fmt.Sprintf("samples between %s and %s may be missing: %s", rfc3339(x.From), rfc3339(x.To), x.Reason)
}

// warnings returns what there is to say.
func (g *gaps) warnings() (notes annotations.Annotations) {
	for _, text := range g.told {
		notes.Add(fmt.Errorf("%s", text))
	}
	if g.more > 0 {
		notes.Add(fmt.Errorf("samples may be missing in %d more gaps", g.more))
	}
	return notes
}

// Querier implements storage.Queryable.
func (g *gaps) Querier(from, to int64) (storage.Querier, error) {
	q, err := g.db.Querier(from, to)
	if err != nil || g.of == nil {
		return q, err
	}
	return gapQuerier{q, g, from, to}, nil
}

type gapQuerier struct {
	storage.Querier
	gaps     *gaps
	from, to int64
}

// Select implements storage.Querier.
func (q gapQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	set := q.Querier.Select(ctx, sorted, hints, ms...)
	from, to := q.from, q.to
	if hints != nil {
		from, to = hints.Start, hints.End
	}
	if found := q.gaps.of(from, to); len(found) > 0 {
		return &gapSet{set, q.gaps, found}
	}
	return set
}

// gapSet looks for the gaps of each series that passes.
type gapSet struct {
	storage.SeriesSet
	gaps  *gaps
	found []Gap // those that no series was in yet
}

// Next implements storage.SeriesSet.
func (s *gapSet) Next() bool {
	if !s.SeriesSet.Next() {
		return false
	}
	ls := s.At().Labels()
	left := s.found[:0]
	for _, x := range s.found {
		if x.Of(ls) {
			s.gaps.note(x)
		} else {
			left = append(left, x)
		}
	}
	s.found = left
	return true
}
