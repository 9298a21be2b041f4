package collect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/bus"
)

func TestOneBatchPerTickWithTheSeriesOfTheHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(300 * time.Millisecond) // start between ticks
		first := time.Now().Truncate(time.Second).Add(time.Second)
		var bus fakeBus
		r := start(t, newFakeHost(), bus.publish, time.Second)
		time.Sleep(60 * time.Second)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if len(bus.arrivals()) != 60 {
			t.Fatalf("%d batches in 60 s", len(bus.arrivals()))
		}
		want := map[string]float64{
			`{__name__="load1", host="h"}`:                  0.25,
			`{__name__="load5", host="h"}`:                  0.5,
			`{__name__="load15", host="h"}`:                 1,
			`{__name__="memory_used_bytes", host="h"}`:      3e9,
			`{__name__="memory_available_bytes", host="h"}`: 5e9,
			`{__name__="memory_total_bytes", host="h"}`:     8e9,
			`{__name__="memory_cached_bytes", host="h"}`:    1e9,
			`{__name__="processes_running", host="h"}`:      2,
			`{__name__="processes_blocked", host="h"}`:      1,
			`{__name__="swap_used_bytes", host="h"}`:        0,
		}
		for i, b := range bus.arrivals() {
			if b.Source != "test" || b.Seq != 41+uint64(i) {
				t.Errorf("batch %d is %s %d", i, b.Source, b.Seq)
			}
			tick := first.Add(time.Duration(i) * time.Second)
			got := make(map[string]float64)
			for _, s := range b.Series {
				if len(s.Samples) != 1 || s.Samples[0].T != tick.UnixMilli() {
					t.Errorf("%v has %v at tick %d", s.Labels, s.Samples, tick.UnixMilli())
				}
				got[s.Labels.String()] = s.Samples[0].V
			}
			if len(got) != len(b.Series) {
				t.Error("a series is in a batch twice")
			}
			if !maps.Equal(got, want) {
				t.Fatalf("batch %d: got %v\nwant %v", i, got, want)
			}
			// From the second tick on, there are rates.
			maps.Copy(want, map[string]float64{
				`{__name__="cpu_usage_percent", cpu="total", host="h"}`:                   50,
				`{__name__="cpu_usage_percent", cpu="0", host="h"}`:                       0,
				`{__name__="cpu_usage_percent", cpu="1", host="h"}`:                       100,
				`{__name__="cpu_mode_percent", host="h", mode="user"}`:                    25,
				`{__name__="cpu_mode_percent", host="h", mode="system"}`:                  25,
				`{__name__="cpu_mode_percent", host="h", mode="idle"}`:                    50,
				`{__name__="pressure_some_percent", host="h", resource="cpu"}`:            0,
				`{__name__="pressure_some_percent", host="h", resource="memory"}`:         100,
				`{__name__="disk_busy_percent", device="sda", host="h"}`:                  25,
				`{__name__="disk_read_bytes_per_second", device="sda", host="h"}`:         1000,
				`{__name__="disk_write_bytes_per_second", device="sda", host="h"}`:        0,
				`{__name__="network_receive_bytes_per_second", device="eth0", host="h"}`:  0,
				`{__name__="network_transmit_bytes_per_second", device="eth0", host="h"}`: 10000,
			})
		}
	})
}

// The ancestor measured for a second and then slept for one.
func TestNoDriftWhenMeasuringTakesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newFakeHost()
		h.stall = func(int) time.Duration { return 45 * time.Millisecond }
		var bus fakeBus
		r := start(t, h, bus.publish, 50*time.Millisecond)
		time.Sleep(10*time.Minute + time.Millisecond)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if want := 10 * 60 * 20; len(bus.arrivals()) != want {
			t.Errorf("%d batches in 10 min, want %d", len(bus.arrivals()), want)
		}
	})
}

func TestLateTicksAreSkippedNotMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newFakeHost()
		h.stall = func(n int) time.Duration {
			if n == 3 {
				return 3500 * time.Millisecond
			}
			return 0
		}
		began := time.Now()
		var bus fakeBus
		r := start(t, h, bus.publish, time.Second)
		time.Sleep(10 * time.Second)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		var ticks []int64
		for _, b := range bus.arrivals() {
			ticks = append(ticks, (b.Series[0].Samples[0].T-began.UnixMilli())/1000)
			for _, s := range b.Series {
				// The counters are linear in time, so any rate that is not this
				// was divided by the wrong time.
				v := s.Samples[0].V
				want := map[string]float64{"disk_read_bytes_per_second": 1000, "disk_busy_percent": 25}[s.Labels.Get(metricName)]
				if s.Labels.Get("device") == "sda" && v != want {
					t.Errorf("tick %d: %v = %v", ticks[len(ticks)-1], s.Labels, v)
				}
			}
		}
		// The third measurement began at 3 s and ended at 6.5 s. Those of 4 and 5 s are
		// skipped, and as that of 6 s is not due alone, it is skipped with them.
		if want := []int64{1, 2, 3, 7, 8, 9, 10}; !slices.Equal(ticks, want) {
			t.Errorf("ticks at %v, want %v", ticks, want)
		}
		if got := r.counter(t, "skipped_ticks_total"); got != 3 {
			t.Errorf("%v ticks counted as skipped, want 3", got)
		}
	})
}

func TestSlowBusDoesNotDelayMeasuring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakeBus{answer: func(_ context.Context, n int, _ *bus.Batch) error {
			if n == 1 {
				time.Sleep(time.Minute)
			}
			return nil
		}}
		r := start(t, newFakeHost(), fake.publish, time.Second)
		time.Sleep(90 * time.Second)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		last := int64(0)
		for i, b := range fake.arrivals() {
			tm := b.Series[0].Samples[0].T
			if i > 0 && tm-last != 1000 {
				t.Errorf("%d ms between batches %d and %d", tm-last, i-1, i)
			}
			last = tm
		}
		if len(fake.arrivals()) != 90 {
			t.Errorf("%d batches in 90 s", len(fake.arrivals()))
		}
	})
}

func TestLongOutageDropsTheOldestAndLeavesAJumpInSeq(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const outage = 20 * time.Minute // 1,200 batches of 23 series
		began := time.Now()
		fake := fakeBus{answer: func(context.Context, int, *bus.Batch) error {
			if time.Since(began) < outage {
				return errors.New("connection refused")
			}
			return nil
		}}
		r := start(t, newFakeHost(), fake.publish, time.Second)
		time.Sleep(outage - time.Millisecond)
		synctest.Wait()
		if n, bytes := r.queue.held(); n > maxQueuedBatches || bytes > maxQueuedBytes {
			t.Errorf("%d batches and %d bytes are queued", n, bytes)
		}
		if n := len(r.lines("WARN")); n != 2 {
			t.Errorf("%d warnings, want one about failing and one about dropping:\n%s", n, r.logged)
		}
		time.Sleep(5 * time.Second)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		seqs := fake.seqs()
		for i := range seqs[1:] {
			if seqs[i+1] != seqs[i]+1 {
				t.Errorf("%d follows %d: a hole among published batches", seqs[i+1], seqs[i])
			}
		}
		newest, dropped := uint64(41+1204), r.counter(t, "dropped_batches_total")
		if last := seqs[len(seqs)-1]; last < newest-1 || last > newest {
			t.Errorf("the newest batch is %d, want %d", last, newest)
		}
		if want := seqs[0] - 41; dropped != float64(want) || want < 200 {
			t.Errorf("%v counted as dropped, %d are missing", dropped, want)
		}
		if !strings.Contains(r.logged.String(), fmt.Sprintf("dropped=%v", dropped)) {
			t.Errorf("the end of the episode does not say how many were lost:\n%s", r.logged)
		}
	})
}

func TestFailedBatchIsTriedAgainUnchanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		var first *bus.Batch
		fake := fakeBus{answer: func(_ context.Context, n int, b *bus.Batch) error {
			if n == 1 {
				first = b
			}
			if n > 8 {
				return nil
			}
			if b != first {
				t.Errorf("attempt %d has batch %d, want the one that failed", n, b.Seq)
			}
			at = append(at, time.Now())
			return errors.New("no")
		}}
		r := start(t, newFakeHost(), fake.publish, time.Second)
		time.Sleep(30 * time.Second)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		var pauses []time.Duration
		for i := range at[1:] {
			pauses = append(pauses, at[i+1].Sub(at[i]))
		}
		for i, most := range []time.Duration{100, 200, 400, 800, 1600, 2000, 2000} { // less a random part
			if most *= time.Millisecond; pauses[i] > most || pauses[i] <= most/2 {
				t.Errorf("pause %d is %v, want more than %v and at most %v", i+1, pauses[i], most/2, most)
			}
		}
		seqs := fake.seqs()
		if seqs[0] != 41 || len(seqs) != 30 || seqs[29] != 70 {
			t.Errorf("published %v", seqs)
		}
		if warn, info := r.lines("WARN"), r.lines("INFO"); len(warn) != 1 || len(info) != 1 {
			t.Errorf("want one line at the beginning and one at the end:\n%s", r.logged)
		}
		if got := r.counter(t, "publish_failures_total"); got != 8 {
			t.Errorf("%v failures counted, want 8", got)
		}
	})
}

func TestBatchThatTheBusCanNeverTakeDoesNotHoldUpTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakeBus{answer: func(_ context.Context, _ int, b *bus.Batch) error {
			if b.Seq == 42 {
				return fmt.Errorf("publish: %w", bus.ErrTooLarge)
			}
			return nil
		}}
		r := start(t, newFakeHost(), fake.publish, time.Second)
		time.Sleep(3500 * time.Millisecond)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if got := fake.seqs(); !slices.Equal(got, []uint64{41, 43}) {
			t.Errorf("published %v", got)
		}
		if got := r.counter(t, "dropped_batches_total"); got != 1 {
			t.Errorf("%v counted as dropped", got)
		}
	})
}

func TestEndPublishesWhatIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		fake := fakeBus{answer: func(context.Context, int, *bus.Batch) error {
			if !up.Load() {
				return errors.New("no")
			}
			time.Sleep(10 * time.Millisecond)
			return nil
		}}
		r := start(t, newFakeHost(), fake.publish, time.Second)
		time.Sleep(30500 * time.Millisecond)
		up.Store(true) // in the middle of a pause of 2 s
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if len(fake.arrivals()) != 30 {
			t.Errorf("published %d batches of 30", len(fake.arrivals()))
		}
	})
}

func TestEndIsBounded(t *testing.T) {
	away := errors.New("away")
	for _, c := range []struct {
		name   string
		answer func(context.Context, int, *bus.Batch) error
		within time.Duration
		says   error
	}{
		{"bus is away", func(context.Context, int, *bus.Batch) error { return away }, drainTime, away},
		{"bus hangs", func(ctx context.Context, _ int, _ *bus.Batch) error { <-ctx.Done(); return ctx.Err() }, drainTime, context.Canceled},
		{"bus is closed", func(context.Context, int, *bus.Batch) error { return bus.ErrClosed }, 0, bus.ErrClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, newFakeHost(), (&fakeBus{answer: c.answer}).publish, time.Second)
				time.Sleep(5500 * time.Millisecond)
				began := time.Now()
				err := r.stop()
				if took := time.Since(began); took != c.within {
					t.Errorf("the end took %v, want %v", took, c.within)
				}
				if !errors.Is(err, c.says) || !strings.Contains(fmt.Sprint(err), "5 measured batches") {
					t.Errorf("Run returned %v", err)
				}
			})
		})
	}
}

func TestWhatTheSystemLacksIsOneLogLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newFakeHost()
		h.noMemory.Store(true)
		var bus fakeBus
		r := start(t, h, bus.publish, time.Second)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if warn := r.lines("WARN"); len(warn) != 1 || !strings.Contains(warn[0], "probe=memory") {
			t.Errorf("want one line about memory:\n%s", r.logged)
		}
		if n := len(bus.arrivals()[200].Series); n != 18 {
			t.Errorf("%d series without memory, want 18", n)
		}
		h.noMemory.Store(false)
		time.Sleep(5 * time.Second)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if n := len(bus.arrivals()[len(bus.arrivals())-1].Series); n != 23 {
			t.Errorf("%d series after memory came back, want 23", n)
		}
		if info := r.lines("INFO"); len(info) != 1 {
			t.Errorf("want one line about the return of memory:\n%s", r.logged)
		}
	})
}

// The bus and its readers own a batch; labels are shared, and never change.
func TestBatchesShareNoMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakeBus{}
		r := start(t, newFakeHost(), func(ctx context.Context, b *bus.Batch) error {
			for _, s := range b.Series {
				if s.Samples[0].V == -1 {
					t.Errorf("%v of batch %d was overwritten by the owner of another batch", s.Labels, b.Seq)
				}
				s.Samples[0].V = -1
			}
			clear(b.Series[:cap(b.Series)])
			return fake.publish(ctx, b)
		}, time.Second)
		time.Sleep(5 * time.Second)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if len(fake.arrivals()) != 5 {
			t.Errorf("%d batches", len(fake.arrivals()))
		}
	})
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	publish := func(context.Context, *bus.Batch) error { return nil }
	for _, c := range []struct {
		options Options
		says    string
	}{
		{Options{Interval: 49 * time.Millisecond, Source: "s", Publish: publish}, "50ms to 1h0m0s"},
		{Options{Interval: time.Hour + 1, Source: "s", Publish: publish}, "50ms to 1h0m0s"},
		{Options{Interval: -time.Second, Source: "s", Publish: publish}, "50ms to 1h0m0s"},
		{Options{Interval: 100*time.Millisecond + 1, Source: "s", Publish: publish}, "try 100ms"},
		{Options{Publish: publish}, "source"},
		{Options{Source: "s"}, "publish"},
	} {
		if _, err := New(c.options); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("New(%+v) returned %v, want an error with %q", c.options, err, c.says)
		}
	}
	c, err := New(Options{Source: "s", Publish: publish})
	if err != nil {
		t.Fatal(err)
	}
	if c.interval != DefaultInterval || c.seq != 1 || c.sampler.host == "" {
		t.Errorf("defaults: interval %v, first seq %d, host %q", c.interval, c.seq, c.sampler.host)
	}
}
