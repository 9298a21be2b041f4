package live

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/bus"
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
				var saved struct{ Gaps []any }
				if err := json.Unmarshal(b, &saved); err != nil || len(saved.Gaps) != 1 {
					t.Errorf("then %q is kept, %v", b, err)
				}
			})
		})
	}
}

// Its numbers tell the next life what is missing, if they were saved.
func TestASourceIsSavedRightAfterItWasFirstHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		rng := rand.New(rand.NewPCG(1, 1))
		want := &sharedTruth{truth: truth{}}
		for n := range 3 {
			p := &publisher{log: l, source: n, want: want}
			p.publish(p.next(rng))
			time.Sleep(300 * time.Millisecond)
			if s := r.store.savedProgress(t); s.Sources[fmt.Sprint(n)].Seq != 1 {
				t.Errorf("after 300 ms saved is %+v", s)
			}
		}
		r.stop()
	})
}
