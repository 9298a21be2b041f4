package redisbus

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"stripchart/internal/backoff"
	"stripchart/internal/bus"
	"stripchart/internal/bus/redislink"
)

const (
	// maxGroup bounds the batches of one pipeline.
	maxGroup = 256
	// maxGroupBytes bounds their bytes, so that the replies come within the timeout on
	// a slow line. A batch above it is a group of its own.
	maxGroupBytes = 1 << 20
	// pingEvery is how often an idle link is checked while the resend window has
	// batches.
	pingEvery = time.Second
	// maxUnproven is after how long a link proves that Redis is back although there was no
	// batch to send; see writer.unproven.
	maxUnproven = 5 * time.Second
)

// item is a batch on its way.
type item struct {
	command []any      // XADD
	bytes   int        // of command, about
	size    int        // of the batch in memory, which counts for the queue's limit
	result  chan error // capacity 1
	acked   time.Time
}

// writer gathers the batches of all callers of Publish into pipelines on one
// link. At most one pipeline is under way, so a source that has one Publish in flight
// has one XADD in flight. Otherwise Redis could refuse #5 (memory full) and accept #6
// behind it; servers would then skip #5 for ever.
type writer struct {
	b      *Bus
	limit  int // bytes in the queue and in flight
	client *redislink.Client

	mu    sync.Mutex // guards everything up to work
	room  *sync.Cond // signalled when bytes or down change, and by wake
	queue []*item
	bytes int   // in the queue and in flight
	down  error // the last attempt to reach Redis failed with this; Publish fails with it at once
	ended bool

	work chan struct{} // capacity 1: the queue is not empty

	// Used by run's goroutine only.
	link   *redislink.Link
	window window
	resent int // batches of window that were sent again over link; all of them before a new one is sent
	pause  backoff.Backoff
	away   bool // client is down
	// unproven is when a server first replied without accepting a batch, because it is the
	// wrong server or not ready. From then on a new link does not prove that Redis is back:
	// an accepted batch does, or maxUnproven without one to send. Zero: a link proves it.
	unproven time.Time
}

// newPause returns the pause between two attempts to reach Redis.
func newPause() backoff.Backoff {
	return backoff.Backoff{First: 20 * time.Millisecond, Max: time.Second}
}

func newWriter(b *Bus, limit int, w window) *writer {
	x := &writer{b: b, limit: limit, client: b.redis.Client(), work: make(chan struct{}, 1), window: w, pause: newPause()}
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

// wake makes callers that wait for room check their contexts.
func (w *writer) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.room.Broadcast()
}

// push appends it to the queue. The caller has reserved the room.
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

// abandon removes it from the queue if it was not sent yet: its caller has given up, and
// may publish the same batch again before this one is sent.
func (w *writer) abandon(it *item) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.Index(w.queue, it); i >= 0 {
		w.queue = slices.Delete(w.queue, i, i+1)
		w.release(it)
	}
}

// release frees the room of it. The caller holds w.mu.
func (w *writer) release(it *item) {
	w.bytes -= it.size
	w.room.Broadcast()
}

// settle passes the outcome to the caller of Publish.
func (w *writer) settle(it *item, err error) {
	it.result <- err
	w.mu.Lock()
	defer w.mu.Unlock()
	w.release(it)
}

// take removes the next group from the queue.
func (w *writer) take() []*item {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, bytes := 0, 0
	for n < len(w.queue) && n < maxGroup && (n == 0 || bytes+w.queue[n].bytes <= maxGroupBytes) {
		bytes += w.queue[n].bytes
		n++
	}
	select {
	case <-w.work: // next looks at the queue itself
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

// setDown sets the error with which Publish fails at once. With an error, the queued
// batches fail too.
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

// run writes until ctx ends, then fails the batches that are left.
func (w *writer) run(ctx context.Context) {
	defer w.end()
	defer w.client.Leave()
	for w.next(ctx) {
		if err := w.ready(ctx); err != nil {
			w.setDown(err)
			w.lost(ctx, err)
			w.pause.Wait(ctx)
			continue
		}
		if group := w.take(); len(group) > 0 {
			w.send(ctx, group)
		} else if err := w.ping(ctx); err != nil {
			w.lose(ctx, err)
		} else if time.Since(w.unproven) > maxUnproven {
			w.up()
		}
	}
}

// next waits until there is work. It returns false when ctx has ended.
//
// A program that never publishes never makes a link. A program whose link was lost makes
// a new one and sends the resend window again, even if it has no new batch.
func (w *writer) next(ctx context.Context) bool {
	if w.link == nil && (w.window.len() > 0 || w.away) {
		return ctx.Err() == nil
	}
	var ping <-chan time.Time
	if w.link != nil {
		if w.resent < w.window.len() {
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

// ready makes a link if there is none, and sends the resend window over it.
func (w *writer) ready(ctx context.Context) error {
	if w.link == nil {
		l, err := w.b.redis.Dial(ctx)
		if err != nil {
			return err
		}
		w.link, w.resent = l, 0
	}
	if w.resent < w.window.len() {
		if err := w.resend(ctx); err != nil {
			return err
		}
	}
	w.pause.Reset()
	w.setDown(nil)
	if w.unproven.IsZero() {
		w.up()
	}
	return nil
}

// drop closes the link. The batches in the window now were acknowledged within its age
// before the loss, so they stay there until they were sent again.
func (w *writer) drop() {
	if w.link != nil {
		w.link.Close()
		w.link = nil
	}
	w.resent = 0
}

// send publishes a group. Each caller gets its own outcome: Redis may refuse the batch of
// one source and accept the batch of another.
func (w *writer) send(ctx context.Context, group []*item) {
	defer context.AfterFunc(ctx, w.link.Close)()
	pipe := w.link.Conn.Pipeline()
	replies := make([]*redis.Cmd, len(group))
	for i, it := range group {
		replies[i] = pipe.Do(ctx, it.command...)
	}
	_, _ = pipe.Exec(ctx) // each reply has its own error
	var failed error
	now := time.Now()
	for i, it := range group {
		switch err := replies[i].Err(); {
		case err == nil:
			it.acked = now
			w.window.add(it)
		case !redislink.Replied(err) || redislink.WrongServer(err):
			failed = w.b.redis.Explain(err)
		default:
			w.client.Refused(err)
		}
	}
	w.b.metrics.forgotten.Add(float64(w.window.prune(now)))
	w.resent = w.window.len()
	for i, it := range group {
		if err := replies[i].Err(); err != nil {
			w.b.metrics.failures.Inc()
			w.settle(it, w.b.redis.Explain(err))
		} else {
			w.b.metrics.published.Inc()
			w.settle(it, nil)
		}
	}
	if failed == nil {
		w.up()
		return
	}
	if redislink.Replied(failed) && w.unproven.IsZero() {
		w.unproven = now
	}
	w.lose(ctx, failed)
}

// up reports that Redis can be used.
func (w *writer) up() {
	w.unproven = time.Time{}
	if w.away || !w.client.WasUp() {
		w.away = false
		w.client.Up()
	}
}

// lost reports that Redis cannot be used.
func (w *writer) lost(ctx context.Context, err error) {
	if ctx.Err() == nil {
		w.away = true
		w.client.Down(err)
	}
}

// ping checks that the link works, and still leads to a master.
func (w *writer) ping(ctx context.Context) error {
	defer context.AfterFunc(ctx, w.link.Close)()
	return w.link.Check(ctx)
}

// lose drops a link that failed.
func (w *writer) lose(ctx context.Context, err error) {
	w.drop()
	w.lost(ctx, err)
}

// end drops the link and fails the batches that are left.
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
