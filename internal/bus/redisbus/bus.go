package redisbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stripchart/internal/bus"
	"stripchart/internal/bus/redislink"
	"stripchart/internal/bus/rw"
)

var (
	errForeignID = errors.New("an entry of the log was not written by this program, and its ID cannot be read; delete the entry")
	errPartly    = errors.New("the rest of the entry was kept")
)

// Defaults of Options.
const (
	DefaultStream      = "stripchart"
	DefaultQueueBytes  = 16 << 20
	DefaultRetainAge   = time.Hour
	DefaultRetainBytes = 512 << 20
	DefaultResendAge   = bus.ResendSpan
	DefaultResendBytes = 16 << 20
)

// Options of Open. Zero values are the defaults.
type Options struct {
	// URL is the address of Redis; package redislink documents its forms.
	URL string
	// Stream names the log; programs with the same name share one. Letters,
	// digits and "._:-", at most 100. Default "stripchart".
	Stream string
	// Logger gets one line when Redis goes away and one when it is back. nil: none.
	Logger *slog.Logger
	// Registerer gets the metrics. nil: none.
	Registerer prometheus.Registerer
	// QueueBytes bounds the batches that are not acknowledged yet; when they exceed it,
	// Publish waits. Default 16 MiB.
	QueueBytes int
	// ResendAge and ResendBytes bound the acknowledged batches that are sent again
	// after a reconnect. Defaults 10 s and 16 MiB. A negative age turns this off, for a
	// source that resends from its spool: two resends that begin at different places
	// would put older batches behind newer ones.
	ResendAge   time.Duration
	ResendBytes int
	// Trim makes this program trim the log: servers do, publishers never.
	Trim bool
	// RetainAge and RetainBytes bound the entries that Trim keeps. Defaults 1 h and 512 MiB.
	RetainAge   time.Duration
	RetainBytes int64
	// Now is the clock that Trim compares the log's with. nil: time.Now.
	Now func() time.Time
}

// Bus implements bus.Bus on a Redis stream.
type Bus struct {
	redis            *redislink.Redis
	logKey, epochKey string
	log              *slog.Logger
	metrics          *metrics
	pool             *redislink.Pool // for End and trimming
	writer           *writer
	encoders         sync.Pool // of *rw.Encoder
	checkpoints      checkpoints
	now              func() time.Time
	retainAge        time.Duration
	retainBytes      int64

	life    context.Context // ends, with cause ErrClosed, when the bus is closed
	endLife context.CancelCauseFunc

	mu         sync.Mutex // guards everything below
	closed     bool
	calls      sync.WaitGroup // calls and goroutines under way; Add under mu
	foreignAt  time.Time      // when foreign last wrote to the log
	foreignNow int            // calls of foreign since then
}

// Open returns a bus on the stream that o names. It only checks o: Redis may be
// away, and the bus connects when it needs to.
func Open(ctx context.Context, o Options) (*Bus, error) {
	stream := or(o.Stream, DefaultStream)
	if len(stream) > 100 || strings.Trim(stream, streamLetters) != "" {
		return nil, fmt.Errorf("stream name %.40q: want letters, digits and ._:-, at most 100", stream)
	}
	b := &Bus{
		logKey: "{" + stream + "}:log", epochKey: "{" + stream + "}:epoch",
		log: o.Logger, now: o.Now, retainAge: or(o.RetainAge, DefaultRetainAge), retainBytes: or(o.RetainBytes, DefaultRetainBytes),
	}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if b.redis, err = redislink.New(o.URL, b.logKey, b.log); err != nil {
		return nil, err
	}
	if b.now == nil {
		b.now = time.Now
	}
	b.encoders.New = func() any { return new(rw.Encoder) }
	b.pool = b.redis.Pool()
	b.writer = newWriter(b, or(o.QueueBytes, DefaultQueueBytes), window{age: or(o.ResendAge, DefaultResendAge), limit: or(o.ResendBytes, DefaultResendBytes)})
	if b.metrics, err = newMetrics(o.Registerer, b); err != nil {
		return nil, fmt.Errorf("metrics of the bus: %w", err)
	}
	b.life, b.endLife = context.WithCancelCause(context.WithoutCancel(ctx))
	b.calls.Go(func() { b.writer.run(b.life) })
	if o.Trim {
		b.calls.Go(func() { b.trimming(b.life) })
	}
	return b, nil
}

const streamLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-"

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

func (b *Bus) keys() []string { return []string{b.logKey, b.epochKey} }

// enter counts a call, so that Close waits for it, and returns a context that
// ends with the bus too. leave must be called.
func (b *Bus) enter(ctx context.Context) (_ context.Context, leave func(), err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, nil, bus.ErrClosed
	}
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	b.calls.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(b.life, func() { cancel(bus.ErrClosed) })
	return ctx, func() { stop(); cancel(nil); b.calls.Done() }, nil
}

// Publish implements bus.Bus. While Redis is away it fails at once, or after the
// timeouts of the attempt that finds out (at most about 6 s). Returns
// redislink.ErrOldServer too.
func (b *Bus) Publish(ctx context.Context, batch *bus.Batch) error {
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	size := batch.Size()
	if size > b.writer.limit {
		return fmt.Errorf("publish %d bytes: %w (%d bytes)", size, bus.ErrTooLarge, b.writer.limit)
	}
	start := time.Now()
	stop := context.AfterFunc(ctx, b.writer.wake)
	err = b.writer.reserve(ctx, size)
	stop()
	if err != nil {
		return b.cause(ctx, err)
	}
	it := b.item(batch, size)
	b.writer.push(it)
	select {
	case err := <-it.result:
		if err == nil {
			b.metrics.publishing.Observe(time.Since(start).Seconds())
			return nil
		}
		return b.cause(ctx, err)
	case <-ctx.Done():
		b.writer.abandon(it)
		return context.Cause(ctx)
	}
}

// cause returns why ctx ended, if it did: err is a consequence of it then.
func (b *Bus) cause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	// The client library sets the context's deadline on the socket, which may expire first.
	if d, ok := ctx.Deadline(); ok && !time.Now().Before(d) {
		return context.DeadlineExceeded
	}
	return err
}

// item encodes a batch.
func (b *Bus) item(batch *bus.Batch, size int) *item {
	e := b.encoders.Get().(*rw.Encoder)
	payload := e.Append(nil, batch)
	b.encoders.Put(e)
	const overhead = 100 // of the command around the payload
	return &item{
		command: xadd(b.logKey, batch, payload), bytes: len(payload) + len(batch.Source) + overhead,
		size: size, result: make(chan error, 1),
	}
}

// End implements bus.Bus. Unlike Tail it does not wait while Redis is away, but the
// failure is in the log and in Status too. Returns redislink.ErrOldServer too.
func (b *Bus) End(ctx context.Context) (p bus.Position, err error) {
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return bus.Position{}, err
	}
	defer leave()
	err = b.pool.Do(ctx, func(l *redislink.Link) error {
		p, err = b.end(ctx, l)
		return err
	})
	if err != nil {
		return bus.Position{}, b.cause(ctx, err)
	}
	return p, nil
}

// Status says whether Redis can be used.
func (b *Bus) Status() redislink.Status { return b.redis.Status() }

// foreign counts an entry in a foreign format, and logs it at most every foreignEvery.
func (b *Bus) foreign(id string, err error) {
	b.metrics.malformed.Inc()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.foreignNow++
	if now := time.Now(); now.Sub(b.foreignAt) >= foreignEvery {
		b.log.Warn("the log in Redis has entries that cannot be read; skipped", "entry", id, "entries", b.foreignNow, "error", err)
		b.foreignAt, b.foreignNow = now, 0
	}
}

const foreignEvery = 10 * time.Second

// Close implements bus.Bus. Batches that are not acknowledged yet never will be.
func (b *Bus) Close() error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.endLife(bus.ErrClosed)
	b.pool.Close()
	b.calls.Wait()
	return nil
}
