//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"stripchart/bench/child"
	"stripchart/bench/load"
	"stripchart/bench/measure"
)

// metricReads is the product's count of histories read from the store.
const metricReads = "stripchart_history_reads_total"

// stormWindows are what the viewers ask for: one history is to be read for each.
var stormWindows = []float64{100, 300, 900}

// stormTimeout is how long all may take to come back.
const stormTimeout = 2 * time.Minute

// stormRun is what one storm has shown. Times but the first are from the moment in
// which the new server was ready.
type stormRun struct {
	start     time.Duration // from the kill to that moment
	half, all time.Duration // until that share of the viewers had its whole bootstrap
	reads     float64
	failed    int           // attempts
	cpu       time.Duration // of the server, until all were back
	peak      float64       // resident memory, MB
}

func (r stormRun) String() string {
	return fmt.Sprintf("ready after %v; half after %v, all after %v; %.0f reads, %d attempts failed, CPU %v, peak %.0f MB",
		r.start.Round(time.Millisecond), r.half.Round(time.Millisecond), r.all.Round(time.Millisecond),
		r.reads, r.failed, r.cpu.Round(time.Millisecond), r.peak)
}

// storm kills the server under its viewers and starts it again: they come back at
// once, or, as the client does, at random within seconds.
func (b *bench) storm(quick bool) error {
	viewers := 10_000
	if quick {
		viewers = 2000
	}
	fmt.Fprintf(b.out, "%d viewers lose the server (kill -9), which starts again on the same data; %d windows, 15 minutes of history at 1 s. Medians of %d.\n\n", viewers, len(stormWindows), b.pairs)
	fmt.Fprintln(b.out, "| they come back | server ready after s | half bootstrapped after s | all after s | history reads | failed attempts | CPU s | peak MB |\n|---|---|---|---|---|---|---|---|")
	for _, way := range []struct {
		name  string
		retry func(int) time.Duration
	}{
		{"at once", nil},
		{"as socket.io-client", load.LikeTheClient(rand.Float64)},
	} {
		var runs []stormRun
		for range b.pairs {
			r, err := b.stormOnce(viewers, way.retry)
			if err != nil {
				return err
			}
			b.progress("storm, %s: %v", way.name, r)
			runs = append(runs, r)
		}
		seconds := func(f func(stormRun) time.Duration) float64 {
			return medianOf(runs, func(r stormRun) float64 { return f(r).Seconds() })
		}
		fmt.Fprintf(b.out, "| %s | %.2f | %.2f | %.2f | %.0f | %.0f | %.2f | %.0f |\n", way.name,
			seconds(func(r stormRun) time.Duration { return r.start }), seconds(func(r stormRun) time.Duration { return r.half }),
			seconds(func(r stormRun) time.Duration { return r.all }),
			medianOf(runs, func(r stormRun) float64 { return r.reads }), medianOf(runs, func(r stormRun) float64 { return float64(r.failed) }),
			seconds(func(r stormRun) time.Duration { return r.cpu }), medianOf(runs, func(r stormRun) float64 { return r.peak }))
	}
	return nil
}

// stormOnce has viewers come back after retry, or, if it is nil, all when the
// server is ready.
func (b *bench) stormOnce(viewers int, retry func(int) time.Duration) (r stormRun, err error) {
	dir := b.newDir()
	if err := prefill(dir, 15*time.Minute); err != nil {
		return r, err
	}
	server, err := b.startProduct(dir, "127.0.0.1:0", time.Second)
	if err != nil {
		return r, err
	}
	defer func() { server.Kill() }()
	away := true // nobody comes back yet
	fleet, err := load.New(load.Plan{
		Server: server.Address, Viewers: viewers, Queries: oneRoom, Windows: stormWindows, Dialing: -1,
		Retry: func(attempt int) time.Duration {
			switch {
			case retry != nil:
				return retry(attempt)
			case away:
				return -1
			}
			return time.Duration(rand.Int64N(int64(time.Second))) // its place in the server's queue was taken
		},
	})
	if err != nil {
		return r, err
	}
	defer fleet.Close()
	if err := fleet.Connect(connectTimeout); err != nil {
		return r, err
	}
	if err := fleet.Run(b.times.warmup); err != nil {
		return r, err
	}

	fleet.Reset()
	killed := time.Now()
	server.Kill()
	restarted, err := b.restart(dir, server.Address.String(), fleet)
	if err != nil {
		return r, err
	}
	server = restarted
	ready := time.Now()
	r.start = ready.Sub(killed)
	away = false
	fleet.Recall()
	// Who has not noticed yet that its server is gone does not count as back.
	back := func(n int) func() bool {
		return func() bool { return fleet.Figures().Lost >= viewers && fleet.Live() >= n }
	}
	if err := fleet.Await(back(viewers/2), stormTimeout); err != nil {
		return r, err
	}
	r.half = time.Since(ready)
	if err := fleet.Await(back(viewers), stormTimeout); err != nil {
		return r, err
	}
	r.all = time.Since(ready)
	r.failed = fleet.Figures().Refused
	if r.cpu, err = server.CPU(); err != nil {
		return r, err
	}
	peak, err := measure.Peak(server.PID())
	if err != nil {
		return r, err
	}
	r.peak = float64(peak) / 1e6
	m, err := server.Metrics()
	if err != nil {
		return r, err
	}
	r.reads = m[metricReads]
	fleet.Reset()
	if err := fleet.Await(func() bool { return fleet.Figures().Updates >= viewers }, 10*time.Second); err != nil {
		return r, fmt.Errorf("updates after the storm: %w", err)
	}
	return r, b.ctx.Err()
}

// restart starts the server again while the fleet deals with its losses.
func (b *bench) restart(dir, address string, fleet *load.Fleet) (*child.Child, error) {
	type result struct {
		server *child.Child
		err    error
	}
	started := make(chan result, 1)
	go func() {
		server, err := b.startProduct(dir, address, time.Second)
		started <- result{server, err}
	}()
	for {
		if err := fleet.Run(5 * time.Millisecond); err != nil {
			if r := <-started; r.err == nil {
				r.server.Kill()
			}
			return nil, err
		}
		select {
		case r := <-started:
			return r.server, r.err
		default:
		}
	}
}
