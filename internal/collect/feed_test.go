package collect

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
)

// What feeds bring has its place among the collector's own batches: one sequence without a hole, until the last batch of
// a feed that ends with the collector.
func TestBatchesOfFeedsAreInTheSequenceOfTheCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fed := func(n int) *bus.Batch {
			return &bus.Batch{Series: []bus.Series{{Labels: labels.FromStrings("__name__", "fed"), Samples: []bus.Sample{{T: int64(n + 1), V: float64(n)}}}}}
		}
		published := &fakeBus{}
		c, err := newCollector(Options{Interval: time.Second, Host: "h", Source: "s", Publish: published.publish, Feeds: []Feed{
			func(ctx context.Context, queue func(*bus.Batch)) {
				for n := range 3 {
					queue(fed(n))
					time.Sleep(700 * time.Millisecond)
				}
				<-ctx.Done()
				queue(fed(3))
			},
			func(context.Context, func(*bus.Batch)) {}, // one that ends early
		}}, newFakeHost())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
		defer cancel()
		if err := c.Run(ctx); err != nil {
			t.Fatal(err)
		}
		var values []string
		for i, b := range published.arrivals() {
			if b.Source != "s" || b.Seq != uint64(i+1) {
				t.Errorf("batch %d is number %d of %s", i+1, b.Seq, b.Source)
			}
			if b.Series[0].Labels.Get("__name__") == "fed" {
				values = append(values, fmt.Sprint(b.Series[0].Samples[0].V))
			}
		}
		if fmt.Sprint(values) != "[0 1 2 3]" || len(published.arrivals()) < 6 {
			t.Errorf("the feed's %v of %d batches", values, len(published.arrivals()))
		}
	})
}
