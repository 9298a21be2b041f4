package live

import (
	"slices"
	"sync"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/apply"
	"stripchart/internal/bus"
)

// ledger is what was acknowledged, or given up by a source whose spool had
// acknowledged it.
type ledger struct {
	mu     sync.Mutex
	series map[string]*account // by labels as text
	root   []bus.Sample        // of rootSeries, in log order

	judged, gapped int
}

// account is what was acknowledged of one series.
type account struct {
	labels labels.Labels
	times  []int64 // ascending
	values map[int64]float64
	lost   map[int64]bool // never published
	// others are values that were published after the first: a server has one of them
	// where it has lost the first, which is in a declared gap.
	others map[int64][]float64
}

// had reports whether the value was published for that time.
func (a *account) had(t int64, v float64) bool {
	return a.values[t] == v || slices.Contains(a.others[t], v)
}

func newLedger() *ledger { return &ledger{series: map[string]*account{}} }

// rootSeries is the series of namespace /.
const rootSeries = `m{n="0",source="0"}`

// note notes the samples of a batch that must be accepted, in log order; the first value
// of a time stays. onLog: it is in the log, and not given up.
func (l *ledger) note(b *bus.Batch, onLog bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := ms()
	for _, s := range b.Series {
		ls := s.Labels.WithoutEmpty()
		a := l.series[ls.String()]
		if a == nil {
			a = &account{labels: ls, values: map[int64]float64{}, lost: map[int64]bool{}, others: map[int64][]float64{}}
			l.series[ls.String()] = a
		}
		for _, x := range s.Samples {
			if _, there := a.values[x.T]; there {
				a.others[x.T] = append(a.others[x.T], x.V)
				continue
			}
			if x.T > now+apply.FutureBound || x.T < now-24*3600*1000 {
				continue
			}
			a.values[x.T], a.lost[x.T] = x.V, !onLog
			i, _ := slices.BinarySearch(a.times, x.T)
			a.times = slices.Insert(a.times, i, x.T)
			if onLog && ls.Get("__name__") == "m" && ls.Get("n") == "0" && ls.Get("source") == "0" {
				l.root = append(l.root, x)
			}
		}
	}
}

// stored returns a time of the series that is in the log, and its value.
func (l *ledger) stored(ls labels.Labels, choose func(n int) int) (t int64, v float64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.series[ls.String()]
	if a == nil {
		return 0, 0, false
	}
	newest := a.times[max(0, len(a.times)-300):]
	t = newest[choose(len(newest))]
	return t, a.values[t], !a.lost[t]
}
