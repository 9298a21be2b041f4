package live

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/recent"
	"stripchart/internal/store"
)

// say publishes one sample of a writer without numbers.
func say(t *testing.T, b bus.Bus, ls labels.Labels, at int64, v float64) {
	t.Helper()
	if err := b.Publish(t.Context(), &bus.Batch{Series: []bus.Series{{Labels: ls, Samples: []bus.Sample{{T: at, V: v}}}}}); err != nil {
		t.Fatal(err)
	}
}

// fill has the disk of r full while full says so.
func (r *replica) fill(full *atomic.Bool) {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	r.store.fail = func() error {
		if full.Load() {
			return store.ErrDiskFull
		}
		return nil
	}
}

// value returns what a store has.
func (s *memStore) value(ls labels.Labels, at int64) (float64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.series[ls.String()]
	if m == nil {
		return 0, false
	}
	i, there := m.find(at)
	if !there {
		return 0, false
	}
	return m.samples[i].V, true
}

// While the disk is full, pages have the first value of a time and the store does not. A
// second value wins neither on pages, nor in the history when there is room again,
// wherever between the two that is.
func TestASecondValueDoesNotWinWhileTheDiskIsFull(t *testing.T) {
	for _, room := range []string{"after both", "before the second", "before the second, and the server was restarted"} {
		for _, forgets := range []bool{false, true} {
			t.Run(fmt.Sprint(room, ", forgotten ", forgets), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := newFakeLog()
					r := &replica{t: t, log: l, store: newMemStore()}
					if forgets {
						r.change = func(o *Options) { o.maxShown = 4 }
					}
					r.start()
					r.change = nil // the next life remembers all
					var full atomic.Bool
					r.fill(&full)
					ls, other := seriesLabels(0, 0), seriesLabels(0, 1)
					tick := func(n int) {
						for range n {
							say(t, l, other, ms(), 0)
							say(t, l, ls, ms(), 0)
							time.Sleep(time.Second)
						}
					}
					tick(10)
					p := newPage(t, r.hub, 1<<20)
					a := p.ask(`{"query":"m","window":3600}`)
					full.Store(true)
					at := ms()
					say(t, l, ls, at, 1)
					time.Sleep(time.Second)
					tick(5)
					q := newPage(t, r.hub, 1<<20)
					q.ask(`{"query":"m","window":3600}`)
					time.Sleep(time.Second)
					if room != "after both" {
						if room != "before the second" {
							r.restart(true, 0, time.Second)
						}
						full.Store(false)
					}
					say(t, l, ls, at, 2)
					late := at + 500 // is new
					say(t, l, ls, late, 3)
					time.Sleep(time.Second)
					if room == "before the second, and the server was restarted" {
						p.close()
						q.close()
						p, q = newPage(t, r.hub, 1<<20), newPage(t, r.hub, 1<<20)
						p.ask(`{"query":"m","window":3600}`)
						q.ask(`{"query":"m","window":3600}`)
					}
					check := func(when string, held bool) {
						t.Helper()
						for i, x := range []*page{p, q} {
							got := x.held(a.Room).samples[ls.String()]
							if v, there := got[at]; !there || v != 1 {
								t.Errorf("%s page %d has %v (%v) at the time of two values, want the first", when, i, v, there)
							}
							if v, there := got[late]; held && (!there || v != 3) {
								t.Errorf("%s page %d has %v (%v) of a late sample", when, i, v, there)
							}
						}
					}
					check("while the disk is full,", !forgets)
					full.Store(false)
					tick(5)
					time.Sleep(5 * time.Second)
					check("afterwards", true)
					if v, there := r.store.value(ls, at); !there || v != 1 {
						t.Errorf("recorded is %v (%v), want the first value", v, there)
					}
					p.close()
					q.close()
					r.stop()
				})
			})
		}
	}
}

// Among what a server has, the first value of a (series, time) wins. Inside a declared gap
// two servers may have different ones: one has the first, and another the first after
// what it has lost. Every difference lies in a gap of one of them.
func TestServersDifferOnlyInsideOfDeclaredGaps(t *testing.T) {
	for seed := range uint64(8) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 7))
			l := newFakeLog()
			rs := []*replica{newReplica(t, l), newReplica(t, l)}
			var times []int64
			number := map[int]uint64{}
			step := func() {
				now := ms()
				times = append(times, now)
				for n := range 3 { // writers without numbers
					say(t, l, seriesLabels(2, n), now, rng.Float64())
					if rng.IntN(4) == 0 { // a second value, perhaps where the first was never seen
						say(t, l, seriesLabels(2, n), times[len(times)-1-rng.IntN(min(20, len(times)))], rng.Float64())
					}
				}
				for source := range 2 {
					number[source]++
					b := &bus.Batch{Sequence: bus.Sequence{Source: fmt.Sprint(source), Seq: number[source]}}
					for n := range 2 {
						b.Series = append(b.Series, bus.Series{Labels: seriesLabels(source, n), Samples: []bus.Sample{{T: now, V: rng.Float64()}}})
					}
					_ = l.Publish(t.Context(), b)
					if rng.IntN(8) == 0 { // by another writer
						say(t, l, seriesLabels(source, 0), times[len(times)-1-rng.IntN(min(20, len(times)))], rng.Float64())
					}
				}
				time.Sleep(time.Second)
			}
			for range 100 {
				step()
			}
			for range 3 {
				away, kill := rs[rng.IntN(2)], rng.IntN(2) == 0
				done := make(chan struct{})
				go func() {
					defer close(done)
					away.restart(kill, 0, 60*time.Second+time.Millisecond)
				}()
				for range 40 + rng.IntN(19) {
					step()
				}
				l.trim(5 + rng.IntN(20))
				<-done
				for range 60 {
					step()
				}
			}
			differ := 0
			for source := range 3 {
				for n := range 3 {
					ls := seriesLabels(source, n)
					for _, at := range times {
						a, inA := rs[0].store.value(ls, at)
						b, inB := rs[1].store.value(ls, at)
						if inA == inB && a == b {
							continue
						}
						differ++
						if !slices.ContainsFunc(slices.Concat(declared(rs[0].hub), declared(rs[1].hub)), func(g *recent.Gap) bool {
							return g.Series.Has(recent.Hash(ls)) && g.From < at && at < g.To
						}) {
							t.Errorf("seed %d: %s at %d is %v (%v) on one server and %v (%v) on the other, in no gap", seed, ls, at, a, inA, b, inB)
						}
					}
				}
			}
			if differ == 0 {
				t.Errorf("seed %d: nothing differs; the test shows nothing", seed)
			}
			for _, r := range rs {
				r.stop()
			}
		})
	}
}
