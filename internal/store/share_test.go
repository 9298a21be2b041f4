package store

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestNoReaderStarvesAnotherShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queries, pages := NewShare(2, time.Minute), NewShare(4, 5*time.Second)
		release := make(chan struct{})
		for range 10 {
			go func() {
				_ = queries.Read(t.Context(), func(context.Context) error { <-release; return nil })
			}()
		}
		synctest.Wait()
		if under, waiting := len(queries.slots), queries.waiting.Load(); under != 2 || waiting != 8 {
			t.Errorf("%d under way, %d waiting", under, waiting)
		}
		if err := pages.Read(t.Context(), func(context.Context) error { return nil }); err != nil {
			t.Errorf("a page: %v", err)
		}
		close(release)
		synctest.Wait()
		if under, waiting := len(queries.slots), queries.waiting.Load(); under != 0 || waiting != 0 {
			t.Errorf("in the end %d under way, %d waiting", under, waiting)
		}
	})
}

func TestReadHasALimitWaitingIncluded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewShare(1, 5*time.Second)
		start := time.Now()
		go func() {
			err := s.Read(t.Context(), func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != 5*time.Second {
				t.Errorf("%v after %v", err, took)
			}
		}()
		time.Sleep(time.Second)
		if err := s.Read(t.Context(), func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		// It had 1 s left when its turn came.
		if took := time.Since(start); took != 6*time.Second {
			t.Errorf("waiting does not count: %v", took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s.slots <- struct{}{}
		if err := s.Read(ctx, func(context.Context) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("a reader that has left: %v", err)
		}
	})
}
