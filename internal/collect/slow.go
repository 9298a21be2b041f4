package collect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
)

// Values that change slowly, are expensive to read, or may hang are read in rounds. Each
// round has a goroutine of its own, and there is one round at a time.
const (
	// roundInterval is the distance between rounds, unless Options.Interval is longer.
	roundInterval = 10 * time.Second
	// roundBound is how long a round waits for its readings. Later ones are left out.
	roundBound = 2 * time.Second
	// maxHanging bounds the readings that have not returned: each holds a goroutine, and a
	// thread inside the kernel.
	maxHanging = maxFilesystems + 8
)

// The most series per metric of a round. Further ones are left out.
const (
	maxFilesystems = 64
	maxSensors     = 32
)

// errHangs is the error of a reading that has not returned.
var errHangs = errors.New("no answer; it is asked again when the system has answered")

// slowProber reads what is measured in rounds. Its methods are called concurrently and may hang. A
// method that hangs is not called again with the same arguments until it has returned.
type slowProber interface {
	processCount(context.Context) (int, error)
	temperatures(context.Context) ([]temperature, error)
	// mounts lists all that is mounted, pseudo filesystems too.
	mounts(context.Context) ([]mount, error)
	filesystem(ctx context.Context, mountpoint string) (space, error)
}

// temperature is what a sensor shows.
type temperature struct {
	sensor  string // not unique: two disks of one model have the same sensor name
	celsius float64
}

// space is the size of a filesystem. free is what users may still write, which
// can be less than size - used.
type space struct {
	size, used, free uint64
}

// slowSampler turns the readings of a round into the series of a batch.
type slowSampler struct {
	host    string
	prober  slowProber
	log     *slog.Logger
	lacks   *lacks
	hanging hanging
	logged  map[string]bool // kinds with more instances than are measured
}

func newSlowSampler(o *Options, p slowProber, m *metrics) *slowSampler {
	return &slowSampler{
		host:    o.Host,
		prober:  p,
		log:     o.Logger,
		lacks:   newLacks(o.Logger, m),
		hanging: hanging{keys: make(map[string]bool)},
		logged:  make(map[string]bool),
	}
}

// measure reads everything and returns it as the samples of tick, in Unix
// milliseconds, after roundBound or the end of ctx at the latest. The batch is
// the caller's, without source and sequence number.
func (s *slowSampler) measure(ctx context.Context, tick int64) *bus.Batch {
	b := &bus.Batch{}
	emit := appendTo(b, tick)
	bound, cancel := context.WithTimeout(ctx, roundBound)
	defer cancel()

	// All readings are started before the first wait, so that a reading that hangs takes no time from
	// the others.
	counting := begin(ctx, &s.hanging, "process count", s.prober.processCount)
	sensing := begin(ctx, &s.hanging, "temperatures", s.prober.temperatures)
	mounts, err := wait(bound, begin(ctx, &s.hanging, "mounts", s.prober.mounts))
	mounts = atMost(s, maxFilesystems, "filesystems", realFilesystems(mounts))
	asking := make([]<-chan answer[space], len(mounts))
	for i, m := range mounts {
		// The key includes the device, so that a new server in place of a dead one is read.
		asking[i] = begin(ctx, &s.hanging, "filesystem "+m.device+" "+m.mountpoint, func(ctx context.Context) (space, error) {
			return s.prober.filesystem(ctx, m.mountpoint)
		})
	}

	errs := []error{err}
	for i, m := range mounts {
		used, err := wait(bound, asking[i])
		switch {
		case errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrNotExist):
			continue // no permission, or just unmounted
		case err != nil:
			errs = append(errs, wrap(m.mountpoint, err))
			continue
		}
		s.emitFilesystem(m, used, emit)
	}
	s.lacks.note(ctx, "filesystems", errors.Join(errs...))

	count, err := wait(bound, counting)
	s.lacks.note(ctx, "process count", err)
	if err == nil {
		emit(labels.FromStrings(metricName, "processes", "host", s.host), float64(count))
	}

	sensors, err := wait(bound, sensing)
	s.lacks.note(ctx, "temperatures", err)
	s.emitTemperatures(sensors, emit)
	return b
}

func (s *slowSampler) emitFilesystem(m mount, is space, emit func(labels.Labels, float64)) {
	if is.size == 0 {
		return // it holds no files
	}
	of := func(metric string) labels.Labels {
		return labels.FromStrings(metricName, metric, "host", s.host, "mountpoint", valid(m.mountpoint), "fstype", valid(m.fstype))
	}
	emit(of("filesystem_size_bytes"), float64(is.size))
	emit(of("filesystem_used_bytes"), float64(is.used))
	if whole := is.used + is.free; whole > 0 {
		emit(of("filesystem_used_percent"), math.Round(10000*float64(is.used)/float64(whole))/100)
	}
}

// An input to which no sensor is connected shows an absurd temperature.
const coldest, hottest = -100, 250

func (s *slowSampler) emitTemperatures(sensors []temperature, emit func(labels.Labels, float64)) {
	taken := make(map[string]bool)
	for _, t := range atMost(s, maxSensors, "sensors", sensors) {
		name := valid(t.sensor)
		for n := 2; taken[name]; n++ {
			name = fmt.Sprintf("%s_%d", valid(t.sensor), n)
		}
		taken[name] = true
		if t.celsius > coldest && t.celsius < hottest {
			emit(labels.FromStrings(metricName, "temperature_celsius", "host", s.host, "sensor", name), math.Round(100*t.celsius)/100)
		}
	}
}

// atMost returns the first n of all, and logs once if there are more.
func atMost[T any](s *slowSampler, n int, what string, all []T) []T {
	if len(all) <= n {
		return all
	}
	if !s.logged[what] {
		s.logged[what] = true
		s.log.Warn("only a part of these is measured", "what", what, "present", len(all), "measured", n)
	}
	return all[:n]
}

// hanging is the set of readings that have begun and not returned.
type hanging struct {
	mu   sync.Mutex // guards keys
	keys map[string]bool
}

// begin reports whether a reading may begin now.
func (h *hanging) begin(key string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.keys[key] || len(h.keys) >= maxHanging {
		return false
	}
	h.keys[key] = true
	return true
}

func (h *hanging) end(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.keys, key)
}

// answer is the result of a reading.
type answer[T any] struct {
	value T
	err   error
}

// begin starts a reading that may never come back, unless one with the same key
// is still under way. Its goroutine cannot be waited for or ended: a statfs(2) of a dead
// file server does not return, even when ctx ends.
func begin[T any](ctx context.Context, h *hanging, key string, read func(context.Context) (T, error)) <-chan answer[T] {
	out := make(chan answer[T], 1)
	if !h.begin(key) {
		out <- answer[T]{err: errHangs}
		return out
	}
	go func() {
		value, err := read(ctx)
		h.end(key)
		out <- answer[T]{value, err}
	}()
	return out
}

// wait returns the answer of a reading, or errHangs if there is none when ctx
// ends. An answer that has arrived counts even after the end of ctx.
func wait[T any](ctx context.Context, out <-chan answer[T]) (T, error) {
	select {
	case a := <-out:
		return a.value, a.err
	default:
	}
	select {
	case a := <-out:
		return a.value, a.err
	case <-ctx.Done():
		return *new(T), errHangs
	}
}
