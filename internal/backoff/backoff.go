// Package backoff is the pause between two attempts at something that failed.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff is a pause that doubles with each failure, from First to Max. Each pause is
// shortened by a random part of up to a half, so that many programs do not retry at the
// same instant. It is for one goroutine.
type Backoff struct {
	First, Max time.Duration

	next time.Duration // before the random part; 0: First
}

// Next returns the pause after another failure.
func (b *Backoff) Next() time.Duration {
	d := max(b.next, b.First)
	b.next = min(2*d, b.Max)
	if d < 2 {
		return d
	}
	return d - rand.N(d/2)
}

// Reset makes the next pause the first: an attempt succeeded.
func (b *Backoff) Reset() { b.next = 0 }

// Wait waits for the next pause. It returns false when ctx ended before.
func (b *Backoff) Wait(ctx context.Context) bool {
	t := time.NewTimer(b.Next())
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
