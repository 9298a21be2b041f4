package redisbus

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"stripchart/internal/bus/redislink"
)

const (
	trimEvery   = 5 * time.Second
	trimTimeout = 10 * time.Second
)

// trimming keeps the log within its bounds until ctx ends.
func (b *Bus) trimming(ctx context.Context) {
	t := time.NewTicker(trimEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		// A round that failed is in Status and the log; the next round, or another
		// server's, makes up for it.
		_ = b.trimOnce(ctx)
	}
}

// trimOnce removes the entries that are older than RetainAge, or beyond RetainBytes.
//
// The age is counted from the newest entry or this server's clock, whichever is
// earlier: by its own clock alone, a server whose clock is an hour ahead would
// erase the whole log (MINID accepts any value). So the newest entry always stays.
func (b *Bus) trimOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, trimTimeout)
	defer cancel()
	return b.pool.Do(ctx, func(l *redislink.Link) error {
		newest, err := l.Conn.XRevRangeN(ctx, b.logKey, "+", "-", 1).Result()
		if err != nil || len(newest) == 0 {
			b.metrics.logEntries.Set(0)
			return err
		}
		offset, err := parseID(newest[0].ID)
		if err != nil {
			return err
		}
		oldest := min(offset.Ms, b.now().UnixMilli()) - b.retainAge.Milliseconds()
		for oldest > 0 {
			n, err := l.Conn.XTrimMinIDApprox(ctx, b.logKey, strconv.FormatInt(oldest, 10), 0).Result()
			if err != nil {
				return err
			}
			if b.metrics.trimmed.Add(float64(n)); n == 0 { // one call removes a bounded number
				break
			}
		}
		return b.trimBytes(ctx, l)
	})
}

// trimBytes keeps the stream's memory within RetainBytes. It assumes that all entries
// have the same size; the next round corrects the error.
func (b *Bus) trimBytes(ctx context.Context, l *redislink.Link) error {
	entries, err := l.Conn.XLen(ctx, b.logKey).Result()
	if err != nil {
		return err
	}
	bytes, err := l.Conn.MemoryUsage(ctx, b.logKey, memorySamples).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	if bytes > b.retainBytes {
		keep := max(1, int64(float64(entries)*float64(b.retainBytes)/float64(bytes)))
		n, err := l.Conn.XTrimMaxLenApprox(ctx, b.logKey, keep, 0).Result()
		if err != nil {
			return err
		}
		b.metrics.trimmed.Add(float64(n))
		entries -= n
	}
	b.metrics.logEntries.Set(float64(entries))
	b.metrics.logBytes.Set(float64(bytes))
	return nil
}

// memorySamples is how many nodes of the stream MEMORY USAGE measures.
const memorySamples = 100
