package live

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/apply"
	"stripchart/internal/bus"
	"stripchart/internal/bus/membus"
	"stripchart/internal/recent"
	"stripchart/internal/store"
	"stripchart/internal/wire"
)

// alone runs a server with its log in memory for as long as during takes.
func alone(t *testing.T, s *memStore, during func(b bus.Bus, h *Hub)) {
	t.Helper()
	aloneOn(t, s, during)
}

func aloneOn(t *testing.T, s Store, during func(b bus.Bus, h *Hub)) {
	t.Helper()
	b := membus.New(membus.Options{})
	h, err := New(Options{Bus: b, Store: s, Transport: fakeTransport{}, DefaultSeries: "m"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = h.Run(ctx) })
	<-h.Ready()
	during(b, h)
	cancel()
	wg.Wait()
	h.Close()
	b.Close()
}

// numbered returns a batch of a source, measured now, that says what was dropped
// before it.
func numbered(source int, seq, dropped uint64, after int64, series ...int) *bus.Batch {
	b := &bus.Batch{Sequence: bus.Sequence{Source: fmt.Sprint(source), Seq: seq, Dropped: dropped, DroppedAfter: after}}
	for _, n := range series {
		b.Series = append(b.Series, bus.Series{Labels: seriesLabels(source, n), Samples: []bus.Sample{{T: ms(), V: 1}}})
	}
	return b
}

// give publishes such a batch a second later.
func give(t *testing.T, b bus.Bus, source int, seq, dropped uint64, after int64, series ...int) {
	t.Helper()
	time.Sleep(time.Second)
	if err := b.Publish(t.Context(), numbered(source, seq, dropped, after, series...)); err != nil {
		t.Error(err)
	}
}

// A log in memory begins anew with every process, which knows no numbers. What a source
// has dropped while the server was killed is a gap all the same, also after the next
// kill: it says so once.
func TestWhatASourceDroppedWhileItsServerWasKilledIsAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemStore()
		life := func(during func(b bus.Bus, h *Hub)) {
			var gaps []byte
			alone(t, s, func(b bus.Bus, h *Hub) {
				during(b, h)
				gaps, _ = s.Kept(store.Gaps)
			})
			s.notes[store.Gaps] = gaps // killed: what is saved at the end does not count
		}
		var last, next int64
		life(func(b bus.Bus, h *Hub) {
			give(t, b, 0, 1, 0, 0, 0)
			last = ms()
		})
		life(func(b bus.Bus, h *Hub) {
			give(t, b, 0, 300, 298, last, 0)
			next = ms()
			give(t, b, 0, 301, 0, 0, 0)
		})
		life(func(b bus.Bus, h *Hub) {
			give(t, b, 0, 301, 0, 0, 0) // sent again
			give(t, b, 0, 302, 0, 0, 0)
			c := &stub{}
			client := h.NewClient(c)
			defer client.Close()
			client.Subscribe(json.RawMessage(`{"query":"m","window":3600}`), nil)
			time.Sleep(time.Second)
			gs := told(t, c)
			if len(gs) != 1 || gs[0].From != last-1 || gs[0].To != next+1 || gs[0].Reason != wire.GapSourceDropped {
				t.Errorf("told %+v, want one gap around %d to %d, which the source has dropped", gs, last, next)
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
			_ = l.Publish(t.Context(), numbered(0, seq, dropped, at, 0))
			time.Sleep(time.Second)
		}
		publish(1, 0)
		publish(9, 7)
		publish(9, 7) // sent again after a lost answer
		r.restart(true, 0, 0)
		publish(10, 0)
		r.stop()
		if n := len(declared(r.hub)); n != 1 {
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
				for _, g := range declared(r.hub) {
					if g.Series.Has(recent.Hash(seriesLabels(source, 0))) {
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
// gap is that of the source's series, as soon as they are seen to be its. One that it
// begins to write long afterwards is new.
func TestWhatASourceDroppedIsAGapOfItsSeriesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemStore()
		var last int64
		alone(t, s, func(b bus.Bus, h *Hub) {
			give(t, b, 1, 1, 0, 0, 0)
			give(t, b, 0, 1, 0, 0, 0, 1)
			last = ms()
		})
		alone(t, s, func(b bus.Bus, h *Hub) {
			give(t, b, 0, 300, 298, last, 0)
			give(t, b, 0, 301, 0, 0, 0, 1) // the one that is written seldom
			give(t, b, 0, 302, 0, 0, 0, 1)
			give(t, b, 1, 2, 0, 0, 0)
			time.Sleep(time.Hour)
			give(t, b, 0, 303, 0, 0, 0, 2)
			h.recent.Mu.Lock()
			defer h.recent.Mu.Unlock()
			got := map[string]int{}
			for _, g := range declared(h) {
				if g.From != last-1 {
					t.Errorf("a gap from %d, want %d", g.From, last-1)
				}
				for _, ls := range []labels.Labels{seriesLabels(0, 0), seriesLabels(0, 1), seriesLabels(0, 2), seriesLabels(1, 0)} {
					if g.Series.Has(recent.Hash(ls)) {
						got[ls.String()]++
					}
				}
			}
			if len(got) != 2 || got[seriesLabels(0, 0).String()] != 1 || got[seriesLabels(0, 1).String()] != 1 {
				t.Errorf("gaps of %v, want one of each series of the first source", got)
			}
		})
	})
}

// The times of a gap come from outside: it never has ends that no page could draw, nor
// one that never ends.
func TestAGapStaysWithinWhatIsAcceptedAndShown(t *testing.T) {
	for name, c := range map[string]struct {
		after, newest int64 // of samples, relative to now
	}{
		"after the beginning of time": {math.MinInt64/2 + 1, 0},
		"until the end of time":       {-1000, math.MaxInt64 / 2},
		"all of time":                 {math.MinInt64/2 + 1, math.MaxInt64 / 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				alone(t, newMemStore(), func(b bus.Bus, h *Hub) {
					x := numbered(0, 300, 298, ms()+c.after, 0)
					x.Series[0].Samples[0].T = ms() + c.newest
					if err := b.Publish(t.Context(), x); err != nil {
						t.Error(err)
					}
					h.recent.Mu.Lock()
					defer h.recent.Mu.Unlock()
					oldest, newest := ms()-h.o.Limits.Window*1000-1000, ms()+apply.FutureBound+1000
					if len(declared(h)) != 1 || declared(h)[0].From < oldest || declared(h)[0].To > newest {
						t.Errorf("%d gaps: %+v", len(declared(h)), declared(h))
					}
				})
			})
		})
	}
}
