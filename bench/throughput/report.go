//go:build linux

package main

import (
	"fmt"
	"io"
	"time"
)

// printRates prints the three tables of the rates scenario.
func printRates(w io.Writer, rows []row, viewers int) {
	fmt.Fprintf(w, "%d viewers watch one series of each source. CPU in percent of a core.\n\n", viewers)
	fmt.Fprintf(w, "Idle: %d batches a second of all sources together, publish to viewer.\n\n", idleRate)
	fmt.Fprintln(w, "| sources | batch | bus | p50 ms | p99 ms | CPU: server | source | Redis |\n|---|---|---|---|---|---|---|---|")
	for _, r := range rows {
		i := r.idle
		if i.offered == 0 {
			continue
		}
		fmt.Fprintf(w, "| %d | %v | %s | %.1f | %.1f | %s |\n", r.sources, r.shape, r.bus(), milliseconds(i.p50), milliseconds(i.p99), r.cpu(i))
	}
	fmt.Fprintf(w, "\nAt %d samples a second offered.\n\n", target)
	head := "| sources | batch | bus | batches/s | samples/s | p50 ms | p99 ms | CPU: server | source | Redis | viewers | kept up |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
	fmt.Fprintln(w, head)
	for _, r := range rows {
		r.print(w, r.atTarget)
	}
	fmt.Fprintf(w, "\nThe highest rate that was kept up with, and the lowest that was not.\n\n")
	fmt.Fprintln(w, head)
	for _, r := range rows {
		for _, i := range []interval{r.most, r.over} {
			if i.offered > 0 {
				r.print(w, i)
			}
		}
	}
}

func (r row) print(w io.Writer, i interval) {
	kept := "yes"
	if !i.kept() {
		kept = fmt.Sprintf("no: %.0f of %.0f batches/s", i.applied, i.offered)
	}
	fmt.Fprintf(w, "| %d | %v | %s | %.0f | %.0f | %.1f | %.1f | %s | %.0f | %s |\n", r.sources, r.shape, r.bus(), i.applied, i.samples,
		milliseconds(i.p50), milliseconds(i.p99), r.cpu(i), 100*i.viewers, kept)
}

// cpu is the cells of the processes. In memory, server and source are one.
func (r row) cpu(i interval) string {
	if r.memory {
		return fmt.Sprintf("%.0f | in it | none", 100*i.server)
	}
	return fmt.Sprintf("%.0f | %.0f | %.0f", 100*i.server, 100*i.source, 100*i.redis)
}

func milliseconds(d time.Duration) float64 { return float64(d) / 1e6 }
