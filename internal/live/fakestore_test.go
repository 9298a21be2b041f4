package live

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/recent"
	"stripchart/internal/store"
)

// memStore is a Store without I/O that has what matters of tsdb: a snapshot sees
// exactly the commits before it, except for late samples, which appear at once.
type memStore struct {
	mu      sync.Mutex
	series  map[string]*memSeries
	commits int
	fail    func() error         // nil: never
	delay   func() time.Duration // how long a History takes
	reads   int
	notes   map[store.Note][]byte
	damaged bool
	losses  []store.Loss    // before it was opened
	missing []store.Loss    // in each history
	empty   []labels.Labels // series of which all is missing
	noGaps  bool            // the gaps cannot be kept
	most    int             // values that a History returns; 0: no bound
}

type memSeries struct {
	labels  labels.Labels
	samples []memSample // ascending
	maxT    int64
}

type memSample struct {
	bus.Sample
	commit int
	late   bool
}

func newMemStore() *memStore {
	return &memStore{series: map[string]*memSeries{}, notes: map[store.Note][]byte{}, delay: func() time.Duration {
		return time.Duration(rand.IntN(200)) * time.Millisecond
	}}
}

func (s *memStore) PageReads() *store.Share { return store.NewShare(4, 5*time.Second) }

func (s *memStore) Append(rows []store.Row) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		if err := s.fail(); err != nil {
			return err
		}
	}
	s.commits++
	for _, r := range rows {
		key := r.Labels.String()
		m := s.series[key]
		if m == nil {
			m = &memSeries{labels: r.Labels}
			s.series[key] = m
		}
		for _, x := range r.Samples {
			i, there := m.find(x.T)
			if there {
				continue // "already there" is no error
			}
			m.samples = slices.Insert(m.samples, i, memSample{x, s.commits, x.T < m.maxT})
			m.maxT = max(m.maxT, x.T)
		}
	}
	return nil
}

func (m *memSeries) find(t int64) (int, bool) {
	return slices.BinarySearchFunc(m.samples, t, func(x memSample, t int64) int { return cmp.Compare(x.T, t) })
}

func (s *memStore) MaxTime() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	newest := int64(-1 << 62)
	for _, m := range s.series {
		newest = max(newest, m.maxT)
	}
	return newest
}

func (s *memStore) LookUp(_ context.Context, questions []store.Question) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range questions {
		q := &questions[i]
		q.Values, q.There, q.Newest = make([]float64, len(q.Times)), make([]bool, len(q.Times)), recent.UnknownTime
		m := s.series[q.Labels.String()]
		if m == nil {
			continue
		}
		for i, t := range q.Times {
			at, ok := m.find(t)
			if q.There[i] = ok; ok {
				q.Values[i] = m.samples[at].V
			}
		}
		if at, there := m.find(q.To); q.From < q.To {
			if !there {
				at--
			}
			if at >= 0 && m.samples[at].T >= q.From {
				q.Newest = m.samples[at].T
			}
		}
	}
	return nil
}

func (s *memStore) Keep(n store.Note, b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.noGaps && n == store.Gaps {
		return errCommit
	}
	s.notes[n] = b
	return nil
}

func (s *memStore) Kept(n store.Note) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.notes[n], nil
}

func (s *memStore) Losses() []store.Loss {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.losses
}

func (s *memStore) LossesDeclared([]store.Loss) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.losses = nil
	return nil
}

func (s *memStore) Intact() bool { return !s.damaged }

func (s *memStore) Series(_ context.Context, ms []*labels.Matcher, from, to int64) ([]labels.Labels, error) {
	snapshot, _ := s.Snapshot(from, to)
	var out []labels.Labels
	for _, h := range snapshot.(*memSnapshot).read(ms, from, to) {
		out = append(out, h.Labels)
	}
	return out, nil
}

func (s *memStore) Snapshot(int64, int64) (Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &memSnapshot{s: s, commits: s.commits}, nil
}

type memSnapshot struct {
	s       *memStore
	commits int
	keep    func(labels.Labels) bool
}

func (q *memSnapshot) Only(keep func(labels.Labels) bool) { q.keep = keep }

func (q *memSnapshot) Missing() []store.Loss { return q.s.missing }

func (q *memSnapshot) Close() error { return nil }

func (q *memSnapshot) History(ctx context.Context, ms []*labels.Matcher, from, to int64, points int) ([]store.History, error) {
	select {
	case <-time.After(q.s.delay()):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	hs := q.read(ms, from, to)
	for _, ls := range q.s.empty {
		if q.keep == nil || q.keep(ls) {
			hs = append(hs, store.History{Labels: ls, T: []int64{}, V: []float64{}})
		}
	}
	for i := range hs {
		if len(hs[i].T) > points {
			downsample(&hs[i], to-from, points)
		}
	}
	values := 0
	for i := range hs {
		values += len(hs[i].V) + len(hs[i].M4)
	}
	if q.s.most > 0 && values > q.s.most {
		return nil, fmt.Errorf("%d values: %w", values, store.ErrTooLarge)
	}
	return hs, nil
}

// downsample makes columns of h's samples, at most points/4 of them.
func downsample(h *store.History, span int64, points int) {
	h.Step = span/int64(points/4-1) + 1
	h.X0 = h.T[0] / h.Step * h.Step
	for i, t := range h.T {
		column := int((t - h.X0) / h.Step)
		for len(h.M4) < 4*(column+1) {
			h.M4 = append(h.M4, math.NaN(), math.NaN(), math.NaN(), math.NaN())
		}
		c, v := h.M4[4*column:], h.V[i]
		if math.IsNaN(c[0]) {
			copy(c, []float64{v, v, v, v})
		}
		c[1], c[2], c[3] = min(c[1], v), max(c[2], v), v
	}
	h.T, h.V = nil, nil
}

func (q *memSnapshot) read(ms []*labels.Matcher, from, to int64) []store.History {
	q.s.mu.Lock()
	defer q.s.mu.Unlock()
	q.s.reads++
	var out []store.History
	for _, m := range q.s.series {
		if !matches(ms, m.labels) {
			continue
		}
		h := store.History{Labels: m.labels}
		for _, x := range m.samples {
			if x.T >= from && x.T <= to && (x.commit <= q.commits || x.late) {
				h.T = append(h.T, x.T)
				h.V = append(h.V, x.V)
			}
		}
		if n := len(h.T); n > 0 {
			h.Newest = h.T[n-1]
			if n > 1 {
				h.IntervalMS = h.T[n-1] - h.T[n-2]
			}
			out = append(out, h)
		}
	}
	slices.SortFunc(out, func(a, b store.History) int { return labels.Compare(a.Labels, b.Labels) })
	return slices.DeleteFunc(out, func(x store.History) bool { return q.keep != nil && !q.keep(x.Labels) })
}
