package live

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/bus/membus"
	"stripchart/internal/store"
)

// benchHub runs a server on a real store.
func benchHub(b testing.TB) (bus.Bus, *Hub) {
	b.Helper()
	s, err := store.Open(store.Options{Dir: b.TempDir(), OutOfOrder: 25 * time.Hour, ReserveBytes: -1})
	if err != nil {
		b.Fatal(err)
	}
	log := membus.New(membus.Options{QueueBytes: 256 << 20})
	h, err := New(Options{Bus: log, Store: NewStore(s), Transport: fakeTransport{}, DefaultSeries: "m"})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = h.Run(ctx) })
	<-h.Ready()
	b.Cleanup(func() {
		cancel()
		wg.Wait()
		h.Close()
		log.Close()
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return log, h
}

func benchBatch(kind string, series int, times ...int64) *bus.Batch {
	x := &bus.Batch{}
	for n := range series {
		y := bus.Series{Labels: labels.FromStrings("__name__", "m", "kind", kind, "n", fmt.Sprint(n))}
		for _, at := range times {
			y.Samples = append(y.Samples, bus.Sample{T: at, V: float64(n)})
		}
		x.Series = append(x.Series, y)
	}
	return x
}

// holds measures the longest time for which the lock cannot be taken, until stop is called.
func holds(h *Hub) (stop func() time.Duration) {
	over, longest := make(chan struct{}), make(chan time.Duration)
	go func() {
		most := time.Duration(0)
		for {
			select {
			case <-over:
				longest <- most
				return
			default:
			}
			began := time.Now()
			h.Pulse()
			most = max(most, time.Since(began))
			time.Sleep(200 * time.Microsecond)
		}
	}()
	return func() time.Duration {
		close(over)
		return <-longest
	}
}

// BenchmarkBackfill delivers one sample of each of many series, of an hour and a half ago,
// in one batch: what a writer does that was cut off.
func BenchmarkBackfill(b *testing.B) {
	for _, series := range []int{10_000, 80_000} {
		b.Run(fmt.Sprint(series, "_series"), func(b *testing.B) {
			log, h := benchHub(b)
			now := time.Now().UnixMilli()
			if err := log.Publish(b.Context(), benchBatch("now", 10, now)); err != nil {
				b.Fatal(err)
			}
			k := 0
			for b.Loop() {
				b.StopTimer()
				k++
				x := benchBatch(fmt.Sprint("late", k), series, now-90*60_000)
				stop := holds(h)
				b.StartTimer()
				if err := log.Publish(b.Context(), x); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				b.ReportMetric(float64(stop().Microseconds())/1000, "ms-longest-hold")
				b.StartTimer()
			}
		})
	}
}

// BenchmarkApply takes in batches of 1000 series: in order, and late: behind the newest
// time of the server (series of a writer whose clock is behind), and behind the newest of
// their own.
func BenchmarkApply(b *testing.B) {
	const series = 1000
	for _, c := range []struct {
		name string
		at   func(now, k int64) int64
	}{
		{"in_order", func(now, k int64) int64 { return now - 50_000_000 + k*1000 }},
		{"behind_others", func(now, k int64) int64 { return now - 50_000_000 + k*1000 }},
		{"behind_their_own", func(now, k int64) int64 { return now - 1000 - k*1000 }},
	} {
		b.Run(c.name, func(b *testing.B) {
			log, h := benchHub(b)
			now := time.Now().UnixMilli()
			if c.name != "in_order" {
				if err := log.Publish(b.Context(), benchBatch("other", 1, now)); err != nil {
					b.Fatal(err)
				}
			}
			if c.name == "behind_their_own" {
				if err := log.Publish(b.Context(), benchBatch("x", series, now)); err != nil {
					b.Fatal(err)
				}
			}
			stop := holds(h)
			k := int64(0)
			for b.Loop() {
				b.StopTimer()
				k++
				x := benchBatch("x", series, c.at(now, k))
				b.StartTimer()
				if err := log.Publish(b.Context(), x); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/series, "us/sample")
			b.ReportMetric(float64(stop().Microseconds())/1000, "ms-longest-hold")
		})
	}
}
