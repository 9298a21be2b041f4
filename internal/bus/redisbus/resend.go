package redisbus

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"stripchart/internal/bus/redislink"
)

// window is the resend window: the newest acknowledged batches, oldest first. A Redis
// that restarts or fails over may lose them, as its appendfsync and replication allow, and
// then only their sources still have them.
type window struct {
	age   time.Duration
	limit int // bytes
	items []*item
	bytes int
}

func (w *window) len() int { return len(w.items) }

func (w *window) add(it *item) {
	w.items = append(w.items, it)
	w.bytes += it.bytes
}

// prune removes the batches that are older than the window's age, and then the oldest
// ones beyond its limit. early is how many the limit cost.
func (w *window) prune(now time.Time) (early int) {
	n := 0
	for ; n < len(w.items); n++ {
		old := now.Sub(w.items[n].acked) > w.age
		if !old && w.bytes <= w.limit {
			break
		}
		if !old {
			early++
		}
		w.bytes -= w.items[n].bytes
		w.items[n] = nil
	}
	w.items = w.items[n:]
	return early
}

// aborted reports whether err is the reply to EXEC after Redis refused a command of the
// transaction.
func aborted(err error) bool { return redislink.HasCode(err, "EXECABORT") }

const (
	maxChunk      = 64
	maxChunkBytes = 1 << 20
)

// resend sends the window again, in order, before any new batch. Servers skip the
// duplicates. A new batch before a lost one would make them skip the lost one for ever.
//
// The chunks are transactions. In a plain pipeline Redis may refuse #5 (memory full) and
// accept #6 a moment later (memory freed), with the same effect. Redis accepts a chunk as
// a whole or not at all, and the next chunk is sent only after that.
func (w *writer) resend(ctx context.Context) error {
	defer context.AfterFunc(ctx, w.link.Close)()
	for w.resent < w.window.len() {
		chunk, bytes := w.window.items[w.resent:], 0
		for i, it := range chunk {
			if bytes += it.bytes; i == maxChunk || i > 0 && bytes > maxChunkBytes {
				chunk = chunk[:i]
				break
			}
		}
		tx := w.link.Conn.TxPipeline()
		replies := make([]*redis.Cmd, len(chunk))
		for i, it := range chunk {
			replies[i] = tx.Do(ctx, it.command...)
		}
		_, err := tx.Exec(ctx)
		for i := 0; i < len(replies) && err == nil; i++ {
			err = replies[i].Err()
		}
		if err != nil {
			// The reply to EXEC only says that a command was refused; the command's own reply says why.
			for _, reply := range replies {
				if e := reply.Err(); e != nil && !aborted(e) {
					err = e
					break
				}
			}
			if !redislink.Replied(err) || redislink.WrongServer(err) || aborted(err) {
				w.drop()
			}
			return w.b.redis.Explain(fmt.Errorf("send the last acknowledged batches again: %w", err))
		}
		now := time.Now()
		for _, it := range chunk {
			it.acked = now
		}
		w.resent += len(chunk)
		w.unproven = time.Time{}
		w.b.metrics.resent.Add(float64(len(chunk)))
	}
	return nil
}
