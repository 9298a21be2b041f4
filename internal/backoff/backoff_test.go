package backoff

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestThePauseDoublesToItsBoundAndBeginsAgainAfterASuccess(t *testing.T) {
	b := Backoff{First: 100 * time.Millisecond, Max: time.Second}
	for round := range 2 {
		for i, most := range []time.Duration{100, 200, 400, 800, 1000, 1000} {
			most *= time.Millisecond
			if d := b.Next(); d > most || d <= most/2 {
				t.Errorf("round %d, pause %d: %v, want more than %v and at most %v", round, i+1, d, most/2, most)
			}
		}
		b.Reset()
	}
}

func TestProgramsThatFailTogetherDoNotRetryTogether(t *testing.T) {
	pauses := map[time.Duration]bool{}
	for range 100 {
		b := Backoff{First: time.Second, Max: time.Second}
		pauses[b.Next()] = true
	}
	if len(pauses) < 50 {
		t.Errorf("100 programs have %d different pauses", len(pauses))
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := Backoff{First: time.Second, Max: time.Hour}
		began := time.Now()
		if !b.Wait(t.Context()) || time.Since(began) > time.Second || time.Since(began) <= time.Second/2 {
			t.Errorf("the first pause took %v", time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		began = time.Now()
		if b.Wait(ctx) || time.Since(began) != 10*time.Millisecond {
			t.Errorf("the pause ended after %v, its context after 10ms", time.Since(began))
		}
	})
}
