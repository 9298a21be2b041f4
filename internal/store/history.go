package store

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

const (
	// maxHistoryValues bounds the values that one History call returns, over
	// all series: 8 MiB, as much again for the times of raw ones, and about 20 MB encoded.
	maxHistoryValues = 1 << 20
	// intervalDeltas is over how many of the last distances IntervalMS is.
	intervalDeltas = 64
	// checkEvery is after how many samples a read looks whether it was
	// cancelled: well below a millisecond.
	checkEvery = 1 << 13
)

// History is the samples of one series in a range, raw or downsampled.
type History struct {
	Labels labels.Labels
	// IntervalMS is the typical distance of the newest samples in the range in
	// milliseconds: the median of the last 64. 0 for a single sample.
	IntervalMS int64
	Newest     int64 // time of the newest sample in the range, Unix milliseconds

	// The samples, when there are at most as many as points asked for:
	// ascending times in Unix milliseconds, and their values.
	T []int64
	V []float64

	// Otherwise T and V are nil, and M4 has four values for each column
	// [X0+i*Step, X0+(i+1)*Step): see Grid.M4.
	X0, Step int64
	M4       []float64
}

// History returns the samples in [from, to] of the series that match ms, sorted
// by labels, without series that have none there. What is damaged is left out, and Missing
// tells of it; a series of which nothing is left in the range has no samples then. A series gets at most points
// values, at least 8; the grid of downsampled ones is GridFor(from, to, points),
// the same for all. The range lies inside that of the snapshot.
//
// Returns ErrTooLarge beyond 1 Mi values, ErrSnapshotClosed, or the context's error.
func (q *Snapshot) History(ctx context.Context, ms []*labels.Matcher, from, to int64, points int) ([]History, error) {
	grid, err := GridFor(from, to, points)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	if from < q.from || to > q.to {
		return nil, fmt.Errorf("history: range %d to %d is not inside the snapshot's, %d to %d", from, to, q.from, q.to)
	}
	var all []History
	q.missing = nil
	err = q.r.use(ctx, func(ctx context.Context, sq storage.Querier) error {
		values := 0
		q.r.damage.takeChunks()
		hr := historyReader{grid: grid, points: points}
		set := sq.Select(ctx, true, &storage.SelectHints{Start: from, End: to}, ms...)
		for set.Next() {
			if len(q.r.damage.indexes()) > 0 && !matchAll(ms, set.At().Labels()) {
				continue // lists of series that are to be subtracted may be damaged
			}
			h, asked, err := hr.read(ctx, set.At(), q.keep)
			if err != nil {
				return err
			}
			lost := q.r.damage.takeChunks()
			if h.V == nil && h.M4 == nil {
				if len(lost) == 0 || asked || q.keep != nil && !q.keep(set.At().Labels()) {
					continue
				}
				h = History{Labels: set.At().Labels(), T: []int64{}, V: []float64{}}
			}
			for _, l := range lost {
				l.Series = []labels.Labels{h.Labels}
				q.missing = append(q.missing, l)
			}
			if values += len(h.V) + len(h.M4); values > maxHistoryValues {
				return fmt.Errorf("%w: more than %d values; ask for fewer series or points", ErrTooLarge, maxHistoryValues)
			}
			all = append(all, h)
		}
		q.missing = append(q.missing, q.r.damage.indexes()...)
		return set.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return all, nil
}

func matchAll(ms []*labels.Matcher, l labels.Labels) bool {
	for _, m := range ms {
		if !m.Matches(l.Get(m.Name)) {
			return false
		}
	}
	return true
}

// historyReader reads one series after the other, with the same buffers.
type historyReader struct {
	grid   Grid
	points int
	it     chunkenc.Iterator
	t      []int64
	v      []float64
}

// read collects raw samples, and when there are more than points folds them and
// the rest into columns: one pass, whichever it turns out to be.
//
// keep, if not nil, is asked when the first sample was found; a series that it
// refuses is returned without samples. asked tells that keep was.
func (hr *historyReader) read(ctx context.Context, series storage.Series, keep func(labels.Labels) bool) (h History, asked bool, err error) {
	if err := ctx.Err(); err != nil {
		return h, asked, err
	}
	hr.it = series.Iterator(hr.it)
	hr.t, hr.v = hr.t[:0], hr.v[:0]
	var (
		fold   *folder
		times  recent
		newest = int64(math.MinInt64)
	)
	for n := 1; ; n++ {
		if n%checkEvery == 0 && ctx.Err() != nil {
			return h, asked, ctx.Err()
		}
		typ := hr.it.Next()
		if typ == chunkenc.ValNone {
			break
		}
		if typ != chunkenc.ValFloat {
			continue // this store writes floats only
		}
		t, v := hr.it.At()
		if newest == math.MinInt64 && keep != nil {
			if asked = true; !keep(series.Labels()) {
				return h, asked, nil
			}
		}
		newest = t
		if fold == nil && len(hr.t) == hr.points {
			fold = newFolder(hr.grid)
			for i := range hr.t {
				fold.add(hr.t[i], hr.v[i])
			}
			times.seed(hr.t)
		}
		if fold == nil {
			hr.t, hr.v = append(hr.t, t), append(hr.v, v)
			continue
		}
		fold.add(t, v)
		times.add(t)
	}
	if err := hr.it.Err(); err != nil {
		return h, asked, err
	}
	h = History{Labels: series.Labels(), Newest: newest}
	switch {
	case fold != nil:
		h.X0, h.Step, h.M4 = hr.grid.X0, hr.grid.Step, fold.cols
	case len(hr.t) > 0:
		h.T, h.V = slices.Clone(hr.t), slices.Clone(hr.v)
		times.seed(hr.t)
	}
	h.IntervalMS = times.interval()
	return h, asked, nil
}

// recent keeps the newest times of a series.
type recent struct {
	ring [intervalDeltas + 1]int64
	n    int // times seen; the newest is ring[(n-1)%len(ring)]
}

func (r *recent) add(t int64) {
	r.ring[r.n%len(r.ring)] = t
	r.n++
}

func (r *recent) seed(t []int64) {
	for _, t := range t[max(0, len(t)-len(r.ring)):] {
		r.add(t)
	}
}

// interval returns the median distance of neighbours, 0 when there are none.
func (r *recent) interval() int64 {
	k := min(r.n, len(r.ring))
	if k < 2 {
		return 0
	}
	deltas := make([]int64, 0, intervalDeltas)
	for i := r.n - k + 1; i < r.n; i++ {
		deltas = append(deltas, r.ring[i%len(r.ring)]-r.ring[(i-1)%len(r.ring)])
	}
	slices.Sort(deltas)
	return deltas[len(deltas)/2]
}
