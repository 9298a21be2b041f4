package chaos

import (
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/wire"
)

// gap says that samples of a series between two times, both excluded, may be
// missing. As on the wire, but by the series' own name.
type gap struct {
	series   string // "" for every series
	from, to int64  // Unix ms
	reason   string
}

func (g gap) holds(series string, t int64) bool {
	return (g.series == "" || g.series == series) && g.from < t && t < g.to
}

// declared reports whether a sample of the series at t may be missing, or in a batch
// that may be.
func (h *holding) declared(series string, t int64) bool {
	for g := range h.gaps {
		if g.holds(series, t) || g.holds(series, t+lateBy) {
			return true
		}
	}
	return false
}

// holding is what somebody has after the merge: a viewer, or a server's history.
// It merges as docs/PROTOCOL.md says, and counts what should not have come.
type holding struct {
	who     string
	samples map[string]map[int64]float64 // by series (its labels as text), by time
	columns map[string][]column          // downsampled, by series
	gaps    map[gap]bool                 // true: not judged yet

	changed []change // samples that came with two values
	behind  []behind // samples that came behind newer ones, judged later
	doubled int      // messages with a sample twice
	order   int      // times that do not ascend where they must
	repeats int      // samples that came again with the same value: allowed
	notes   []string
}

// behind is a sample that came in the order of the log, but behind a newer one.
type behind struct {
	series string
	t      int64
	newest int64
	began  int64  // when the viewer was sent a whole history before, Unix ms
	in     string // the message, and what the viewer was told before
}

// change is a sample that came with two values.
type change struct {
	series   string
	t        int64
	was, now float64
}

func newHolding(who string) *holding {
	return &holding{who: who, samples: map[string]map[int64]float64{}, columns: map[string][]column{}, gaps: map[gap]bool{}}
}

// note keeps the first few details of what went wrong.
func (h *holding) note(format string, args ...any) {
	if len(h.notes) < 20 {
		h.notes = append(h.notes, h.who+": "+fmt.Sprintf(format, args...))
	}
}

// clear forgets all samples: a bootstrap that replaces begins.
func (h *holding) clear() { clear(h.samples); clear(h.columns) }

// column is one of a downsampled series: from is in it, to is not.
type column struct {
	from, to int64
	low      float64
	high     float64
}

// draws reports whether the sample is in a column that may have been made of it.
func (h *holding) draws(series string, t int64, v float64) bool {
	return slices.ContainsFunc(h.columns[series], func(c column) bool { return c.from <= t && t < c.to && c.low <= v && v <= c.high })
}

// covers reports whether there is a column of the time.
func (h *holding) covers(series string, t int64) bool {
	return slices.ContainsFunc(h.columns[series], func(c column) bool { return c.from <= t && t < c.to })
}

// downsampled takes in a block of columns.
func (h *holding) downsampled(b *wire.Block, names map[int]string) (first, last int64, err error) {
	first, last = 1<<62, -1<<62
	for i, id := range b.IDs {
		name, known := names[id]
		if !known || len(b.Y[i])%4 != 0 {
			return 0, 0, fmt.Errorf("%s was sent %d values in columns of the series with id %d (known: %v)", h.who, len(b.Y[i]), id, known)
		}
		for k := 0; k < len(b.Y[i]); k += 4 {
			from := b.X0 + int64(k/4)*b.Step
			if low := b.Y[i][k+1]; low == low { // not an empty one
				h.columns[name] = append(h.columns[name], column{from, from + b.Step, low, b.Y[i][k+2]})
				first, last = min(first, from), max(last, from)
			}
		}
	}
	return first, last, nil
}

// told notes a declared gap.
func (h *holding) told(g gap) {
	if _, known := h.gaps[g]; !known {
		h.gaps[g] = true
	}
}

// put upserts a sample and reports whether it is new. The first value of a
// sample stays: a second one is a fault, but for a declared gap.
func (h *holding) put(series string, t int64, v float64) bool {
	of := h.samples[series]
	if of == nil {
		of = map[int64]float64{}
		h.samples[series] = of
	}
	w, there := of[t]
	switch {
	case !there:
		of[t] = v
		return true
	case !same(v, w):
		h.changed = append(h.changed, change{series, t, w, v})
	default:
		h.repeats++
	}
	return false
}

// blocks takes in the blocks of one message, in which each sample may be once, and
// returns the range of their times. fresh is called for each sample that is new.
func (h *holding) blocks(blocks []wire.Block, names map[int]string, fresh func(series string, t int64)) (first, last int64, err error) {
	type key struct {
		id int
		t  int64
	}
	seen := map[key]bool{}
	first, last = 1<<62, -1<<62
	for _, b := range blocks {
		if len(b.Y) != len(b.IDs) {
			return 0, 0, fmt.Errorf("%s was sent a block of %d series with %d rows", h.who, len(b.IDs), len(b.Y))
		}
		if b.Step > 0 {
			from, to, err := h.downsampled(&b, names)
			if err != nil {
				return 0, 0, err
			}
			first, last = min(first, from), max(last, to)
			continue
		}
		if !slices.IsSorted(b.X) {
			h.order++
			h.note("the times of a block do not ascend: %v", b.X)
		}
		for i, id := range b.IDs {
			name, known := names[id]
			if !known || len(b.Y[i]) != len(b.X) {
				return 0, 0, fmt.Errorf("%s was sent %d values for %d times of the series with id %d (known: %v)", h.who, len(b.Y[i]), len(b.X), id, known)
			}
			for k, t := range b.X {
				if seen[key{id, t}] {
					h.doubled++
					h.note("%s at %d is twice in one message", name, t)
				}
				seen[key{id, t}] = true
				first, last = min(first, t), max(last, t)
				if h.put(name, t, b.Y[i][k]) && fresh != nil {
					fresh(name, t)
				}
			}
		}
	}
	return first, last, nil
}

// same compares values; NaN, which null stands for, is itself.
func same(v, w float64) bool { return v == w || v != v && w != w }

// seriesName is how the harness calls a series.
func seriesName(ls labels.Labels) string { return ls.String() }
