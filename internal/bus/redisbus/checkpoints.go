package redisbus

import (
	"slices"
	"sync"

	"stripchart/internal/bus"
)

const (
	// checkpointEvery is the distance of two checkpoints, in ms of log time, and
	// maxCheckpoints their bound; when it is reached, the oldest goes. Together they cover
	// ten minutes. Replicas lag by less, and after the restore of an older dump the whole
	// log is read again.
	checkpointEvery = 1000
	maxCheckpoints  = 600
	// maxEnded is how many ended epochs are remembered.
	maxEnded = 16
)

// checkpoint is an entry that a Tail has passed.
type checkpoint struct {
	at          bus.Offset
	fingerprint string
}

// checkpoints are some of the entries that the Tails of this process have passed in the
// present epoch. When the log loses its end, they tell how much of it is still the same.
//
// The server has checkpoints too (internal/apply), at which its replay after a start can
// begin. These ones have fingerprints and serve only to compare two logs.
type checkpoints struct {
	mu     sync.Mutex // guards what follows
	epoch  string
	passed []checkpoint // ascending
	ended  []string     // epochs that were found to be over, the newest last
}

// pass notes that the entry at p was read.
func (c *checkpoints) pass(p bus.Position, fingerprint string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.Epoch != c.epoch {
		c.epoch, c.passed = p.Epoch, nil
	}
	if n := len(c.passed); n > 0 && p.Ms < c.passed[n-1].at.Ms+checkpointEvery {
		return
	}
	if len(c.passed) == maxCheckpoints {
		c.passed = slices.Delete(c.passed, 0, 1)
	}
	c.passed = append(c.passed, checkpoint{p.Offset, fingerprint})
}

// before returns some of the checkpoints up to p, newest first: the newest, those 1, 3, 7,
// 15, ... places before it, and the oldest.
func (c *checkpoints) before(p bus.Position) (some []checkpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.Epoch != c.epoch {
		return nil
	}
	last := len(c.passed) - 1
	for last >= 0 && p.Compare(c.passed[last].at) < 0 {
		last--
	}
	for i, back := last, 1; i > 0; i, back = last-back, 2*back {
		some = append(some, c.passed[i])
	}
	if last >= 0 {
		some = append(some, c.passed[0])
	}
	return some
}

// end notes that an epoch is over.
func (c *checkpoints) end(epoch string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Contains(c.ended, epoch) {
		return
	}
	c.ended = append(c.ended, epoch)
	c.ended = c.ended[max(0, len(c.ended)-maxEnded):]
}

// endedEpochs returns the epochs that are over, as arguments of a script.
func (c *checkpoints) endedEpochs() (args []any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, epoch := range c.ended {
		args = append(args, epoch)
	}
	return args
}

// rename notes that the log of epoch continues under the epoch of p, and is the same up
// to p. Checkpoints behind p are dropped.
func (c *checkpoints) rename(epoch string, p bus.Position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epoch == epoch {
		c.epoch = p.Epoch
		c.passed = slices.DeleteFunc(c.passed, func(x checkpoint) bool { return p.Compare(x.at) < 0 })
	}
}
