package redisbus

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// window holds the batches that were acknowledged last, oldest first: a Redis
// that restarts or fails over may have lost them, as its appendfsync and
// replication allow, and only their sources still have them.
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

// prune forgets what is older than the window's age, and then the oldest beyond
// its bound; it returns how many the bound cost.
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

// aborted reports whether err is EXEC's, after a command of the transaction was refused.
func aborted(err error) bool { return saysFirst(err, "EXECABORT") }

const (
	maxChunk      = 64
	maxChunkBytes = 1 << 20
)

// resend sends the window again, in order, before anything new: servers skip
// what they have seen, and a new batch that came before a lost one would make
// them skip the lost one for ever.
//
// The chunks are transactions. In a plain pipeline Redis may refuse #5 (memory
// full) and take #6 a moment later (memory freed), with the same effect. A chunk
// is taken as a whole or not at all, and the next is not sent before it is.
func (w *writer) resend(ctx context.Context) error {
	defer context.AfterFunc(ctx, w.link.close)()
	for w.owing < w.window.len() {
		chunk, bytes := w.window.items[w.owing:], 0
		for i, it := range chunk {
			if bytes += it.bytes; i == maxChunk || i > 0 && bytes > maxChunkBytes {
				chunk = chunk[:i]
				break
			}
		}
		tx := w.link.conn.TxPipeline()
		answers := make([]*redis.Cmd, len(chunk))
		for i, it := range chunk {
			answers[i] = tx.Do(ctx, it.command...)
		}
		_, err := tx.Exec(ctx)
		for i := 0; i < len(answers) && err == nil; i++ {
			err = answers[i].Err()
		}
		if err != nil {
			// EXEC says no more than that something was refused; the command says what.
			for _, answer := range answers {
				if e := answer.Err(); e != nil && !aborted(e) {
					err = e
					break
				}
			}
			if !replied(err) || elsewhere(err) || aborted(err) {
				w.drop()
			}
			return w.b.address.explain(fmt.Errorf("send again what was acknowledged last: %w", err), false)
		}
		now := time.Now()
		for _, it := range chunk {
			it.acked = now
		}
		w.owing += len(chunk)
		w.doubt = time.Time{}
		w.b.metrics.resent.Add(float64(len(chunk)))
	}
	return nil
}
