package live

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/bus/membus"
	"stripchart/internal/store"
	"stripchart/internal/wire"
)

// A log in memory begins anew with every process, which knows no numbers. What a source
// has dropped while the server was killed is a gap all the same, also after the next
// kill: it says so once.
func TestWhatASourceDroppedWhileItsServerWasKilledIsAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemStore()
		life := func(during func(publish func(seq, dropped uint64, after int64), h *Hub)) {
			b := membus.New(membus.Options{})
			h, err := New(Options{Bus: b, Store: s, Transport: fakeTransport{}, DefaultSeries: "m"})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { _ = h.Run(ctx) })
			<-h.Ready()
			during(func(seq, dropped uint64, after int64) {
				time.Sleep(time.Second)
				x := &bus.Batch{
					Source: "s", Seq: seq, Dropped: dropped, DroppedAfter: after,
					Series: []bus.Series{{Labels: seriesLabels(0, 0), Samples: []bus.Sample{{T: ms(), V: 1}}}},
				}
				if err := b.Publish(t.Context(), x); err != nil {
					t.Error(err)
				}
			}, h)
			s.mu.Lock()
			gaps := s.notes[store.Gaps] // killed: what is saved at the end does not count
			s.mu.Unlock()
			cancel()
			wg.Wait()
			h.Close()
			b.Close()
			s.notes[store.Gaps] = gaps
		}
		var last, next int64
		life(func(publish func(seq, dropped uint64, after int64), h *Hub) {
			publish(1, 0, 0)
			last = ms()
		})
		life(func(publish func(seq, dropped uint64, after int64), h *Hub) {
			publish(300, 298, last)
			next = ms()
			publish(301, 0, 0)
		})
		life(func(publish func(seq, dropped uint64, after int64), h *Hub) {
			publish(301, 0, 0) // a copy
			publish(302, 0, 0)
			c := &stub{}
			client := h.NewClient(c)
			defer client.Close()
			client.Subscribe(json.RawMessage(`{"query":"m","window":3600}`), nil)
			time.Sleep(time.Second)
			gs := told(t, c)
			if len(gs) != 1 || gs[0].From != last || gs[0].To != next || gs[0].Reason != wire.GapSourceDropped {
				t.Errorf("told %+v, want one gap from %d to %d, which the source has dropped", gs, last, next)
			}
		})
	})
}

// What a source says it dropped is no news to a server that has heard of it.
func TestWhatASourceDroppedIsDeclaredOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		at := ms()
		publish := func(seq, dropped uint64) {
			x := &bus.Batch{Source: "s", Seq: seq, Dropped: dropped, DroppedAfter: at, Series: []bus.Series{{Labels: seriesLabels(0, 0), Samples: []bus.Sample{{T: ms(), V: 1}}}}}
			_ = l.Publish(t.Context(), x)
			time.Sleep(time.Second)
		}
		publish(1, 0)
		publish(9, 7)
		publish(9, 7) // sent again after a lost answer
		r.restart(true, 0, 0)
		publish(10, 0)
		r.stop()
		if n := len(r.hub.gaps); n != 1 {
			t.Errorf("%d gaps, want one", n)
		}
	})
}

// A source that publishes seldom is waited for after a loss of the log, so that its
// numbers can tell that nothing of it is missing.
func TestASeldomSourceIsWaitedForAfterALoss(t *testing.T) {
	for _, dies := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l := newFakeLog()
			r := newReplica(t, l)
			rng := rand.New(rand.NewPCG(1, 1))
			all := &sharedTruth{truth: truth{}}
			often, seldom := &publisher{log: l, source: 0, want: all}, &publisher{log: l, source: 1, want: all}
			minutes := func(n int, alive bool) {
				for range n {
					if alive {
						seldom.publish(seldom.next(rng))
					}
					for range 60 {
						often.publish(often.next(rng))
						time.Sleep(time.Second)
					}
				}
			}
			gone := &publisher{log: l, source: 2, want: all}
			minutes(5, true)
			gone.publish(gone.next(rng))
			time.Sleep(time.Second)
			l.lose(1)
			often.resend(rng, 10)
			minutes(5, !dies)
			r.restart(true, 0, 0) // what is declared stays so, and is not declared again
			minutes(2, !dies)
			r.stop()
			gaps := func(source int) (n int) {
				for _, g := range r.hub.gaps {
					if _, concerned := g.series[string(r.hub.index.key(seriesLabels(source, 0)))]; concerned {
						n++
					}
				}
				return n
			}
			want := map[int]int{0: 0, 1: 0, 2: 1}
			if dies {
				want[1] = 1
			}
			for source, n := range want {
				if gaps(source) != n {
					t.Errorf("dies %v: %d gaps of source %d, want %d", dies, gaps(source), source, n)
				}
			}
		})
	}
}

// A source does not write all its series every time, and others have lost nothing: the
// gap is that of the source's series, as soon as they are seen to be its.
func TestWhatASourceDroppedIsAGapOfItsSeriesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemStore()
		life := func(during func(publish func(source int, seq, dropped uint64, after int64, series ...int), h *Hub)) {
			b := membus.New(membus.Options{})
			h, err := New(Options{Bus: b, Store: s, Transport: fakeTransport{}, DefaultSeries: "m"})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { _ = h.Run(ctx) })
			<-h.Ready()
			during(func(source int, seq, dropped uint64, after int64, series ...int) {
				time.Sleep(time.Second)
				x := &bus.Batch{Source: string(rune('a' + source)), Seq: seq, Dropped: dropped, DroppedAfter: after}
				for _, n := range series {
					x.Series = append(x.Series, bus.Series{Labels: seriesLabels(source, n), Samples: []bus.Sample{{T: ms(), V: 1}}})
				}
				if err := b.Publish(t.Context(), x); err != nil {
					t.Error(err)
				}
			}, h)
			cancel()
			wg.Wait()
			h.Close()
			b.Close()
		}
		var last int64
		life(func(publish func(source int, seq, dropped uint64, after int64, series ...int), h *Hub) {
			publish(1, 1, 0, 0, 0)
			publish(0, 1, 0, 0, 0, 1)
			last = ms()
		})
		life(func(publish func(source int, seq, dropped uint64, after int64, series ...int), h *Hub) {
			publish(0, 300, 298, last, 0)
			publish(0, 301, 0, 0, 0, 1) // the one that is written seldom
			publish(0, 302, 0, 0, 0, 1)
			publish(1, 2, 0, 0, 0)
			told := map[string]int{}
			h.mu.Lock()
			defer h.mu.Unlock()
			for _, g := range h.gaps {
				if g.from != last {
					t.Errorf("a gap from %d, want %d", g.from, last)
				}
				for _, ls := range g.series {
					told[ls.String()]++
				}
			}
			if len(told) != 2 || told[seriesLabels(0, 0).String()] != 1 || told[seriesLabels(0, 1).String()] != 1 {
				t.Errorf("gaps of %v, want one of each series of the first source", told)
			}
		})
	})
}
