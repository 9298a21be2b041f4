package collect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stripchart/internal/bus"
	"stripchart/internal/schedule"
)

// The bounds of Options.Interval, and its default.
const (
	MinInterval     = 50 * time.Millisecond
	MaxInterval     = time.Hour
	DefaultInterval = time.Second
)

// drainTime is how long Run goes on publishing after its context has ended.
const drainTime = 2 * time.Second

// Options say what to measure and where to publish it.
type Options struct {
	// Interval between two measurements, MinInterval to MaxInterval in whole
	// milliseconds. Zero is DefaultInterval.
	Interval time.Duration
	// Host is the value of the label host. Empty is the system's host name.
	Host string
	// Source identifies the sequence of batches, as bus.CheckSource takes it.
	Source string
	// FirstSeq is the sequence number of the first batch. Zero is 1.
	FirstSeq uint64
	// Publish puts a batch on the bus and owns it from then on. It is called
	// from one goroutine, again with the same batch after an error, and must
	// return soon after its context ends.
	Publish func(ctx context.Context, b *bus.Batch) error
	// Feeds bring batches beside those that are measured here.
	Feeds []Feed
	// Disks and Networks, when set, choose the devices to measure by name
	// instead of the default: whole disks, and interfaces that are neither
	// loopback nor virtual.
	Disks, Networks *regexp.Regexp
	// Logger may be nil, for silence.
	Logger *slog.Logger
	// Registerer is given the collector's own metrics. It may be nil.
	Registerer prometheus.Registerer
}

// Feed makes batches, without source and number, until ctx ends, and returns soon after. It gives the
// batches to queue, which never waits. The collector publishes them in turn with its own batches, as
// batches of its source.
type Feed func(ctx context.Context, queue func(*bus.Batch))

// Collector measures a host once per interval; see the package comment.
type Collector struct {
	interval  time.Duration
	source    string
	feeds     []Feed
	log       *slog.Logger
	metrics   *metrics
	sampler   *sampler
	slow      *slowSampler
	queue     *queue
	publisher *publisher

	mu  sync.Mutex // guards seq, and the order in which batches are queued
	seq uint64     // of the next batch
}

// New returns a collector that does nothing until Run. Errors are about the
// options, the host's name or the registration of metrics.
func New(o Options) (*Collector, error) {
	return newCollector(o, gopsutilProber{})
}

// machine is everything that the collector reads from one machine.
type machine interface {
	prober
	slowProber
}

func newCollector(o Options, p machine) (*Collector, error) {
	if o.Interval == 0 {
		o.Interval = DefaultInterval
	}
	switch {
	case o.Interval < MinInterval || o.Interval > MaxInterval:
		return nil, fmt.Errorf("interval %v is out of bounds: choose one from %v to %v", o.Interval, MinInterval, MaxInterval)
	case o.Interval%time.Millisecond != 0:
		return nil, fmt.Errorf("interval %v is not in whole milliseconds: sample times are; try %v", o.Interval, o.Interval.Round(time.Millisecond))
	case bus.CheckSource(o.Source) != nil:
		return nil, fmt.Errorf("collector needs a source id: %w", bus.CheckSource(o.Source))
	case o.Publish == nil:
		return nil, errors.New("collector needs a function to publish with")
	}
	if o.Host == "" {
		name, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("find the host's name (set one to do without): %w", err)
		}
		o.Host = name
	}
	o.Host = valid(o.Host)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	q := newQueue()
	m, err := newMetrics(o.Registerer, q)
	if err != nil {
		return nil, fmt.Errorf("register the collector's metrics: %w", err)
	}
	return &Collector{
		interval:  o.Interval,
		source:    o.Source,
		seq:       max(o.FirstSeq, 1),
		feeds:     o.Feeds,
		log:       o.Logger,
		metrics:   m,
		sampler:   newSampler(&o, p, m),
		slow:      newSlowSampler(&o, p, m),
		queue:     q,
		publisher: &publisher{queue: q, publish: o.Publish, log: o.Logger, metrics: m},
	}, nil
}

// Run measures until ctx ends, then goes on for at most 2 s to publish what is
// queued. It returns nil when all was published, otherwise an error that says
// how much was not and why. It is called once.
func (c *Collector) Run(ctx context.Context) error {
	// A Publish in flight goes on after ctx has ended, because it may succeed within drainTime.
	pubCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	published := make(chan error, 1)
	go func() { published <- c.publisher.run(pubCtx) }()

	var feeds sync.WaitGroup
	for _, feed := range c.feeds {
		feeds.Go(func() { feed(ctx, c.queueBatch) })
	}
	c.measureUntil(ctx)
	feeds.Wait()

	c.queue.close()
	bound := time.AfterFunc(drainTime, cancel)
	defer bound.Stop()
	err := <-published
	if left, _ := c.queue.held(); left > 0 {
		if err == nil {
			err = context.DeadlineExceeded
		}
		return fmt.Errorf("end with %d measured batches unpublished: %w", left, err)
	}
	return nil
}

// measureUntil measures at each tick until ctx ends.
func (c *Collector) measureUntil(ctx context.Context) {
	now := time.Now().UnixNano()
	ticks := schedule.New(c.interval, now)
	// Rounds have a schedule of their own, because not every interval divides roundInterval. Ticks and
	// rounds share one timer, so that rounds do not wake the processor more often.
	rounds := schedule.New(max(c.interval, roundInterval), now)
	timer := time.NewTimer(min(ticks.Sleep(now), rounds.Sleep(now)))
	defer timer.Stop()
	var round chan *bus.Batch // of the round under way, or nil
	for {
		select {
		case <-ctx.Done():
			if round != nil {
				c.queueBatch(<-round)
			}
			return
		case b := <-round:
			round = nil
			c.queueBatch(b)
			continue
		case <-timer.C:
		}
		tick, ok, skipped := ticks.Due(time.Now().UnixNano())
		c.metrics.skipped.Add(float64(skipped))
		if ok {
			c.measure(ctx, tick/int64(time.Millisecond))
		}
		if tick, ok, _ := rounds.Due(time.Now().UnixNano()); ok && round == nil {
			round = make(chan *bus.Batch, 1)
			go func(done chan<- *bus.Batch) {
				done <- c.slow.measure(ctx, tick/int64(time.Millisecond))
			}(round)
		}
		now := time.Now().UnixNano()
		timer.Reset(min(ticks.Sleep(now), rounds.Sleep(now)))
	}
}

// measure queues the batch of one tick, in Unix milliseconds.
func (c *Collector) measure(ctx context.Context, tick int64) {
	began := time.Now()
	b := c.sampler.measure(ctx, tick)
	c.metrics.measuring.Observe(time.Since(began).Seconds())
	c.queueBatch(b)
}

// queueBatch gives b its place in the sequence and queues it.
func (c *Collector) queueBatch(b *bus.Batch) {
	if len(b.Series) == 0 {
		return // nothing can be measured here, or not yet
	}
	c.mu.Lock()
	b.Source, b.Seq = c.source, c.seq
	c.seq++
	dropped, lost := c.queue.push(b)
	c.mu.Unlock()
	c.metrics.dropped.Add(float64(dropped))
	if dropped > 0 && lost == uint64(dropped) {
		c.log.Warn("the bus is too slow or away: the queue is full and its oldest batches are dropped",
			"batches", maxQueuedBatches, "bytes", maxQueuedBytes)
	}
}
