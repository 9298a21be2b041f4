package live

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/recent"
	"stripchart/internal/wire"
)

func TestASequenceThatJumpsIsADeclaredGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		p := &publisher{log: l, want: &sharedTruth{truth: truth{}}}
		rng := rand.New(rand.NewPCG(1, 1))
		tick := func(n int) { p.tick(rng, n) }
		join := func(since string) *stub {
			s := &stub{}
			c := r.hub.NewClient(s)
			t.Cleanup(c.Close)
			arg, _ := json.Marshal(map[string]any{"query": "m", "window": 3600, "since": since})
			c.Subscribe(arg, nil)
			time.Sleep(time.Second)
			return s
		}
		tick(5)
		here := join("")
		before, _ := l.End(t.Context())
		from := ms() - 1000
		for range 7 {
			p.next(rng) // measured, dropped
			time.Sleep(time.Second)
		}
		to := ms()
		tick(5)
		check := func(who string, s *stub) {
			t.Helper()
			gs := told(t, s)
			if len(gs) != 1 || len(gs[0].IDs) != 3 || gs[0].Reason != wire.GapSourceDropped || gs[0].From > from || gs[0].To < to-1000 || gs[0].To > to+1 {
				t.Errorf("%s was told %+v; missing is what lies between %d and %d", who, gs, from, to)
			}
		}
		check("a viewer that was there", here)
		check("one that comes later", join(""))
		check("one that resumes", join(before.String()))
		tick(20)
		r.restart(true, 0, time.Second)
		tick(3)
		check("one that comes after a restart", join(""))
		r.stop()
	})
}

// A collector publishes what it has measured at one time in several batches. The first
// that is missing may be of the time of the last that is there, and the other way round.
func TestAGapHoldsItsEnds(t *testing.T) {
	for _, apart := range []time.Duration{0, 5 * time.Second} {
		t.Run(apart.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFakeLog()
				r := newReplica(t, l)
				seq := uint64(0)
				give := func(n int, at int64, arrives bool) {
					seq++
					b := &bus.Batch{Sequence: bus.Sequence{Source: "s", Seq: seq}, Series: []bus.Series{{Labels: seriesLabels(0, n), Samples: []bus.Sample{{T: at, V: 1}}}}}
					if arrives {
						_ = l.Publish(t.Context(), b)
					}
					time.Sleep(10 * time.Millisecond)
				}
				for n := range 3 {
					give(n, ms()-1000, true)
				}
				first := ms()
				give(0, first, true)
				give(1, first, false)
				time.Sleep(apart)
				second := first + apart.Milliseconds()
				give(1, second, false)
				give(2, second, true)
				time.Sleep(time.Second)
				r.stop()
				for _, at := range []int64{first, second} {
					if !slices.ContainsFunc(declared(r.hub), func(g *recent.Gap) bool {
						return g.Series.Has(recent.Hash(seriesLabels(0, 1))) && g.From < at && at < g.To
					}) {
						t.Errorf("what is missing at %d is in no gap", at)
					}
				}
			})
		})
	}
}

// Before a jump a source's clock was ahead for a while, and behind it a late sample
// comes along: the gap ends where the batches begin again, all the same. It begins at
// the batch before, or earlier by as much as the source's samples were once older than
// what it had written before.
func TestAGapIsNotMovedByAClockNorByALateSample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		seq := uint64(0)
		publish := func(times ...int64) {
			b := &bus.Batch{Sequence: bus.Sequence{Source: "s", Seq: seq}, Series: []bus.Series{{Labels: seriesLabels(0, 0)}}}
			for _, at := range times {
				b.Series[0].Samples = append(b.Series[0].Samples, bus.Sample{T: at, V: 1})
			}
			_ = l.Publish(t.Context(), b)
			time.Sleep(time.Second)
		}
		seq = 1
		publish(ms())
		seq = 2
		publish(ms() + 30_000)
		seq = 3
		from := ms()
		publish(from)
		time.Sleep(10 * time.Second)
		seq = 9
		to := ms()
		publish(to-4_000, to)
		s := &stub{}
		c := r.hub.NewClient(s)
		defer c.Close()
		c.Subscribe(json.RawMessage(`{"query":"m","window":3600}`), nil)
		time.Sleep(time.Second)
		if gs := told(t, s); len(gs) != 1 || gs[0].From > from-1 || gs[0].From < from-1-30_000 || gs[0].To != to+1 {
			t.Errorf("told %+v, want one gap around %d to %d", gs, from, to)
		}
		r.stop()
	})
}
