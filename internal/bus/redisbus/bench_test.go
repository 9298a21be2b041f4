package redisbus

import (
	"fmt"
	"sync"
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/bus/membus"
)

// BenchmarkPublishToTail: batches of 1,000 samples from Publish to a Tail's
// handler, with the memory bus as yardstick.
//
//	go test -run xxx -bench PublishToTail ./internal/bus/redisbus
func BenchmarkPublishToTail(b *testing.B) {
	for _, shape := range []struct{ series, samples int }{{100, 10}, {1000, 1}} {
		for _, sources := range []int{1, 10} {
			name := fmt.Sprintf("%dx%d/sources=%d", shape.series, shape.samples, sources)
			b.Run("memory/"+name, func(b *testing.B) {
				through(b, membus.New(membus.Options{}), sources, shape.series, shape.samples)
			})
			b.Run("redis/"+name, func(b *testing.B) {
				through(b, open(b, Options{URL: shared.URL, Stream: stream(), Trim: true, RetainBytes: 64 << 20}), sources, shape.series, shape.samples)
			})
		}
	}
}

func through(b *testing.B, x bus.Bus, sources, series, samples int) {
	batch := bus.Batch{}
	for i := range series {
		s := bus.Series{Labels: labels.FromStrings("__name__", "cpu_usage_percent", "host", "web1", "cpu", fmt.Sprint(i), "mode", "user")}
		for k := range samples {
			s.Samples = append(s.Samples, bus.Sample{T: 1544608800000 + int64(k)*1000, V: float64(i) + float64(k)/10})
		}
		batch.Series = append(batch.Series, s)
	}
	enough := fmt.Errorf("all arrived")
	tailed := make(chan error, 1)
	b.ResetTimer()
	go func() {
		n := 0
		tailed <- x.Tail(b.Context(), bus.Position{}, func(d bus.Delivery) error {
			d.Done(nil)
			if n++; n == b.N {
				return enough
			}
			return nil
		})
	}()
	var wg sync.WaitGroup
	for i := range sources {
		wg.Go(func() {
			for k := i; k < b.N; k += sources {
				mine := batch
				mine.Source, mine.Seq = fmt.Sprint("s", i), uint64(k/sources+1)
				if err := x.Publish(b.Context(), &mine); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := <-tailed; err != enough {
		b.Error(err)
	}
	b.ReportMetric(float64(b.N)*float64(series*samples)/b.Elapsed().Seconds(), "samples/s")
	b.StopTimer()
	if err := x.Close(); err != nil {
		b.Error(err)
	}
}
