//go:build linux

package main

import (
	"fmt"
	"time"
)

// target is the aim of samples a second.
const target = 300_000

// idleRate is in batches a second: each leaves the server at once, since a room is
// sent at most 20 updates a second.
const idleRate = 10

// maxSteps bounds the search for the highest rate that the server keeps up with.
const maxSteps = 5

// situations to measure. A thousand sources of a thousand series each would be a
// million series: that is another question.
func situations(quick bool) []situation {
	wide, deep := shape{1000, 1}, shape{100, 10}
	if quick {
		return []situation{{false, 10, wide}, {true, 10, wide}}
	}
	return []situation{
		{false, 10, wide}, {true, 10, wide}, {false, 100, wide}, {true, 100, wide},
		{false, 10, deep}, {false, 100, deep}, {false, 1000, deep}, {true, 1000, deep},
	}
}

// hasYardstick reports whether delays when idle are compared with those in memory.
func (s situation) hasYardstick() bool { return s.shape.samples == 1 || s.sources == 1000 }

// rates measures delays when idle and at the target, and the highest rate that is
// kept up with.
func (b *bench) rates(quick bool) error {
	var rows []row
	defer func() { printRates(b.out, rows, b.viewers) }() // also what was measured before something failed
	for _, s := range b.chosen(situations(quick)) {
		r, err := b.rate(s, quick)
		if err != nil {
			return fmt.Errorf("%v: %w", s, err)
		}
		rows = append(rows, r)
	}
	return nil
}

// row is what one situation has shown.
type row struct {
	situation
	idle, atTarget interval
	most           interval // the highest rate that was kept up with; zero: none was
	over           interval // the lowest that was not; zero: none was tried
}

func (b *bench) rate(s situation, quick bool) (r row, err error) {
	r.situation = s
	x, err := b.start(s, b.viewers)
	if err != nil {
		return r, err
	}
	defer x.close()
	idle, measured, warm := 10*time.Second, 8*time.Second, 1500*time.Millisecond
	if quick {
		idle, measured, warm = 4*time.Second, 3*time.Second, time.Second
	}
	run := func(rate float64, d time.Duration) (interval, error) {
		i, err := x.observe(rate, warm, d)
		b.progress("%v: %v", s, i)
		return i, err
	}
	if s.memory || s.hasYardstick() {
		if r.idle, err = run(idleRate, idle); err != nil {
			return r, err
		}
	}
	aim := float64(target) / float64(s.shape.size())
	if r.atTarget, err = run(aim, measured); err != nil {
		return r, err
	}
	if r.atTarget.kept() {
		r.most = r.atTarget
	} else {
		r.over = r.atTarget
	}
	// Up from there while it is kept up with, or down until it is.
	up := r.atTarget.kept()
	for step, rate := 0, aim; step < maxSteps && !quick; step++ {
		if up {
			rate *= 1.25
		} else {
			rate /= 1.25
		}
		i, err := run(rate, measured/2)
		if err != nil {
			return r, err
		}
		if i.kept() {
			r.most = i
		} else {
			r.over = i
		}
		if i.kept() != up {
			break
		}
	}
	return r, nil
}
