//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"stripchart/bench/child"
	"stripchart/bench/load"
	"stripchart/bench/measure"
	"stripchart/internal/bus/redisbus/redistest"
)

// Metrics of the program.
const (
	metricBatches = "stripchart_batches_total"
	metricSamples = "stripchart_samples_total"
	metricStalls  = "stripchart_viewer_stalls_total"
	metricMissing = "stripchart_batches_missing_total"
)

// situation is what is measured together.
type situation struct {
	memory  bool // the yardstick: no Redis between source and server
	sources int
	shape   shape
}

func (s situation) bus() string {
	if s.memory {
		return "memory"
	}
	return "Redis"
}

func (s situation) String() string {
	return fmt.Sprintf("%s, %d sources, batches of %v", s.bus(), s.sources, s.shape)
}

// system is a situation's processes, and its viewers.
type system struct {
	redis   *redistest.Server // nil: memory
	server  *child.Child
	source  *exec.Cmd // the server's own when in memory
	control *control
	fleet   *load.Fleet
	watch   *watch
	dir     string
	shape   shape
}

// serve starts the real program on a Redis.
func (b *bench) serve(url, dir string) (*child.Child, error) {
	return child.Program(exec.CommandContext(b.ctx, b.binary, "serve", "--bus", url, "--listen", "127.0.0.1:0", "--data-dir", dir))
}

// start has everything run, with viewers in their rooms and all series known.
func (b *bench) start(s situation, viewers int) (x *system, err error) {
	b.systems++
	x = &system{dir: filepath.Join(b.dir, strconv.Itoa(b.systems)), shape: s.shape}
	defer func() {
		if err != nil {
			x.close()
		}
	}()
	if err := os.MkdirAll(filepath.Join(x.dir, "redis"), 0o700); err != nil {
		return x, err
	}
	data := filepath.Join(x.dir, "data")
	if s.memory {
		cmd := b.role(roleMemory, data, "", s)
		if x.control, err = controlOf(cmd); err != nil {
			return x, err
		}
		if x.server, err = child.Program(cmd); err != nil {
			return x, err
		}
	} else {
		if x.redis, err = redistest.New(filepath.Join(x.dir, "redis"), redistest.Options{}); err != nil {
			return x, err
		}
		cmd := b.role(roleSource, "", x.redis.URL, s)
		cmd.Stderr = b.log
		if x.control, err = controlOf(cmd); err != nil {
			return x, err
		}
		if err := cmd.Start(); err != nil {
			return x, err
		}
		x.source = cmd
		if x.server, err = b.serve(x.redis.URL, data); err != nil {
			return x, err
		}
	}
	if viewers == 0 {
		return x, nil
	}
	x.watch = newWatch(viewers)
	x.fleet, err = load.New(load.Plan{Server: x.server.Address, Viewers: viewers, Queries: rooms(s.sources), Record: x.watch.record})
	if err != nil {
		return x, err
	}
	if err := x.fleet.Connect(time.Minute); err != nil {
		return x, err
	}
	return x, x.settle("fill 3")
}

func (x *system) close() {
	if x.fleet != nil {
		x.fleet.Close()
	}
	if x.source != nil {
		_ = x.source.Process.Kill() // it may have ended
		_ = x.source.Wait()
	}
	if x.server != nil {
		x.server.Kill()
	}
	if x.redis != nil {
		x.redis.Kill9()
	}
	_ = os.RemoveAll(x.dir) // what is left goes with bench.dir
}

// do has the sources carry out a command while the viewers read.
func (x *system) do(command string) (t totals, err error) {
	type result struct {
		totals
		err error
	}
	done := make(chan result, 1)
	go func() {
		t, err := x.control.do(command)
		done <- result{t, err}
	}()
	for {
		if err := x.read(5 * time.Millisecond); err != nil {
			return t, err // whoever closes the system ends the sources, and so the goroutine
		}
		select {
		case r := <-done:
			return r.totals, r.err
		default:
		}
	}
}

// read has the viewers read for d.
func (x *system) read(d time.Duration) error {
	if x.fleet == nil {
		time.Sleep(d)
		return nil
	}
	return x.fleet.Run(d)
}

// drainTimeout is how long the server may take for what was published.
const drainTimeout = time.Minute

// settle has the sources carry out a command that ends, and waits until the server
// and the viewers have it all: every sample, none twice, and no batch missing.
func (x *system) settle(command string) error {
	t, err := x.do(command)
	if err != nil {
		return err
	}
	end := time.Now().Add(drainTimeout)
	for {
		m, err := x.server.Metrics()
		if err != nil {
			return err
		}
		has := int64(m[metricSamples])
		if has > t.Samples || m[metricMissing] > 0 {
			return fmt.Errorf("%d samples were published, %d arrived, and %.0f batches are missing", t.Samples, has, m[metricMissing])
		}
		// A viewer that was parked has had some of it with a bootstrap.
		if has == t.Samples && (m[metricStalls] > 0 || x.seen(t.Batches)) {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("of %d samples that were published the server has %d after %v, and viewers %v of %d watched ones",
				t.Samples, has, drainTimeout, x.watch, t.Batches*int64(x.shape.samples))
		}
		if err := x.read(50 * time.Millisecond); err != nil {
			return err
		}
	}
}

// seen reports whether each viewer has received the watched series' samples of so
// many batches, once.
func (x *system) seen(batches int64) bool {
	for _, n := range x.watch.samples {
		if n != batches*int64(x.shape.samples) {
			return false
		}
	}
	return true
}

// interval is what was seen in a measured time. Rates are per second, processor
// times shares of one core.
type interval struct {
	offered            float64 // batches; 0: as many as possible
	published, applied float64 // batches
	samples            float64 // applied
	behind             float64 // batches at the end: published and not applied yet
	p50, p99           time.Duration
	delays             int
	redis              float64
	server, source     float64
	viewers            float64 // this process
}

func (i interval) String() string {
	return fmt.Sprintf("offered %.0f batches/s, published %.0f, applied %.0f (%.0f samples/s), behind %.0f; p50 %v p99 %v (%d); CPU redis %.0f %% server %.0f %% source %.0f %% viewers %.0f %%",
		i.offered, i.published, i.applied, i.samples, i.behind, i.p50, i.p99, i.delays, 100*i.redis, 100*i.server, 100*i.source, 100*i.viewers)
}

// kept reports whether the server has kept up with what was offered.
func (i interval) kept() bool {
	return i.published >= 0.97*i.offered && i.applied >= 0.97*i.offered && i.behind <= 0.5*i.offered
}

// readings are the counters at one moment.
type readings struct {
	at                             time.Time
	totals                         totals
	metrics                        measure.Metrics
	redis, server, source, viewers time.Duration
}

func (x *system) take() (r readings, err error) {
	cpu := func(pid int) time.Duration {
		d, cpuErr := measure.CPU(pid)
		err = errors.Join(err, cpuErr)
		return d
	}
	r.at = time.Now()
	if x.redis != nil {
		r.redis = cpu(x.redis.PID())
	}
	if x.source != nil {
		r.source = cpu(x.source.Process.Pid)
	}
	r.server, r.viewers = cpu(x.server.PID()), cpu(os.Getpid())
	if err != nil {
		return r, err
	}
	if r.metrics, err = x.server.Metrics(); err != nil {
		return r, err
	}
	r.totals, err = x.control.do("count")
	return r, err
}

// observe has the sources publish rate batches a second, for warm and then,
// measured, for d, and waits until everything has arrived.
func (x *system) observe(rate float64, warm, d time.Duration) (i interval, err error) {
	if _, err := x.do(fmt.Sprintf("pace %g", rate)); err != nil {
		return i, err
	}
	if err := x.read(warm); err != nil {
		return i, err
	}
	x.watch.delays.Reset()
	from, err := x.take()
	if err != nil {
		return i, err
	}
	if err := x.read(d); err != nil {
		return i, err
	}
	to, err := x.take()
	if err != nil {
		return i, err
	}
	seconds := to.at.Sub(from.at).Seconds()
	share := func(from, to time.Duration) float64 { return (to - from).Seconds() / seconds }
	i = interval{
		offered:   rate,
		published: float64(to.totals.Batches-from.totals.Batches) / seconds,
		applied:   (to.metrics[metricBatches] - from.metrics[metricBatches]) / seconds,
		samples:   (to.metrics[metricSamples] - from.metrics[metricSamples]) / seconds,
		behind:    max(float64(to.totals.Batches)-to.metrics[metricBatches], 0),
		redis:     share(from.redis, to.redis), server: share(from.server, to.server),
		source: share(from.source, to.source), viewers: share(from.viewers, to.viewers),
		p50: x.watch.delays.Percentile(0.5), p99: x.watch.delays.Percentile(0.99), delays: x.watch.delays.Len(),
	}
	return i, x.settle("stop")
}
