//go:build linux

package main

import (
	"fmt"
	"path/filepath"
	"time"
)

// away measures how long a server takes to be ready after it was away: one that
// missed minutes of 100 sources with 100 series at 1 s.
func (b *bench) away(quick bool) error {
	seconds := 600
	if quick {
		seconds = 60
	}
	s := situation{sources: 100, shape: shape{100, 1}}
	x, err := b.start(s, 0)
	if err != nil {
		return err
	}
	defer x.close()
	// The first life has seen every series, right before the time that it is to miss.
	if _, err := x.control.do(fmt.Sprintf("past %d 1", seconds+1)); err != nil {
		return err
	}
	return b.miss(x, s, seconds)
}

func (b *bench) miss(x *system, s situation, seconds int) error {
	restart := func() (time.Duration, error) {
		began := time.Now()
		server, err := b.serve(x.redis.URL, filepath.Join(x.dir, "data"))
		if err != nil {
			return 0, err
		}
		x.server = server
		return time.Since(began), nil
	}
	time.Sleep(time.Second)
	x.server.Stop()
	nothing, err := restart()
	if err != nil {
		return err
	}
	x.server.Stop()
	began := time.Now()
	t, err := x.control.do(fmt.Sprintf("past %d %d", seconds, seconds))
	if err != nil {
		return err
	}
	filled := time.Since(began)
	ready, err := restart()
	if err != nil {
		return err
	}
	cpu, err := x.server.CPU()
	if err != nil {
		return err
	}
	m, err := x.server.Metrics()
	if err != nil {
		return err
	}
	missed := s.sources * s.shape.series * seconds
	fmt.Fprintf(b.out, "A server was away for %v of %d sources with %d series each, a sample a second: %d batches, %d samples, of which it has %.0f, and %.0f batches missing.\n\n",
		time.Duration(seconds)*time.Second, s.sources, s.shape.series, s.sources*seconds, missed, m[metricSamples], m[metricMissing])
	fmt.Fprintf(b.out, "Ready after %.2f s, with nothing missed after %.2f s: %.0f samples a second, CPU %.2f s. The sources took %.2f s to publish them.\n",
		ready.Seconds(), nothing.Seconds(), float64(missed)/(ready-nothing).Seconds(), cpu.Seconds(), filled.Seconds())
	if m[metricMissing] != 0 || m[metricSamples] < float64(missed) {
		return fmt.Errorf("%d samples were published, and the server has %.0f of them", t.Samples, m[metricSamples])
	}
	return b.ctx.Err()
}
