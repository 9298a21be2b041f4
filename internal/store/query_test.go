package store

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/prometheus/prometheus/storage"

	"stripchart/internal/bus"
)

// count returns how many series a querier selects.
func count(t *testing.T, q storage.Querier) (n int) {
	t.Helper()
	set := q.Select(t.Context(), false, nil, all()...)
	for set.Next() {
		n++
	}
	if err := set.Err(); err != nil {
		t.Error(err)
	}
	return n
}

func TestQuerySeesWhatWasCommitted(t *testing.T) {
	s := open(t, options(t.TempDir()))
	appendRows(t, s, row(series("a"), ramp(10, 1000)...))
	damaged, err := s.Query(t.Context(), s.QueryReads(), func(_ context.Context, db storage.Queryable) error {
		for want := range 2 {
			q, err := db.Querier(math.MinInt64, math.MaxInt64)
			if err != nil {
				return err
			}
			if got := count(t, q); got != want+1 {
				t.Errorf("%d series, want %d", got, want+1)
			}
			if _, err := db.Querier(0, 1); err == nil {
				t.Error("a second querier could wait for the first for ever")
			}
			appendRows(t, s, row(series("b"), bus.Sample{T: base, V: 1})) // does not wait for the read
			if err := q.Close(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || len(damaged) > 0 {
		t.Errorf("%v, damaged %v", err, damaged)
	}
}

func TestQueryIsAskedAgainAfterAReopening(t *testing.T) {
	s := open(t, options(t.TempDir()))
	appendRows(t, s, row(series("a"), ramp(10, 1000)...))
	calls := 0
	_, err := s.Query(t.Context(), s.QueryReads(), func(ctx context.Context, db storage.Queryable) error {
		q, err := db.Querier(math.MinInt64, math.MaxInt64)
		if err != nil {
			return err
		}
		if calls++; calls == 1 {
			reopened := make(chan error)
			go func() { reopened <- s.reopen() }()
			<-ctx.Done() // the database waits for this querier
			count(t, q)  // whose files are there still
			select {
			case <-reopened:
				t.Error("the database was closed under a querier")
			case <-time.After(10 * time.Millisecond):
			}
			if err := q.Close(); err != nil {
				t.Error(err)
			}
			if err := <-reopened; err != nil {
				t.Error(err)
			}
			return ctx.Err()
		}
		if got := count(t, q); got != 1 {
			t.Errorf("%d series", got)
		}
		return nil // an open querier is closed behind it
	})
	if err != nil || calls != 2 {
		t.Errorf("%d calls, %v", calls, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = s.Query(t.Context(), s.QueryReads(), func(_ context.Context, db storage.Queryable) error {
		_, err := db.Querier(0, 1)
		return err
	})
	if !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
