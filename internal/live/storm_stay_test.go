package live

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/wire"
)

// stay is what a page holds of a room after the upsert, over all its connections.
// It is judged by docs/PROTOCOL.md alone.
type stay struct {
	who, query string
	matches    func(labels.Labels) bool
	crowded    bool // there are more series than are sent
	window     time.Duration
	points     int

	in       bool // the subscription was granted on this connection
	room     string
	booted   bool // a bootstrap has begun since the page subscribed
	more     bool // a part of it is to come
	since    string
	position string
	from     int64          // the oldest time that it was promised, Unix ms
	names    map[int]string // of series, by the ids of this connection
	samples  map[string]map[int64]float64
	columns  map[string][]drawn
	gaps     map[string][]wire.Gap
	values   map[string]int // how many the bootstrap under way has of each series
	changed  []changed
	matched  int // how many series match, as the page was told last
	diary    []string
}

// changed is a sample of the window that came with two values: allowed inside a declared
// gap alone. Of what is older than the window a page is told no gap.
type changed struct {
	name     string
	t        int64
	was, now float64
}

// inGap reports whether the page was told that the sample may be missing.
func (s *stay) inGap(name string, t int64) bool {
	return slices.ContainsFunc(s.gaps[name], func(g wire.Gap) bool { return g.From < t && t < g.To })
}

// drawn is a column of a downsampled block.
type drawn struct {
	from, to int64
	m4       [4]float64
}

// forget forgets everything: a reload, or a bootstrap that replaces.
func (s *stay) forget() {
	s.position, s.names, s.changed = "", map[int]string{}, nil
	s.samples, s.columns, s.gaps = map[string]map[int64]float64{}, map[string][]drawn{}, map[string][]wire.Gap{}
}

// left is called when the page is in the room no more.
func (s *stay) left() {
	s.in, s.booted = false, false
	if s.more { // a bootstrap that was cut short is void
		s.more = false
		s.forget()
	}
}

// enters is called when the page subscribes.
func (s *stay) enters(since string) {
	s.left()
	s.since, s.names = since, map[int]string{}
	s.note("subscribes %v with %d points since %q", s.window, s.points, since)
}

func (s *stay) note(format string, args ...any) {
	s.diary = append(s.diary[max(0, len(s.diary)-14):], time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

func (s *stay) take(w *world, f *fakePacket) {
	switch f.event {
	case wire.EventBootstrap:
		var m wire.Bootstrap
		if err := json.Unmarshal(f.arg, &m); err != nil {
			w.fault("wire", "bootstrap: %v", err)
			return
		}
		s.bootstrap(w, &m)
	case wire.EventUpdate:
		var m wire.Update
		if err := json.Unmarshal(f.arg, &m); err != nil {
			w.fault("wire", "update: %v", err)
			return
		}
		if !s.booted {
			return // of a subscription that was replaced
		}
		s.learn(m.Series)
		s.add(w, m.Now, m.Blocks)
		s.gone(w, &m)
		if m.Matched != nil {
			s.matched = *m.Matched
		}
		s.position = m.Position
	case wire.EventGap:
		var m wire.Gap
		if err := json.Unmarshal(f.arg, &m); err != nil {
			w.fault("wire", "gap: %v", err)
			return
		}
		if s.booted {
			s.gap(w, &m)
		}
	}
}

func (s *stay) bootstrap(w *world, m *wire.Bootstrap) {
	if !s.more {
		s.values = map[string]int{}
		s.note("bootstrap %s from %v, position %s", m.Reason, m.From != nil, m.Position)
		if m.From == nil {
			s.forget()
			s.from = m.Now - s.window.Milliseconds()
		} else if !mayContinue(*m.From, s.position) {
			w.fault("wire", "%s: a bootstrap continues from %s, and the page is at %q", s.who, *m.From, s.position)
		}
	}
	s.booted, s.more = true, m.More
	s.learn(m.Series)
	s.add(w, m.Now, m.Blocks)
	for _, b := range m.Blocks {
		for i, id := range b.IDs {
			name := s.names[id]
			s.values[name] += len(b.Y[i])
			if n := s.values[name]; n > s.points {
				w.fault("points", "%s: a bootstrap (%s) has %d values of %s, and the page asked for %d", s.who, m.Reason, n, name, s.points)
			}
		}
	}
	if m.Position != "" {
		s.position = m.Position
	}
}

func (s *stay) learn(ds []wire.Descriptor) {
	for _, d := range ds {
		s.names[d.ID] = d.Labels.String()
	}
}

// add upserts. A sample that comes twice must be the same.
func (s *stay) add(w *world, now int64, blocks []wire.Block) {
	for _, b := range blocks {
		for i, id := range b.IDs {
			name, known := s.names[id]
			if !known {
				w.fault("wire", "%s: samples of id %d, which was not described", s.who, id)
				continue
			}
			if b.Step > 0 {
				for c := 0; c+4 <= len(b.Y[i]); c += 4 {
					x := b.X0 + int64(c/4)*b.Step
					s.columns[name] = append(s.columns[name], drawn{x, x + b.Step, [4]float64(b.Y[i][c : c+4])})
				}
				continue
			}
			of := s.samples[name]
			if of == nil {
				of = map[int64]float64{}
				s.samples[name] = of
			}
			for k, t := range b.X {
				if old, there := of[t]; there && old != b.Y[i][k] && t > now-s.window.Milliseconds() {
					s.changed = append(s.changed, changed{name, t, old, b.Y[i][k]})
				}
				if k > 0 && t <= b.X[k-1] {
					w.fault("order", "%s: the times of a block do not ascend: %v", s.who, b.X)
				}
				of[t] = b.Y[i][k]
			}
		}
	}
}

// gone forgets series whose last sample must be older than the window.
func (s *stay) gone(w *world, m *wire.Update) {
	for _, id := range m.Gone {
		name := s.names[id]
		for t := range s.samples[name] {
			if t > m.Now-s.window.Milliseconds() && t <= m.Now {
				w.fault("gone", "%s: %s is gone at %d, and has a sample at %d in the window of %v\n%q", s.who, name, m.Now, t, s.window, s.diary)
				break
			}
		}
		delete(s.names, id)
		if s.crowded {
			delete(s.samples, name)
			delete(s.columns, name)
		}
	}
}

func (s *stay) gap(w *world, m *wire.Gap) {
	s.note("gap %s %d to %d of %d", m.Reason, m.From, m.To, len(m.IDs))
	if m.Reason == wire.GapSourceDropped && !w.kinds[kindDropped] || m.Reason == wire.GapLogTrimmed && !w.kinds[kindTrimmed] ||
		m.Reason == wire.GapLogLost {
		w.fault("undue", "%s: was told of a gap, which nothing explains: %+v", s.who, *m)
	}
	for _, id := range m.IDs {
		name, known := s.names[id]
		if !known {
			w.fault("wire", "%s: a gap of id %d, which was not described", s.who, id)
		}
		s.gaps[name] = append(s.gaps[name], *m)
	}
}

// owed are the series that the page must hold: all that match; in a crowded room those
// that it was told are sent, and those that it still draws.
func (s *stay) owed(w *world) []string {
	var out []string
	if s.crowded {
		sent := map[string]bool{}
		for name := range s.samples {
			sent[name] = true
		}
		for _, name := range s.names {
			sent[name] = true
		}
		return slices.Sorted(maps.Keys(sent))
	}
	for name, a := range w.ledger.series {
		if s.matches(a.labels) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// judge compares. It holds the page's lock.
func (s *stay) judge(w *world, report func(sort, format string, args ...any)) {
	if !s.in || !s.booted || s.more {
		report("lost", "%s: is in %s no more, or its bootstrap did not come", s.who, s.query)
		return
	}
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	to := ms()
	from := max(to-s.window.Milliseconds(), s.from) + 1
	if s.crowded && len(s.names) > w.limit {
		report("crowded", "%s: %s sends %d series", s.who, s.query, len(s.names))
	}
	for _, c := range s.changed {
		if !s.inGap(c.name, c.t) {
			report("changed", "%s: %s at %d was %v and is %v\n%q", s.who, c.name, c.t, c.was, c.now, s.diary)
		}
	}
	for _, name := range s.owed(w) {
		a := w.ledger.series[name]
		if a == nil {
			continue // see foreign
		}
		lost, first := 0, int64(0)
		i, _ := slices.BinarySearch(a.times, from)
		for ; i < len(a.times) && a.times[i] <= to; i++ {
			t := a.times[i]
			w.ledger.judged++
			held, there := s.samples[name][t]
			inGap := s.inGap(name, t)
			switch {
			case there && held != a.values[t] && !(inGap && a.had(t, held)):
				report("wrong", "%s: %s at %d is %v, not %v\n%q", s.who, name, t, held, a.values[t], s.diary)
			case there || s.isDrawn(name, t, a.values[t]):
			case inGap:
				w.ledger.gapped++
			default:
				if lost++; lost == 1 {
					first = t
				}
			}
		}
		if lost > 0 {
			sort := "lost"
			if s.crowded {
				sort = "crowded"
			}
			report(sort, "%s (%s, %v, %d points): %s lacks %d samples of the window, the first at %d, %v ago; gaps %+v\n%q", s.who, s.query, s.window, s.points,
				name, lost, first, time.Duration(to-first)*time.Millisecond, s.gaps[name], s.diary)
		}
	}
	s.foreign(w, report)
}

// isDrawn reports whether the sample lies in a column that may have been made of it.
func (s *stay) isDrawn(name string, t int64, v float64) bool {
	return slices.ContainsFunc(s.columns[name], func(c drawn) bool { return c.from <= t && t < c.to && c.m4[1] <= v && v <= c.m4[2] })
}

// foreign looks for what nobody published.
func (s *stay) foreign(w *world, report func(sort, format string, args ...any)) {
	for name, samples := range s.samples {
		a := w.ledger.series[name]
		if a == nil || !s.matches(a.labels) {
			report("foreign", "%s: %s has a series that was not asked for or published: %s", s.who, s.query, name)
			continue
		}
		for t, v := range samples {
			if _, there := a.values[t]; !there {
				report("foreign", "%s: %s at %d (%v) was never acknowledged", s.who, name, t, v)
			}
		}
	}
	for name, columns := range s.columns {
		a := w.ledger.series[name]
		if a == nil {
			report("foreign", "%s: %s has columns of %s", s.who, s.query, name)
			continue
		}
		for _, c := range columns {
			if math.IsNaN(c.m4[0]) {
				continue
			}
			var values []float64
			i, _ := slices.BinarySearch(a.times, c.from)
			for ; i < len(a.times) && a.times[i] < c.to; i++ {
				values = append(values, a.values[a.times[i]])
				if s.inGap(name, a.times[i]) {
					values = append(values, a.others[a.times[i]]...)
				}
			}
			for _, v := range c.m4 {
				if !slices.Contains(values, v) {
					report("foreign", "%s: %s: the column of %d has %v, which is not among %v", s.who, name, c.from, v, values)
				}
			}
		}
	}
}
