package measure

import "time"

const (
	delayStep  = 100 * time.Microsecond
	delaySteps = 200_000 // 20 s
)

// Delays counts durations by tenths of a millisecond, so that counting millions
// costs an increment each. Durations below zero count as zero, those above 20 s
// as 20 s. The zero value is not ready; use NewDelays.
type Delays struct {
	counts []uint32 // by number of whole steps
	n      int
}

// NewDelays returns an empty count.
func NewDelays() *Delays { return &Delays{counts: make([]uint32, delaySteps+1)} }

// Add counts d.
func (d *Delays) Add(v time.Duration) {
	d.counts[min(max(v/delayStep, 0), delaySteps)]++
	d.n++
}

// Len returns how many were counted.
func (d *Delays) Len() int { return d.n }

// Reset forgets all.
func (d *Delays) Reset() {
	clear(d.counts)
	d.n = 0
}

// Percentile returns the smallest duration that at least p (0 to 1) of those
// counted do not exceed, rounded down to tenths of a millisecond; 0 if there are
// none.
func (d *Delays) Percentile(p float64) time.Duration {
	if d.n == 0 {
		return 0
	}
	rank := max(int(p*float64(d.n)+0.999999), 1) // nearest rank
	for step, seen := 0, 0; step < len(d.counts); step++ {
		if seen += int(d.counts[step]); seen >= rank {
			return time.Duration(step) * delayStep
		}
	}
	return delaySteps * delayStep
}
