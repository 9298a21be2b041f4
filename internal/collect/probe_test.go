package collect

import (
	"context"
	"errors"
	"testing"
	"time"

	"stripchart/internal/bus"
)

// On the real machine and the real clock: no tick comes twice or too early. A busy machine
// skips some, so the test waits for thirty.
func TestFiftyMillisecondsOnThisMachine(t *testing.T) {
	fake := fakeBus{}
	c, err := New(Options{Interval: MinInterval, Source: "test", Publish: fake.publish})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	began := time.Now()
	go func() {
		for len(fake.arrivals()) < 30 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if err := c.Run(ctx); err != nil {
		t.Fatal(err)
	}
	took, batches := time.Since(began), fake.arrivals()
	if most := int(took/MinInterval) + 2; len(batches) > most { // one is of a round
		t.Errorf("%d batches in %v, want at most %d", len(batches), took, most)
	}
	last := began.UnixMilli()
	usages := 0
	for _, b := range batches {
		tick := b.Series[0].Samples[0].T
		round := tick%roundInterval.Milliseconds() == 0 // its batch follows that of the tick, or of a later one
		if tick%50 != 0 || tick <= last && !round || tick < began.UnixMilli() {
			t.Errorf("tick %d after %d is not aligned, or not newer", tick, last)
		}
		last = max(tick, last)
		for _, s := range b.Series {
			v, name := s.Samples[0].V, s.Labels.Get(metricName)
			if len(s.Samples) != 1 || s.Samples[0].T != tick || s.Labels.Get("host") == "" || v < 0 {
				t.Errorf("%v: %v in the batch of %d", s.Labels, s.Samples, tick)
			}
			if name == "cpu_usage_percent" {
				usages++
				if v > 100 {
					t.Errorf("%v = %v", s.Labels, v)
				}
			}
		}
	}
	if usages < len(batches) {
		t.Errorf("%d values of CPU usage in %d batches", usages, len(batches))
	}
}

// BenchmarkMeasure is the whole cost of a tick, without the bus.
func BenchmarkMeasure(b *testing.B) {
	c, err := New(Options{Source: "bench", Publish: func(context.Context, *bus.Batch) error { return nil }})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		c.sampler.measure(b.Context(), 0)
	}
}

// BenchmarkRound is the whole cost of a round.
func BenchmarkRound(b *testing.B) {
	c, err := New(Options{Source: "bench", Publish: func(context.Context, *bus.Batch) error { return nil }})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		c.slow.measure(b.Context(), 0)
	}
}

// ifThere makes it no error that this system lacks something.
func ifThere(err error) error {
	if errors.Is(err, errLacks) {
		return nil
	}
	return err
}

// BenchmarkProbe shows which reading costs what.
func BenchmarkProbe(b *testing.B) {
	var p gopsutilProber
	for name, read := range map[string]func(context.Context) error{
		"cpu":       func(ctx context.Context) error { _, _, err := p.cpu(ctx); return err },
		"load":      func(ctx context.Context) error { _, err := p.load(ctx); return err },
		"memory":    func(ctx context.Context) error { _, err := p.memory(ctx); return err },
		"disks":     func(ctx context.Context) error { _, err := p.disks(ctx); return err },
		"networks":  func(ctx context.Context) error { _, err := p.networks(ctx); return err },
		"processes": func(ctx context.Context) error { _, err := p.processes(ctx); return err },
		"pressure":  func(ctx context.Context) error { _, err := p.pressure(ctx); return ifThere(err) },

		"slow process count": func(ctx context.Context) error { _, err := p.processCount(ctx); return err },
		"slow temperatures":  func(ctx context.Context) error { _, err := p.temperatures(ctx); return ifThere(err) },
		"slow mounts":        func(ctx context.Context) error { _, err := p.mounts(ctx); return err },
		"slow filesystem":    func(ctx context.Context) error { _, err := p.filesystem(ctx, "/"); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := read(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
