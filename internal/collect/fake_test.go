package collect

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stripchart/internal/bus"
	"stripchart/internal/testkit"
)

// fakeHost is a machine with two cores, of which the second is busy, a disk
// that reads 1,000 bytes a second and is busy for a quarter of it, and an
// interface that sends 10,000. Something waits for memory all the time. What is
// measured in rounds it only has if it is set.
type fakeHost struct {
	born time.Time
	// stall, when set, is how long the CPU reading number n (1, 2, ...) takes.
	stall func(n int) time.Duration
	// noMemory makes memory fail.
	noMemory atomic.Bool
	readings int

	processesThere int // zero fails
	sensors        []temperature
	mounted        []mount
	remounted      atomic.Pointer[[]mount] // takes the place of mounted, also while it is measured
	// ask, when set, is how a filesystem answers.
	ask func(ctx context.Context, mountpoint string) (space, error)
}

func newFakeHost() *fakeHost { return &fakeHost{born: time.Now().Add(-time.Hour)} }

func (h *fakeHost) age() float64 { return time.Since(h.born).Seconds() }

func (h *fakeHost) cpu(context.Context) ([]cpuTimes, []modeTime, error) {
	h.readings++
	if h.stall != nil {
		time.Sleep(h.stall(h.readings))
	}
	up := h.age()
	return []cpuTimes{{"total", up, up}, {"0", 0, up}, {"1", up, 0}},
		[]modeTime{{"user", up / 2}, {"nice", 0}, {"system", up / 2}, {"idle", up}}, nil
}

func (h *fakeHost) load(context.Context) ([]gauge, error) {
	return []gauge{{"load1", 0.25}, {"load5", 0.5}, {"load15", 1.005}}, nil
}

func (h *fakeHost) memory(context.Context) ([]gauge, error) {
	if h.noMemory.Load() {
		return nil, errors.New("no such file")
	}
	return []gauge{{"memory_used_bytes", 3e9}, {"memory_available_bytes", 5e9}, {"memory_total_bytes", 8e9}, {"memory_cached_bytes", 1e9}, {"swap_used_bytes", 0}}, nil
}

func (h *fakeHost) disks(context.Context) ([]ioCounters, error) {
	return []ioCounters{{"sda", uint64(1000 * h.age()), 5, time.Duration(h.age() * 0.25e9)}, {"sda1", 9, 9, 9}}, nil
}

func (h *fakeHost) networks(context.Context) ([]ioCounters, error) {
	return []ioCounters{{"lo", 9, 9, 0}, {"eth0", 1, uint64(10_000 * h.age()), 0}}, nil
}

func (h *fakeHost) processes(context.Context) ([]gauge, error) {
	return []gauge{{"processes_running", 2}, {"processes_blocked", 1}}, nil
}

func (h *fakeHost) pressure(context.Context) ([]stall, error) {
	return []stall{{"cpu", 0}, {"memory", time.Since(h.born)}}, nil
}

func (h *fakeHost) processCount(context.Context) (int, error) {
	if h.processesThere == 0 {
		return 0, errLacks
	}
	return h.processesThere, nil
}

func (h *fakeHost) temperatures(context.Context) ([]temperature, error) {
	if h.sensors == nil {
		return nil, errLacks
	}
	return h.sensors, nil
}

func (h *fakeHost) mounts(context.Context) ([]mount, error) {
	if now := h.remounted.Load(); now != nil {
		return *now, nil
	}
	return h.mounted, nil
}

func (h *fakeHost) filesystem(ctx context.Context, mountpoint string) (space, error) {
	if h.ask != nil {
		return h.ask(ctx, mountpoint)
	}
	return space{size: 1000, used: 300, free: 600}, nil
}

// fakeBus takes batches and remembers them.
type fakeBus struct {
	// answer, when set, decides about the attempt number n (1, 2, ...).
	answer func(ctx context.Context, n int, b *bus.Batch) error

	mu       sync.Mutex
	attempts int
	taken    []*bus.Batch
}

func (f *fakeBus) publish(ctx context.Context, b *bus.Batch) error {
	f.mu.Lock()
	f.attempts++
	n := f.attempts
	f.mu.Unlock()
	if f.answer != nil {
		if err := f.answer(ctx, n, b); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.taken = append(f.taken, b)
	return nil
}

// arrivals returns what was taken so far.
func (f *fakeBus) arrivals() []*bus.Batch {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.taken)
}

func (f *fakeBus) seqs() (seqs []uint64) {
	for _, a := range f.arrivals() {
		seqs = append(seqs, a.Seq)
	}
	return seqs
}

// rig is a collector of a fake host, running.
type rig struct {
	*Collector
	logged  *testkit.Log
	metrics *prometheus.Registry
	// stop ends the context of Run and returns what Run returns.
	stop func() error
}

func start(t *testing.T, h machine, publish func(context.Context, *bus.Batch) error, interval time.Duration) *rig {
	t.Helper()
	r := &rig{logged: new(testkit.Log), metrics: prometheus.NewRegistry()}
	c, err := newCollector(Options{
		Interval:   interval,
		Host:       "h",
		Source:     "test",
		FirstSeq:   41,
		Publish:    publish,
		Logger:     slog.New(slog.NewTextHandler(r.logged, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Registerer: r.metrics,
	}, h)
	if err != nil {
		t.Fatal(err)
	}
	r.Collector = c
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	r.stop = func() error { cancel(); return <-ended }
	t.Cleanup(cancel)
	return r
}

// lines returns the log lines with the given level.
func (r *rig) lines(level string) (lines []string) {
	for l := range strings.Lines(r.logged.String()) {
		if strings.Contains(l, "level="+level) {
			lines = append(lines, l)
		}
	}
	return lines
}

// counter returns the sum of a metric over its labels.
func (r *rig) counter(t *testing.T, name string) (sum float64) {
	t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "stripchart_collector_"+name {
			continue
		}
		for _, m := range f.Metric {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
		return sum
	}
	t.Fatalf("no metric %s", name)
	return 0
}
