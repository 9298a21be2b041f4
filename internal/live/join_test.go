package live

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/bus/membus"
	"stripchart/internal/store"
)

// rig is a hub on a memory bus.
type rig struct {
	t    testing.TB
	bus  *membus.Bus
	hub  *Hub
	stop func()
}

func newRig(t testing.TB, s Store, change func(*Options)) *rig {
	b := membus.New(membus.Options{})
	o := Options{Bus: b, Store: s, Transport: fakeTransport{}, DefaultSeries: `m{source="0"}`, Window: time.Hour}
	if change != nil {
		change(&o)
	}
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := h.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	<-h.Ready()
	return &rig{t: t, bus: b, hub: h, stop: sync.OnceFunc(func() {
		cancel()
		wg.Wait()
		h.Close()
		b.Close()
	})}
}

func seriesLabels(source, n int) labels.Labels {
	return labels.FromStrings("__name__", "m", "n", fmt.Sprint(n), "source", fmt.Sprint(source))
}

// storm is the scenario of the exact join: sources publish at a high rate, with
// late samples, copies and refused commits; pages join, leave, stall, resume and
// reload at random moments.
type storm struct {
	sources, series, pages int
	batches                int // per source
	pause                  time.Duration
	bound                  int // bytes of a page's queue

	mu    sync.Mutex
	want  truth
	total struct{ connections, bootstraps, resumes, slow, lost, updates, refusals int }
}

func (s *storm) publish(r *rig, source int, rng *rand.Rand) {
	base := time.Now().UnixMilli()
	for seq := 1; seq <= s.batches; seq++ {
		b := &bus.Batch{Sequence: bus.Sequence{Source: fmt.Sprint(source), Seq: uint64(seq)}}
		now := base + int64(seq)*10
		for n := range s.series {
			if rng.IntN(4) == 0 {
				continue // series do not all come with every batch
			}
			x := bus.Series{Labels: seriesLabels(source, n)}
			switch rng.IntN(10) {
			case 0: // late, perhaps a copy with another value
				back := int64(rng.IntN(50)+1) * 10
				x.Samples = []bus.Sample{{T: now - back, V: rng.Float64()}, {T: now, V: float64(seq)}}
			case 1: // a copy of the one before, and several at once
				x.Samples = []bus.Sample{{T: now - 10, V: -1}, {T: now - 5, V: 0.5}, {T: now, V: float64(seq)}}
			default:
				x.Samples = []bus.Sample{{T: now, V: float64(seq)}}
			}
			b.Series = append(b.Series, x)
		}
		for {
			err := r.bus.Publish(context.Background(), b)
			if err == nil {
				break
			}
			if !errors.Is(err, errCommit) {
				r.t.Errorf("publish: %v", err)
				return
			}
		}
		s.mu.Lock()
		for _, x := range b.Series {
			for _, y := range x.Samples {
				s.want.add(x.Labels, y.T, y.V)
			}
		}
		s.mu.Unlock()
		time.Sleep(time.Duration(rng.Int64N(int64(2*s.pause) + 1)))
	}
}

var errCommit = errors.New("the disk hiccups")

// visit is the life of one page, until stop: then it stays and settles.
func (s *storm) visit(r *rig, rng *rand.Rand, stop <-chan struct{}) *page {
	query := fmt.Sprintf(`m{source="%d"}`, rng.IntN(s.sources))
	if rng.IntN(3) == 0 {
		query = `{__name__="m",n="1"}`
	}
	p := newPage(r.t, r.hub, s.bound)
	a, err := p.subscribe(query, "")
	if err != nil {
		r.t.Errorf("subscribe: %v", err)
		return p
	}
	for {
		select {
		case <-stop:
			p.pause(false)
			return p
		case <-time.After(time.Duration(rng.IntN(300)) * time.Millisecond):
		}
		switch rng.IntN(8) {
		case 0: // stall
			p.pause(true)
			time.Sleep(time.Duration(rng.IntN(400)) * time.Millisecond)
			p.pause(false)
		case 1, 2: // the connection is lost; the page keeps what it has, and resumes
			old := p
			s.close(old)
			p = newPage(r.t, r.hub, s.bound)
			p.rooms = old.rooms
			for _, room := range p.rooms {
				// Its state belonged to the old connection; a bootstrap that was cut short
				// is void.
				if room.more {
					room.more, room.position = false, ""
				}
			}
			time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
			since := ""
			if room := p.rooms[a.Room]; room != nil {
				since = room.position
			}
			if a, err = p.subscribe(query, since); err != nil {
				r.t.Errorf("resume: %v", err)
				return p
			}
		case 3: // reload
			s.close(p)
			p = newPage(r.t, r.hub, s.bound)
			if a, err = p.subscribe(query, ""); err != nil {
				r.t.Errorf("reload: %v", err)
				return p
			}
		case 4: // leave and come back
			p.unsubscribe(a.Room)
			if a, err = p.subscribe(query, ""); err != nil {
				r.t.Errorf("come back: %v", err)
				return p
			}
		case 5: // change the window while data flows
			if a, err = p.subscribe(query, ""); err != nil {
				r.t.Errorf("change: %v", err)
				return p
			}
		}
	}
}

// run lets the storm pass and compares every page with what was acknowledged.
func (s *storm) run(r *rig, seed uint64) {
	s.want = truth{}
	stop := make(chan struct{})
	var publishers, visitors sync.WaitGroup
	pages := make([]*page, s.pages)
	for i := range pages {
		visitors.Go(func() { pages[i] = s.visit(r, rand.New(rand.NewPCG(seed, uint64(i))), stop) })
	}
	for i := range s.sources {
		publishers.Go(func() { s.publish(r, i, rand.New(rand.NewPCG(seed, uint64(1e6+i)))) })
	}
	publishers.Wait()
	close(stop)
	visitors.Wait()
	s.settle(r, pages)
	for _, p := range pages {
		s.close(p)
	}
	r.t.Logf("seed %d: %d pages: %+v", seed, s.pages, s.total)
	if s.total.slow == 0 || s.total.resumes == 0 || s.total.lost == 0 && r.hub.o.RingBytes < 1<<20 {
		r.t.Errorf("seed %d: the storm was too calm: %+v", seed, s.total)
	}
}

// close ends a page's connection and counts what it was sent.
func (s *storm) close(p *page) {
	p.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total.connections++
	s.total.bootstraps += p.stats.bootstraps
	s.total.resumes += p.stats.resumes
	s.total.slow += p.stats.slow
	s.total.lost += p.stats.lost
	s.total.updates += p.stats.updates
	s.total.refusals += p.stats.refusals
}

// settle waits until every page holds what was acknowledged, and fails for those
// that do not within a time.
func (s *storm) settle(r *rig, pages []*page) {
	var err error
	for range 100 {
		time.Sleep(100 * time.Millisecond)
		err = nil
		for i, p := range pages {
			p.mu.Lock()
			if len(p.rooms) != 1 {
				err = fmt.Errorf("page %d is in %d rooms", i, len(p.rooms))
			}
			for _, room := range p.rooms {
				if e := room.compare(s.want, room.keep()); e != nil {
					err = fmt.Errorf("page %d: %w", i, e)
				}
			}
			p.mu.Unlock()
			if err != nil {
				break
			}
		}
		if err == nil {
			return
		}
	}
	r.t.Errorf("after the storm: %v", err)
}

// keep tells the room's series by what it was sent: those of one source, or those
// of n="1".
func (r *pageRoom) keep() func(string) bool {
	source, one := "", true
	for name := range r.samples {
		_, rest, _ := strings.Cut(name, `source="`)
		s, _, _ := strings.Cut(rest, `"`)
		if source == "" {
			source = s
		}
		one = one && strings.Contains(name, `n="1"`)
	}
	if one && len(r.samples) > 0 {
		return func(name string) bool { return strings.Contains(name, `n="1"`) }
	}
	return func(name string) bool { return strings.Contains(name, `source="`+source+`"`) }
}

// The promise of the product, without I/O: time is the bubble's, so every run
// takes moments, and the store's commits fail now and then.
func TestEveryAcknowledgedSampleReachesEveryPageOnce(t *testing.T) {
	for seed := range uint64(4) {
		synctest.Test(t, func(t *testing.T) {
			st := newMemStore()
			n := 0
			st.fail = func() error {
				if n++; n%97 == 0 {
					return errCommit
				}
				return nil
			}
			r := newRig(t, st, nil)
			defer r.stop()
			s := &storm{sources: 3, series: 4, pages: 40, batches: 400, pause: 10 * time.Millisecond, bound: 2000}
			s.run(r, seed)
		})
	}
}

// With a ring of a few entries nearly every resume and every slow page falls out
// of it, and has to be bootstrapped anew.
func TestPagesThatFellOutOfTheRingAreBootstrappedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), func(o *Options) { o.RingBytes = 20_000 })
		defer r.stop()
		s := &storm{sources: 3, series: 4, pages: 40, batches: 300, pause: 10 * time.Millisecond, bound: 2000}
		s.run(r, 1)
	})
}

// The same against the real database, with hundreds of pages on real time.
func TestEveryAcknowledgedSampleReachesEveryPageOnceWithTheRealStore(t *testing.T) {
	st, err := store.Open(store.Options{Dir: t.TempDir(), OutOfOrder: 25 * time.Hour, ReserveBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	r := newRig(t, NewStore(st), nil)
	defer r.stop()
	s := &storm{sources: 5, series: 4, pages: 200, batches: 300, pause: 5 * time.Millisecond, bound: 3000}
	s.run(r, rand.Uint64())
}
