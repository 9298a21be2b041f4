//go:build linux

package main

import (
	"fmt"
	"time"

	"stripchart/bench/child"
	"stripchart/bench/load"
	"stripchart/bench/measure"
)

// Metrics of the product that tell what is left of connections.
const (
	metricOpen        = "stripchart_connections"
	metricGoroutines  = "go_goroutines"
	metricHeap        = "go_memstats_heap_alloc_bytes"
	metricStacks      = "go_memstats_stack_inuse_bytes"
	metricCollections = "go_gc_duration_seconds_count"
)

// remains is what the product holds when nobody is connected.
type remains struct {
	goroutines             float64
	heap, stacks, resident float64 // MB
}

// churn has viewers connect, join and leave, round by round: with a close frame
// and with a reset. What is left must not grow with the rounds.
func (b *bench) churn(quick bool) error {
	viewers, rounds := 10_000, 4
	if quick {
		viewers, rounds = 1000, 2
	}
	server, err := b.startProduct(b.newDir(), "127.0.0.1:0", time.Second)
	if err != nil {
		return err
	}
	defer server.Kill()
	fleet, err := load.New(load.Plan{Server: server.Address, Viewers: viewers, Queries: oneRoom})
	if err != nil {
		return err
	}
	defer fleet.Close()
	time.Sleep(b.times.settle)
	fmt.Fprintf(b.out, "%d viewers connect, join a room and leave, several times; what the server holds when all have gone.\n\n", viewers)
	fmt.Fprintln(b.out, "| after | goroutines | heap MB | stacks MB | resident MB |\n|---|---|---|---|---|")
	report := func(after string) (remains, error) {
		r, err := b.remains(server)
		if err == nil {
			fmt.Fprintf(b.out, "| %s | %.0f | %.1f | %.1f | %.1f |\n", after, r.goroutines, r.heap, r.stacks, r.resident)
		}
		return r, err
	}
	before, err := report("the start")
	if err != nil {
		return err
	}
	var last remains
	for round := range rounds {
		if err := fleet.Connect(connectTimeout); err != nil {
			return err
		}
		if err := fleet.Run(b.times.settle); err != nil {
			return err
		}
		clean := round%2 == 0
		if err := fleet.HangUp(clean, 30*time.Second); err != nil {
			return err
		}
		after := fmt.Sprintf("round %d, reset", round+1)
		if clean {
			after = fmt.Sprintf("round %d, closed", round+1)
		}
		if last, err = report(after); err != nil {
			return err
		}
	}
	if last.goroutines > before.goroutines+5 {
		return fmt.Errorf("%.0f goroutines are left of %.0f before", last.goroutines, before.goroutines)
	}
	return b.ctx.Err()
}

// remains waits until the server has noticed that all have gone and has collected
// its garbage twice, and reads what is left. Reading the metrics makes garbage, so
// this does not take long.
func (b *bench) remains(server *child.Child) (r remains, err error) {
	collected := -1.0
	for end := time.Now().Add(time.Minute); time.Now().Before(end) && b.ctx.Err() == nil; {
		m, err := server.Metrics()
		if err != nil {
			return r, err
		}
		switch {
		case m[metricOpen] > 0:
			time.Sleep(50 * time.Millisecond)
			continue
		case collected < 0:
			collected = m[metricCollections]
		case m[metricCollections] < collected+2:
		default:
			resident, err := measure.Resident(server.PID())
			return remains{m[metricGoroutines], m[metricHeap] / 1e6, m[metricStacks] / 1e6, float64(resident) / 1e6}, err
		}
	}
	return r, fmt.Errorf("the server did not forget its viewers, or collected no garbage, for a minute")
}
