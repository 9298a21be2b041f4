package live

import (
	"encoding/json"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/bus/membus"
	"stripchart/internal/store"
	"stripchart/internal/wire"
)

// slowNotes is a memStore on a disk that takes its time with notes.
type slowNotes struct {
	*memStore
	takes chan time.Duration // of the next ones; none left: no time
}

func (s *slowNotes) Keep(n store.Note, b []byte) error {
	if n == store.Gaps {
		select {
		case d := <-s.takes:
			time.Sleep(d)
		default:
		}
	}
	return s.memStore.Keep(n, b)
}

func (s *slowNotes) gaps(t *testing.T) int {
	t.Helper()
	b, _ := s.Kept(store.Gaps)
	if b == nil {
		return 0
	}
	saved, err := decodeGaps(b)
	if err != nil {
		t.Fatal(err)
	}
	return len(saved)
}

// Gaps are saved every few seconds, and before a batch that has revealed one is
// acknowledged. When the two meet, neither says that all is kept before it is, nor
// does the slower one put back what was there before.
func TestGapsThatAreSavedAtTheSameTimeAreAllKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowNotes{newMemStore(), make(chan time.Duration, 10)}
		h, err := New(Options{Bus: membus.New(membus.Options{}), Store: s, Transport: fakeTransport{}, DefaultSeries: "m"})
		if err != nil {
			t.Fatal(err)
		}
		n := uint64(0)
		declare := func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			n++
			h.follower.ledger.declare([]*gap{{from: ms() - 1000, to: ms(), reason: "r", series: newConcern([]uint64{n})}})
		}
		saved := func() bool {
			h.follower.saver.save()
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.follower.ledger.saved == h.follower.ledger.declared
		}
		var wg sync.WaitGroup
		s.takes <- 3 * time.Second
		declare()
		wg.Go(func() { h.follower.saver.save() }) // as the watch does
		time.Sleep(time.Second)
		if saved() && s.gaps(t) != 1 {
			t.Error("a gap is said to be kept that is not")
		}
		wg.Wait()

		s.takes <- 3 * time.Second
		declare()
		wg.Go(func() { h.follower.saver.save() })
		time.Sleep(time.Second)
		declare()
		if !saved() || s.gaps(t) != 3 {
			t.Errorf("%d gaps are kept when all are said to be, want 3", s.gaps(t))
		}
		wg.Wait()
		if n := s.gaps(t); n != 3 {
			t.Errorf("%d gaps are kept, want 3", n)
		}
	})
}

// What a source has dropped it says in one batch, so that batch is not acknowledged
// before the gap is kept.
func TestABatchWhoseGapCannotBeKeptIsNotAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemStore()
		keep := func(works bool) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.noGaps = !works
		}
		alone(t, s, func(b bus.Bus, h *Hub) {
			at := ms()
			time.Sleep(time.Second)
			x := numbered(0, 10, 8, at, 0)
			keep(false)
			for range 2 { // the second time it is a copy
				if err := b.Publish(t.Context(), x); err == nil {
					t.Error("a batch is acknowledged whose gap is not kept")
				}
				time.Sleep(time.Second)
			}
			keep(true)
			if err := b.Publish(t.Context(), x); err != nil {
				t.Error(err)
			}
			if g, _ := s.Kept(store.Gaps); g == nil {
				t.Error("it is acknowledged, and its gap is not kept")
			}
		})
	})
}

// What was declared may have been anything, whatever makes it illegible: damage, or a
// form that this version does not know.
func TestSavedGapsOfAnUnknownFormAreAGapOverEverything(t *testing.T) {
	for _, text := range []string{`{"version":3,"sets":[]}`, `{}`, `null`, `["`, `{"version":2,"series":["?"]}`} {
		t.Run(text, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newMemStore()
				start := ms()
				if err := s.Append([]store.Row{{Labels: seriesLabels(0, 0), Samples: []bus.Sample{{T: start - 1000, V: 1}}}}); err != nil {
					t.Fatal(err)
				}
				if err := s.Keep(store.Gaps, []byte(text)); err != nil {
					t.Fatal(err)
				}
				alone(t, s, func(_ bus.Bus, h *Hub) {
					time.Sleep(time.Second)
					page := &stub{}
					c := h.NewClient(page)
					defer c.Close()
					c.Subscribe(json.RawMessage(`{"query":"m","window":100}`), nil)
					time.Sleep(time.Second)
					gs := told(t, page)
					if len(gs) != 1 || gs[0].Reason != wire.GapDamaged || gs[0].From > start-100_000 || gs[0].To != start {
						t.Errorf("told of %+v", gs)
					}
				})
				b, _ := s.Kept(store.Gaps)
				if gs, err := decodeGaps(b); err != nil || len(gs) != 1 {
					t.Errorf("then %q is kept, %v", b, err)
				}
			})
		})
	}
}
