//go:build linux

package main

import (
	"fmt"
	"io"
	"time"

	"stripchart/bench/measure"
)

// fanoutTable prints one line for each situation: medians of the product's and
// the floor's runs, and the median of the ratios of the pairs.
type fanoutTable struct{ rows []string }

func newFanoutTable() *fanoutTable {
	return &fanoutTable{rows: []string{
		"| viewers | messages/s | rooms | | bytes | CPU µs: product | floor | ratio | ratio without own | p50 ms: product | floor | p99 ms: product | floor | ratio | p99 ratio from sending | KB/viewer: product | floor | writes | delivered: product | floor |",
		"|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
	}}
}

func (t *fanoutTable) add(s situation, products, floors []outcome) {
	ofProduct := func(f func(outcome) float64) float64 { return medianOf(products, f) }
	ofFloor := func(f func(outcome) float64) float64 { return medianOf(floors, f) }
	ratio := func(f func(outcome) float64) float64 {
		ratios := make([]float64, len(products))
		for i := range products {
			ratios[i] = f(products[i]) / f(floors[i])
		}
		return measure.Median(ratios)
	}
	p50 := func(o outcome) float64 { return milliseconds(o.p50) }
	p99 := func(o outcome) float64 { return milliseconds(o.p99) }
	sent := func(o outcome) float64 { return milliseconds(o.sentP99) }
	memory := func(o outcome) float64 { return o.memory / 1e3 }
	writes := func(o outcome) float64 { return o.writes / o.deliveries }
	share := func(o outcome) float64 { return 100 * o.deliveries / o.due }
	size := func(o outcome) float64 { return o.bytes }
	special := ""
	switch {
	case s.polling:
		special = "polling"
	case s.unreading > 0:
		special = fmt.Sprintf("%d %% not reading", s.unreading)
	}
	t.rows = append(t.rows, fmt.Sprintf(
		"| %d | %.0f | %d | %s | %.0f | %.1f | %.1f | **%.2f** | %.2f | %.1f | %.1f | %.1f | %.1f | **%.2f** | %.2f | %.1f | %.1f | %.3f | %.0f %% | %.0f %% |",
		s.viewers, float64(time.Second)/float64(s.interval), len(s.queries), special, ofProduct(size),
		ofProduct(outcome.perDelivery), ofFloor(outcome.perDelivery), ratio(outcome.perDelivery), ratio(outcome.forViewers),
		ofProduct(p50), ofFloor(p50), ofProduct(p99), ofFloor(p99), ratio(p99), ratio(sent),
		ofProduct(memory), ofFloor(memory), ofProduct(writes), ofProduct(share), ofFloor(share)))
}

func (t *fanoutTable) print(w io.Writer) {
	for _, row := range t.rows {
		fmt.Fprintln(w, row)
	}
}

func medianOf[T any](all []T, f func(T) float64) float64 {
	values := make([]float64, len(all))
	for i, v := range all {
		values[i] = f(v)
	}
	return measure.Median(values)
}

func milliseconds(d time.Duration) float64 { return float64(d) / 1e6 }
