//go:build linux

package main

import (
	"fmt"
	"time"

	"stripchart/bench/child"
	"stripchart/bench/load"
)

// Metrics of the product that tell of viewers that do not read.
const (
	metricStalls = "stripchart_viewer_stalls_total"
)

// stallInterval makes a queue of 256 KiB full in seconds with twelve rooms. A
// connection whose queue does not drain for 30 s is closed, so all has to
// happen within that.
const stallInterval = 50 * time.Millisecond

// fillTimeout is how long the queues may take to be full.
const fillTimeout = 20 * time.Second

// stallRun is what one run of the stalled scenario has shown.
type stallRun struct {
	p99                            [4]time.Duration // of the readers, by phase
	cpu                            [4]float64       // share of a processor, by phase
	before, reading, full, drained float64          // resident memory in MB
	parked                         float64          // times that a viewer in a room was parked
	verdict                        verdict
}

// phases of the stalled scenario.
var phases = [4]string{"all read", "they stop, queues fill", "they are parked", "they read again"}

// stalled has a group of viewers stop reading beside others that read, and read
// again. The others are to notice nothing, and in the end each of the group has
// every sample once.
func (b *bench) stalled(quick bool) error {
	group, others := 1000, 1000
	if quick {
		group, others = 200, 200
	}
	var runs []stallRun
	for range b.pairs {
		r, err := b.stall(group, others)
		if err != nil {
			return err
		}
		b.progress("stalled: p99 %v, memory %.0f MB, %.0f, %.0f, %.0f; parked %.0f; %v", r.p99, r.before, r.reading, r.full, r.drained, r.parked, r.verdict)
		runs = append(runs, r)
	}
	fmt.Fprintf(b.out, "%d viewers that stop reading beside %d that read, 12 rooms, one message each %v, medians of %d runs.\n\n", group, others, stallInterval, len(runs))
	fmt.Fprintln(b.out, "| phase | p99 of the others, ms | ratio to all reading | CPU, % of a core |\n|---|---|---|---|")
	for i, name := range phases {
		p99 := medianOf(runs, func(r stallRun) float64 { return milliseconds(r.p99[i]) })
		ratio := medianOf(runs, func(r stallRun) float64 { return float64(r.p99[i]) / float64(r.p99[0]) })
		cpu := medianOf(runs, func(r stallRun) float64 { return 100 * r.cpu[i] })
		fmt.Fprintf(b.out, "| %s | %.1f | %.2f | %.0f |\n", name, p99, ratio, cpu)
	}
	perViewer := medianOf(runs, func(r stallRun) float64 { return (r.full - r.reading) * 1e3 / float64(group) })
	fmt.Fprintf(b.out, "\nResident memory, MB: %.0f with all reading, %.0f with the queues full (%.0f KB for each that does not read), %.0f after.\n",
		medianOf(runs, func(r stallRun) float64 { return r.reading }), medianOf(runs, func(r stallRun) float64 { return r.full }),
		perViewer, medianOf(runs, func(r stallRun) float64 { return r.drained }))
	for _, r := range runs {
		fmt.Fprintf(b.out, "Oracle: %v.\n", r.verdict)
		if r.verdict.missing > 0 || r.verdict.wrong > 0 {
			return fmt.Errorf("viewers lost samples: %v", r.verdict)
		}
	}
	return nil
}

func (b *bench) stall(group, others int) (r stallRun, err error) {
	server, err := b.startProduct(b.newDir(), "127.0.0.1:0", stallInterval)
	if err != nil {
		return r, err
	}
	defer server.Kill()
	time.Sleep(b.times.settle)
	memory := func(into *float64) {
		n, residentErr := server.Resident()
		if err == nil {
			err = residentErr
		}
		*into = float64(n) / 1e6
	}
	memory(&r.before)
	// A tenth of the others is watched too, so that a fault of the oracle would show.
	watch := newOracle(group + others/10)
	fleet, err := load.New(load.Plan{
		Server: server.Address, Viewers: group + others, Queries: twelveRooms, Pausable: group, Points: 4800, Record: watch.record,
	})
	if err != nil {
		return r, err
	}
	defer fleet.Close()
	if err := fleet.Connect(connectTimeout); err != nil {
		return r, err
	}
	from := time.Now().UnixMilli()
	if err := fleet.Run(b.times.warmup); err != nil {
		return r, err
	}

	// Phase by phase. The queues are full when each viewer in each room is parked.
	stalls := func() (float64, error) {
		m, err := server.Metrics()
		return m[metricStalls], err
	}
	if err := b.phase(&r, 0, server, fleet, b.times.measure); err != nil {
		return r, err
	}
	memory(&r.reading)
	if err := fleet.Pause(0, group); err != nil {
		return r, err
	}
	parked := func() (bool, error) {
		n, err := stalls()
		return n >= float64(group*len(twelveRooms)), err
	}
	if err := b.phaseUntil(&r, 1, server, fleet, fillTimeout, parked); err != nil {
		return r, err
	}
	if r.parked, err = stalls(); err != nil {
		return r, err
	}
	if r.parked == 0 {
		return r, fmt.Errorf("no viewer was parked in %v without reading: something takes what the queues are to bound", fillTimeout)
	}
	if err := b.phase(&r, 2, server, fleet, b.times.measure); err != nil {
		return r, err
	}
	memory(&r.full)
	if err := fleet.Resume(0, group); err != nil {
		return r, err
	}
	if err := b.phase(&r, 3, server, fleet, b.times.measure); err != nil {
		return r, err
	}
	memory(&r.drained)
	if err != nil {
		return r, err
	}

	to := time.Now().UnixMilli()
	if err := fleet.Run(2 * time.Second); err != nil { // what was measured by then arrives
		return r, err
	}
	held, err := ask(server.Address, twelveRooms, from, to)
	if err != nil {
		return r, err
	}
	r.verdict, err = watch.judge(held, from, to)
	return r, err
}

// phase reads for d and notes phase i's figures.
func (b *bench) phase(r *stallRun, i int, server *child.Child, fleet *load.Fleet, d time.Duration) error {
	return b.phaseUntil(r, i, server, fleet, d, func() (bool, error) { return false, nil })
}

// phaseUntil is phase, but ends early when done; it asks once a second.
func (b *bench) phaseUntil(r *stallRun, i int, server *child.Child, fleet *load.Fleet, d time.Duration, done func() (bool, error)) error {
	if err := b.ctx.Err(); err != nil {
		return err
	}
	fleet.Reset()
	from, err := server.CPU()
	if err != nil {
		return err
	}
	began := time.Now()
	for ended := false; !ended && time.Since(began) < d; {
		if err := fleet.Run(min(time.Second, d)); err != nil {
			return err
		}
		if ended, err = done(); err != nil {
			return err
		}
	}
	to, err := server.CPU()
	if err != nil {
		return err
	}
	r.cpu[i] = float64(to-from) / float64(time.Since(began))
	r.p99[i] = fleet.Figures().FromSample.Percentile(0.99)
	return nil
}
