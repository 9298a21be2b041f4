package store

import (
	"context"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

// SeriesInMemory returns how many series the database holds in memory: those of the
// last two to three hours. It costs nothing.
func (s *Store) SeriesInMemory() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed || s.eng == nil {
		return 0
	}
	return int(s.eng.db.Head().NumSeries())
}

// InMemory reports whether the series l is among SeriesInMemory, for each of ls: in
// about a microsecond. While the database is closed none is.
func (s *Store) InMemory(ls []labels.Labels) []bool {
	there := make([]bool, len(ls))
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed || s.eng == nil {
		return there
	}
	// An appender is the one way to ask. It is given back without having added anything.
	app := s.eng.db.Appender(context.Background())
	defer func() { _ = app.Rollback() }() // nothing was appended that could be written
	head, ok := app.(storage.GetRef)
	if !ok {
		return there
	}
	for i, l := range ls {
		ref, _ := head.GetRef(l, l.Hash())
		there[i] = ref != 0
	}
	return there
}
