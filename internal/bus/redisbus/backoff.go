package redisbus

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff is the time between two tries: doubled with each, up to a second, and
// a random part of it, so that many programs do not return at one instant.
type backoff struct{ next time.Duration }

const (
	firstPause = 20 * time.Millisecond
	maxPause   = time.Second
)

// wait returns after the pause or when ctx ends.
func (b *backoff) wait(ctx context.Context) {
	b.next = min(max(2*b.next, firstPause), maxPause)
	t := time.NewTimer(b.next/2 + rand.N(b.next/2))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
