package redisbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9/logging"

	"stripchart/internal/bus"
	"stripchart/internal/bus/rw"
)

var (
	// ErrOldServer means that the server is older than Redis 6.2, and that this bus
	// has met no other yet: the address is wrong, or nobody has upgraded it. Trying
	// again does not help.
	ErrOldServer = fmt.Errorf("%w: the server is too old", bus.ErrUnusable)

	errForeignID = errors.New("the log holds an entry that no bus wrote; delete it")
	errPartly    = errors.New("the rest of the entry was kept")
)

// Defaults of Options.
const (
	DefaultStream      = "stripchart"
	DefaultQueueBytes  = 16 << 20
	DefaultRetainAge   = time.Hour
	DefaultRetainBytes = 512 << 20
	DefaultResendAge   = 10 * time.Second
	DefaultResendBytes = 16 << 20
)

// Options of Open. Zero values are the defaults.
type Options struct {
	// URL says where Redis is; see the package comment for its forms.
	URL string
	// Stream names the log; programs with the same name share one. Letters,
	// digits and "._:-", at most 100. Default "stripchart".
	Stream string
	// Logger gets one line when Redis goes and one when it is back. nil: none.
	Logger *slog.Logger
	// Registerer gets the metrics. nil: none.
	Registerer prometheus.Registerer
	// QueueBytes bounds the batches that are not acknowledged yet; a Publish
	// beyond it waits. Default 16 MiB.
	QueueBytes int
	// ResendAge and ResendBytes bound the acknowledged batches that are sent again
	// after a reconnect. Defaults 10 s and 16 MiB; a negative age is none, for a
	// source that resends from its spool: two resends that begin at different
	// places would bring older batches behind newer ones.
	ResendAge   time.Duration
	ResendBytes int
	// Trim makes this program trim the log: servers do, publishers never.
	Trim bool
	// RetainAge and RetainBytes are what Trim leaves. Defaults 1 h and 512 MiB.
	RetainAge   time.Duration
	RetainBytes int64
	// Now is the clock that Trim compares the log's with. nil: time.Now.
	Now func() time.Time
}

// Bus implements bus.Bus on a Redis stream.
type Bus struct {
	address          *address
	logKey, epochKey string
	log              *slog.Logger
	metrics          *metrics
	health           *health
	asking           *part // End and trimming
	writer           *writer
	encoders         sync.Pool // of *rw.Encoder
	trail            trail
	now              func() time.Time
	retainAge        time.Duration
	retainBytes      int64
	policySeen       atomic.Bool
	met              atomic.Bool // a server that will do was there

	life    context.Context // ends, with cause ErrClosed, when the bus is closed
	endLife context.CancelCauseFunc

	mu         sync.Mutex // guards everything below
	closed     bool
	calls      sync.WaitGroup // calls and goroutines under way; Add under mu
	spare      *link          // for End and trimming, nil while one of them has it
	foreignAt  time.Time      // when foreign last wrote to the log
	foreignNow int            // calls of foreign since then
}

// Open returns a bus on the stream that o names. It only checks o: Redis may be
// away, and is connected to when it is needed.
func Open(ctx context.Context, o Options) (*Bus, error) {
	stream := or(o.Stream, DefaultStream)
	if len(stream) > 100 || strings.Trim(stream, streamLetters) != "" {
		return nil, fmt.Errorf("stream name %.40q: want letters, digits and ._:-, at most 100", stream)
	}
	b := &Bus{
		logKey: "{" + stream + "}:log", epochKey: "{" + stream + "}:epoch",
		log: o.Logger, now: o.Now, retainAge: or(o.RetainAge, DefaultRetainAge), retainBytes: or(o.RetainBytes, DefaultRetainBytes),
	}
	var err error
	if b.address, err = parseAddress(o.URL, b.logKey); err != nil {
		return nil, err
	}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	if b.now == nil {
		b.now = time.Now
	}
	b.encoders.New = func() any { return new(rw.Encoder) }
	b.health = newHealth(b.log)
	b.asking = b.health.part()
	b.writer = newWriter(b, or(o.QueueBytes, DefaultQueueBytes), window{age: or(o.ResendAge, DefaultResendAge), limit: or(o.ResendBytes, DefaultResendBytes)})
	if b.metrics, err = newMetrics(o.Registerer, b); err != nil {
		return nil, fmt.Errorf("metrics of the bus: %w", err)
	}
	// The client writes a line to standard error for each try to connect.
	logging.Disable()
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

// Publish implements bus.Bus. While Redis is away it fails at once, or after
// the timeouts of the try that finds out (at most about 6 s). Returns ErrOldServer too.
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

// cause returns why ctx ended, if it did: then err is only how that showed.
func (b *Bus) cause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	// The client gives the socket the context's deadline, which may strike first.
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

// End implements bus.Bus. Unlike Tail it does not wait for a Redis that is
// away; that it is, is in the log and in Status all the same. Returns ErrOldServer too.
func (b *Bus) End(ctx context.Context) (p bus.Position, err error) {
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return bus.Position{}, err
	}
	defer leave()
	err = b.with(ctx, func(l *link) error {
		p, err = b.end(ctx, l)
		return err
	})
	if err != nil {
		return bus.Position{}, b.cause(ctx, err)
	}
	return p, nil
}

// with calls f with the spare link, or a new one. Its errors say what to do.
func (b *Bus) with(ctx context.Context, f func(l *link) error) (err error) {
	linked := false
	defer func() {
		if err == nil {
			b.asking.up()
			return
		}
		err = b.address.explain(err, false)
		switch {
		case ctx.Err() != nil:
		case linked && replied(err) && !elsewhere(err):
			b.asking.refused(err)
		default:
			b.asking.lost(err)
		}
	}()
	b.mu.Lock()
	l := b.spare
	b.spare = nil
	b.mu.Unlock()
	if l != nil {
		stop := context.AfterFunc(ctx, l.close)
		err := l.greet(ctx)
		if stop(); err != nil { // it broke while nobody looked
			l.close()
			l = nil
		}
	}
	if l == nil {
		if l, err = b.dial(ctx); err != nil {
			return err
		}
	}
	linked = true
	stop := context.AfterFunc(ctx, l.close)
	err = f(l)
	interrupted := !stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	if interrupted || err != nil || b.closed || b.spare != nil {
		l.close()
	} else {
		b.spare = l
	}
	return err
}

// Status says whether Redis is there.
func (b *Bus) Status() Status { return b.health.get() }

// foreign counts an entry that is not ours to read, and says so at most every
// foreignEvery.
func (b *Bus) foreign(id string, err error) {
	b.metrics.malformed.Inc()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.foreignNow++
	if now := time.Now(); now.Sub(b.foreignAt) >= foreignEvery {
		b.log.Warn("the log in Redis holds what cannot be read; skipped", "entry", id, "entries", b.foreignNow, "error", err)
		b.foreignAt, b.foreignNow = now, 0
	}
}

const foreignEvery = 10 * time.Second

// Close implements bus.Bus. What is not acknowledged stays so.
func (b *Bus) Close() error {
	b.mu.Lock()
	b.closed = true
	spare := b.spare
	b.spare = nil
	b.mu.Unlock()
	b.endLife(bus.ErrClosed)
	if spare != nil {
		spare.close()
	}
	b.calls.Wait()
	return nil
}
