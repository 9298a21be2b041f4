package redisbus

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"stripchart/internal/bus"
)

const (
	// maxGroup bounds the batches of one pipeline.
	maxGroup = 256
	// maxGroupBytes bounds it in bytes, so that its answers come within the
	// timeout on a slow line. A larger batch is a group of its own.
	maxGroupBytes = 1 << 20
	// pingEvery is how often an idle link is looked at while there are batches to
	// send again if it should be lost.
	pingEvery = time.Second
	// maxDoubt is how long a server is not believed that answers and took nothing,
	// while there is nothing to try it with.
	maxDoubt = 5 * time.Second
)

// item is a batch on its way.
type item struct {
	command []any // XADD
	bytes   int   // of command, about
	size    int   // of the batch in memory: what counts in the queue
	result  chan error
	acked   time.Time
}

// writer gathers the batches of all callers of Publish into pipelines on one
// link. At most one pipeline is under way, so a source that has one Publish in
// flight has one XADD in flight: were #6 sent behind #5, #5 could be refused
// (memory full) and #6 taken, and servers would skip #5 for ever.
type writer struct {
	b     *Bus
	limit int // bytes in queue and in flight
	part  *part

	mu    sync.Mutex // guards everything below
	room  *sync.Cond // signalled when bytes or down change, and on wake
	queue []*item
	bytes int   // of the queue and of what is in flight
	down  error // the last try to reach Redis failed with this; Publish fails with it at once
	ended bool

	work chan struct{} // of one: the queue is not empty

	// Of the goroutine that runs.
	link   *link
	window window
	owing  int // how much of the window was sent again over link; len when all was
	pause  backoff
	away   bool // the part is lost
	// doubt is since when a server has answered and taken nothing, not being the right
	// one or not ready: a link alone is no sign then that Redis is back. Zero: none.
	doubt time.Time
}

func newWriter(b *Bus, limit int, w window) *writer {
	x := &writer{b: b, limit: limit, part: b.health.part(), work: make(chan struct{}, 1), window: w}
	x.room = sync.NewCond(&x.mu)
	return x
}

// reserve waits for room for size bytes.
func (w *writer) reserve(ctx context.Context, size int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.ended && w.down == nil && ctx.Err() == nil && w.bytes > 0 && w.bytes+size > w.limit {
		w.room.Wait()
	}
	switch {
	case w.ended:
		return bus.ErrClosed
	case ctx.Err() != nil:
		return ctx.Err()
	case w.down != nil:
		return w.down
	}
	w.bytes += size
	return nil
}

// wake lets callers that wait for room look at their contexts.
func (w *writer) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.room.Broadcast()
}

// push queues it, for which there is room.
func (w *writer) push(it *item) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		it.result <- bus.ErrClosed
		return
	}
	w.queue = append(w.queue, it)
	select {
	case w.work <- struct{}{}:
	default:
	}
}

// abandon takes it out of the queue if it was not sent yet: its caller gave up,
// and may publish the same batch again before this one's turn.
func (w *writer) abandon(it *item) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.Index(w.queue, it); i >= 0 {
		w.queue = slices.Delete(w.queue, i, i+1)
		w.release(it)
	}
}

// release gives it's room back. The caller holds w.mu.
func (w *writer) release(it *item) {
	w.bytes -= it.size
	w.room.Broadcast()
}

// settle tells the caller of it what came of it.
func (w *writer) settle(it *item, err error) {
	it.result <- err
	w.mu.Lock()
	defer w.mu.Unlock()
	w.release(it)
}

// take returns the next group.
func (w *writer) take() []*item {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, bytes := 0, 0
	for n < len(w.queue) && n < maxGroup && (n == 0 || bytes+w.queue[n].bytes <= maxGroupBytes) {
		bytes += w.queue[n].bytes
		n++
	}
	select {
	case <-w.work: // it was for what is taken now, or next sees the rest
	default:
	}
	group := slices.Clone(w.queue[:n])
	w.queue = slices.Delete(w.queue, 0, n)
	return group
}

func (w *writer) waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bytes
}

// setDown sets why Publish fails at once; with an error, what waits fails too.
func (w *writer) setDown(err error) {
	w.mu.Lock()
	w.down = err
	var failed []*item
	if err != nil {
		failed, w.queue = w.queue, nil
	}
	w.room.Broadcast()
	w.mu.Unlock()
	for _, it := range failed {
		w.b.metrics.failures.Inc()
		w.settle(it, err)
	}
}

// run writes until ctx ends, then fails what is left.
func (w *writer) run(ctx context.Context) {
	defer w.end()
	defer w.part.leave()
	for w.next(ctx) {
		if err := w.ready(ctx); err != nil {
			w.setDown(err)
			w.lost(ctx, err)
			w.pause.wait(ctx)
			continue
		}
		if group := w.take(); len(group) > 0 {
			w.send(ctx, group)
		} else if err := w.ping(ctx); err != nil {
			w.lose(ctx, err)
		} else if time.Since(w.doubt) > maxDoubt {
			w.up()
		}
	}
}

// next waits until there is something to do. Without a link that is a batch to
// send: a program that never publishes needs no link. One whose link was lost
// makes it again, and sends the last seconds again, even if it has nothing new.
func (w *writer) next(ctx context.Context) bool {
	if w.link == nil && (w.window.len() > 0 || w.away) {
		return ctx.Err() == nil
	}
	var ping <-chan time.Time
	if w.link != nil {
		if w.owing < w.window.len() {
			return ctx.Err() == nil
		}
		if w.window.prune(time.Now()); w.window.len() > 0 || w.away {
			t := time.NewTimer(pingEvery)
			defer t.Stop()
			ping = t.C
		}
	}
	w.mu.Lock()
	queued := len(w.queue) > 0
	w.mu.Unlock()
	if queued {
		return ctx.Err() == nil
	}
	select {
	case <-w.work:
	case <-ping:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// ready makes sure of a link over which everything was sent again that has to be.
func (w *writer) ready(ctx context.Context) error {
	if w.link == nil {
		l, err := w.b.dial(ctx)
		if err != nil {
			return err
		}
		w.link, w.owing = l, 0
	}
	if w.owing < w.window.len() {
		if err := w.resend(ctx); err != nil {
			return err
		}
	}
	w.pause = backoff{}
	w.setDown(nil)
	if w.doubt.IsZero() {
		w.up()
	}
	return nil
}

// drop gives the link up. What is in the window from now on stays there until it
// was sent again: it was acknowledged within the window's age before the loss.
func (w *writer) drop() {
	if w.link != nil {
		w.link.close()
		w.link = nil
	}
	w.owing = 0
}

// send publishes a group. Each caller gets its own answer: one source's batch
// may be refused and another's taken.
func (w *writer) send(ctx context.Context, group []*item) {
	defer context.AfterFunc(ctx, w.link.close)()
	pipe := w.link.conn.Pipeline()
	answers := make([]*redis.Cmd, len(group))
	for i, it := range group {
		answers[i] = pipe.Do(ctx, it.command...)
	}
	_, _ = pipe.Exec(ctx) // each answer has its own error
	var failed error
	now := time.Now()
	for i, it := range group {
		err := answers[i].Err()
		if err == nil {
			it.acked = now
			w.window.add(it)
		} else if err = w.b.address.explain(err, false); !replied(err) || elsewhere(err) {
			failed = err
		} else {
			w.part.refused(err)
		}
	}
	w.b.metrics.forgotten.Add(float64(w.window.prune(now)))
	w.owing = w.window.len()
	for i, it := range group {
		if err := answers[i].Err(); err != nil {
			w.b.metrics.failures.Inc()
			w.settle(it, w.b.address.explain(err, false))
		} else {
			w.b.metrics.published.Inc()
			w.settle(it, nil)
		}
	}
	if failed == nil {
		w.up()
		return
	}
	if replied(failed) && w.doubt.IsZero() {
		w.doubt = now
	}
	w.lose(ctx, failed)
}

// up says that Redis is there.
func (w *writer) up() {
	w.doubt = time.Time{}
	if w.away || !w.part.linked {
		w.away = false
		w.part.up()
	}
}

// lost says that it is not.
func (w *writer) lost(ctx context.Context, err error) {
	if ctx.Err() == nil {
		w.away = true
		w.part.lost(w.b.address.explain(err, false))
	}
}

// ping looks whether the link is there, and still leads to a master.
func (w *writer) ping(ctx context.Context) error {
	defer context.AfterFunc(ctx, w.link.close)()
	return w.link.greet(ctx)
}

// lose gives up a link that broke while it was used.
func (w *writer) lose(ctx context.Context, err error) {
	w.drop()
	w.lost(ctx, err)
}

// end fails what is left.
func (w *writer) end() {
	w.drop()
	w.mu.Lock()
	w.ended = true
	left := w.queue
	w.queue = nil
	w.room.Broadcast()
	w.mu.Unlock()
	for _, it := range left {
		w.settle(it, bus.ErrClosed)
	}
}
