package live

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stripchart/internal/bus"
	"stripchart/internal/recent"
	"stripchart/internal/store"
	"stripchart/internal/wire"
)

// replica is a server on a log that others read as well. Its store outlives it.
type replica struct {
	t     testing.TB
	log   *fakeLog
	store *memStore
	// change makes other options; it may be nil.
	change func(*Options)

	mu   sync.RWMutex // guards hub against a restart
	hub  *Hub
	stop func()
}

func newReplica(t testing.TB, l *fakeLog) *replica {
	r := &replica{t: t, log: l, store: newMemStore()}
	r.start()
	return r
}

func (r *replica) start() {
	o := Options{Bus: &fakeBus{fakeLog: r.log}, Store: r.store, Transport: fakeTransport{}, DefaultSeries: `m{source="0"}`, Window: time.Hour, Replica: true}
	if r.change != nil {
		r.change(&o)
	}
	h, err := New(o)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := h.Run(ctx); err != nil {
			r.t.Errorf("run: %v", err)
		}
	})
	<-h.Ready()
	r.hub = h
	r.stop = func() {
		cancel()
		wg.Wait()
		h.Close()
	}
}

// restart ends the server and starts it again. After a kill the notes are those
// of up to five seconds ago; after a power loss the newest commits are gone too.
func (r *replica) restart(kill bool, lostCommits int, away time.Duration) {
	for !r.mu.TryLock() { // waiting for a mutex would hold up the bubble's time
		time.Sleep(time.Millisecond)
	}
	defer r.mu.Unlock()
	r.store.mu.Lock()
	notes := maps.Clone(r.store.notes)
	r.store.mu.Unlock()
	r.stop()
	if kill {
		r.store.notes = notes
	}
	r.store.damaged = lostCommits > 0
	r.store.forget(lostCommits)
	time.Sleep(away)
	r.start()
}

// forget drops the newest n commits.
func (s *memStore) forget(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.series {
		m.samples = slices.DeleteFunc(m.samples, func(x memSample) bool { return x.commit > s.commits-n })
		m.maxT = 0
		if len(m.samples) > 0 {
			m.maxT = m.samples[len(m.samples)-1].T
		}
	}
}

// publisher is a source that resends its newest batches when it is told to, in
// order, as one does after a reconnect.
type publisher struct {
	log    *fakeLog
	source int
	apart  int // the number of the source whose series it writes, less its own
	seq    uint64
	sent   []*bus.Batch
	want   *sharedTruth
}

func (p *publisher) next(rng *rand.Rand) *bus.Batch {
	p.seq++
	b := &bus.Batch{Sequence: bus.Sequence{Source: fmt.Sprint(p.source), Seq: p.seq}}
	now := ms()
	for n := range 3 {
		x := bus.Series{Labels: seriesLabels(p.source+p.apart, n), Samples: []bus.Sample{{T: now, V: float64(p.seq)}}}
		if rng.IntN(10) == 0 { // late, perhaps a copy with another value
			x.Samples = slices.Insert(x.Samples, 0, bus.Sample{T: now - int64(rng.IntN(500)+1), V: rng.Float64()})
		}
		b.Series = append(b.Series, x)
	}
	p.sent = append(p.sent, b)
	return b
}

func (p *publisher) publish(b *bus.Batch) {
	_ = p.log.Publish(context.Background(), b)
	p.want.mu.Lock()
	defer p.want.mu.Unlock()
	for _, x := range b.Series {
		for _, y := range x.Samples {
			p.want.add(x.Labels, y.T, y.V)
		}
	}
}

// tick publishes a batch a second for n seconds.
func (p *publisher) tick(rng *rand.Rand, n int) {
	for range n {
		p.publish(p.next(rng))
		time.Sleep(time.Second)
	}
}

// resend publishes the newest n batches again; merged into one, now and then.
func (p *publisher) resend(rng *rand.Rand, n int) {
	again := p.sent[max(0, len(p.sent)-n):]
	if len(again) > 1 && rng.IntN(3) == 0 {
		m := &bus.Batch{Sequence: bus.Sequence{Source: again[0].Source, Seq: again[len(again)-1].Seq, Merged: uint64(len(again) - 1)}}
		byKey := map[string]int{}
		for _, b := range again {
			for _, x := range b.Series {
				i, there := byKey[x.Labels.String()]
				if !there {
					i = len(m.Series)
					byKey[x.Labels.String()] = i
					m.Series = append(m.Series, bus.Series{Labels: x.Labels})
				}
				for _, y := range x.Samples {
					at, there := slices.BinarySearchFunc(m.Series[i].Samples, y.T, func(a bus.Sample, t int64) int { return int(a.T - t) })
					if !there {
						m.Series[i].Samples = slices.Insert(m.Series[i].Samples, at, y)
					}
				}
			}
		}
		again = []*bus.Batch{m}
	}
	for _, b := range again {
		_ = p.log.Publish(context.Background(), b)
	}
}

// roam is the life of a page that goes from one server to the other.
func roam(t testing.TB, rs []*replica, rng *rand.Rand, stop <-chan struct{}) *page {
	query := fmt.Sprintf(`m{source="%d"}`, rng.IntN(2))
	var p *page
	connect := func(since string, rooms map[string]*pageRoom) {
		for range 10_000 {
			r := rs[rng.IntN(len(rs))]
			if !r.mu.TryRLock() {
				time.Sleep(10 * time.Millisecond)
				continue
			}
			p = newPage(t, r.hub, 4000)
			if rooms != nil {
				p.rooms = rooms
			}
			_, err := p.subscribe(query, since)
			r.mu.RUnlock()
			if err == nil {
				return
			}
			p.close()
			time.Sleep(100 * time.Millisecond)
		}
		t.Error("the page could not connect")
	}
	connect("", nil)
	for {
		select {
		case <-stop:
			p.pause(false)
			return p
		case <-time.After(time.Duration(rng.IntN(2000)) * time.Millisecond):
		}
		if rng.IntN(4) == 0 {
			p.pause(true)
			time.Sleep(time.Duration(rng.IntN(500)) * time.Millisecond)
			p.pause(false)
			continue
		}
		p.close()
		since := ""
		for _, room := range p.rooms {
			if room.more {
				room.more, room.position = false, ""
			}
			since = room.position
		}
		connect(since, p.rooms)
	}
}

func settleReplicas(t *testing.T, seed uint64, pages []*page, want *sharedTruth) {
	t.Helper()
	var err error
	for range 100 {
		time.Sleep(100 * time.Millisecond)
		err = nil
		for i, p := range pages {
			p.mu.Lock()
			for _, room := range p.rooms {
				if e := room.compare(want.truth, room.keep()); e != nil {
					err = fmt.Errorf("page %d: %w", i, e)
				}
			}
			p.mu.Unlock()
		}
		if err == nil {
			return
		}
	}
	t.Errorf("seed %d: %v", seed, err)
}

// declared returns the gaps that a server has declared. The server was stopped, or its lock is held.
func declared(h *Hub) []*recent.Gap { return h.follower.GapsIn(math.MinInt64, math.MaxInt64) }

// metric returns a server's counter or gauge; the sum, where it has labels.
func metric(t *testing.T, h *Hub, name string) (sum float64) {
	t.Helper()
	families, err := h.o.Registry.(prometheus.Gatherer).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == name {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// savedProgress returns what is saved of how far the log was applied.
func (s *memStore) savedProgress(t *testing.T) (p struct {
	Replay  string
	Sources map[string]struct{ Seq uint64 }
	Loss    *struct{ Over bool }
}) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := json.Unmarshal(s.notes[store.Progress], &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// told returns the gaps that a viewer was told of. It has to know whose they are.
func told(t *testing.T, s *stub) []wire.Gap {
	t.Helper()
	known := map[int]bool{}
	for _, b := range append(s.sent(wire.EventBootstrap), s.sent(wire.EventUpdate)...) {
		var m struct{ Series []wire.Descriptor }
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		for _, d := range m.Series {
			known[d.ID] = true
		}
	}
	var out []wire.Gap
	for _, b := range s.sent(wire.EventGap) {
		var g wire.Gap
		if err := json.Unmarshal(b, &g); err != nil {
			t.Fatal(err)
		}
		for _, id := range g.IDs {
			if !known[id] {
				t.Errorf("told of a gap of an unknown series with id %d", id)
			}
		}
		out = append(out, g)
	}
	return out
}
