package redisbus

import (
	"slices"
	"sync"

	"stripchart/internal/bus"
)

const (
	// trailEvery is the distance of two steps, in ms of log time, and trailSteps how
	// many there are: replicas lag by less, and whoever restores a dump that is older has
	// the whole log read again.
	trailEvery = 1000
	trailSteps = 600
)

// step is a place that a Tail has passed.
type step struct {
	at   bus.Offset
	mark string // of the entry there
}

// trail is some of what the Tails of this process have passed in the present epoch. When
// the log loses its end, it tells how much of it is still the log that was read.
type trail struct {
	mu    sync.Mutex // guards what follows
	epoch string
	steps []step   // ascending
	over  []string // epochs that were found to be over, the newest last
}

// maxOver is how many of them are remembered.
const maxOver = 16

// pass notes that the entry at p was read.
func (t *trail) pass(p bus.Position, mark string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.Epoch != t.epoch {
		t.epoch, t.steps = p.Epoch, nil
	}
	if n := len(t.steps); n > 0 && p.Ms < t.steps[n-1].at.Ms+trailEvery {
		return
	}
	if len(t.steps) == trailSteps {
		t.steps = slices.Delete(t.steps, 0, 1)
	}
	t.steps = append(t.steps, step{p.Offset, mark})
}

// before returns steps up to p, the newest first, ever fewer of the older ones, and the
// oldest.
func (t *trail) before(p bus.Position) (steps []step) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.Epoch != t.epoch {
		return nil
	}
	last := len(t.steps) - 1
	for last >= 0 && p.Compare(t.steps[last].at) < 0 {
		last--
	}
	for i, back := last, 1; i > 0; i, back = last-back, 2*back {
		steps = append(steps, t.steps[i])
	}
	if last >= 0 {
		steps = append(steps, t.steps[0])
	}
	return steps
}

// ends notes that an epoch is over.
func (t *trail) ends(epoch string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if slices.Contains(t.over, epoch) {
		return
	}
	t.over = append(t.over, epoch)
	t.over = t.over[max(0, len(t.over)-maxOver):]
}

// ended returns the epochs that are over, as arguments of a script.
func (t *trail) ended() (args []any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, epoch := range t.over {
		args = append(args, epoch)
	}
	return args
}

// goesOn notes that what was epoch is the present one up to p.
func (t *trail) goesOn(epoch string, p bus.Position) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.epoch == epoch {
		t.epoch = p.Epoch
		t.steps = slices.DeleteFunc(t.steps, func(s step) bool { return p.Compare(s.at) < 0 })
	}
}
