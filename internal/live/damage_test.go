package live

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/store"
	"stripchart/internal/wire"
)

func TestWhatDamageCostTheStoreIsADeclaredGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemStore()
		now := ms()
		a, b, gone := seriesLabels(0, 0), seriesLabels(0, 1), seriesLabels(0, 2)
		if err := s.Append([]store.Row{
			{Labels: a, Samples: []bus.Sample{{T: now - 1000, V: 1}}}, {Labels: b, Samples: []bus.Sample{{T: now - 1000, V: 1}}},
		}); err != nil {
			t.Fatal(err)
		}
		// Found when it was opened: of all series, and of one.
		s.losses = []store.Loss{
			{From: now - 9000, To: now - 8000},
			{From: now - 7000, To: now - 6000, Series: []labels.Labels{a}},
		}
		// Met when it is read: of one that is here, and of one of which nothing is left.
		s.missing = []store.Loss{
			{From: now - 5000, To: now - 4000, Series: []labels.Labels{b}},
			{From: now - 3000, To: now - 2000, Series: []labels.Labels{gone}},
		}
		s.empty = []labels.Labels{gone}
		alone(t, s, func(_ bus.Bus, h *Hub) {
			page := &stub{}
			c := h.NewClient(page)
			defer c.Close()
			c.Subscribe(json.RawMessage(`{"query":"m","window":100}`), nil)
			time.Sleep(time.Second)
			want := map[int64]int{now - 9000: 3, now - 7000: 1, now - 5000: 1, now - 3000: 1} // series, by where it begins
			for _, g := range told(t, page) {
				if g.Reason != wire.GapDamaged || len(g.IDs) != want[g.From] {
					t.Errorf("told of %+v, want %d series", g, want[g.From])
				}
				delete(want, g.From)
			}
			if len(want) > 0 {
				t.Errorf("not told of %v", want)
			}
			answered := make(chan []byte, 1)
			c.History(json.RawMessage(fmt.Sprintf(`{"query":"m","from":%d,"to":%d}`, now-20_000, now)), func(b []byte) { answered <- b })
			var m wire.HistoryAnswer
			if err := json.Unmarshal(<-answered, &m); err != nil || len(m.Gaps) != 4 {
				t.Errorf("a history is answered with the gaps %v, %v", m.Gaps, err)
			}
		})
		if len(s.Losses()) > 0 {
			t.Error("the store still keeps the losses")
		}
		if b, _ := s.Kept(store.Gaps); b == nil {
			t.Error("the gaps are not saved")
		}
	})
}

// breaks makes the next commit fail, and the one after it find that the store, which it
// opens again, has lost what was measured after from and before to.
func (s *memStore) breaks(from, to int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	commits := 0
	s.fail = func() error {
		if commits++; commits == 1 {
			return errCommit
		}
		s.fail = nil
		s.losses = append(s.losses, store.Loss{From: from, To: to})
		for _, m := range s.series {
			m.samples = slices.DeleteFunc(m.samples, func(x memSample) bool { return x.T > from && x.T < to })
		}
		return nil
	}
}

func (s *memStore) setNoGaps(no bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noGaps = no
}

func TestDamageThatIsFoundInMidLifeIsToldAtOnce(t *testing.T) {
	for _, saves := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s := newMemStore()
			var slow atomic.Int64
			s.delay = func() time.Duration { return time.Duration(slow.Load()) }
			alone(t, s, func(b bus.Bus, h *Hub) {
				join := func() *stub {
					page := &stub{}
					c := h.NewClient(page)
					t.Cleanup(c.Close)
					c.Subscribe(json.RawMessage(`{"query":"m","window":100}`), nil)
					time.Sleep(time.Second)
					return page
				}
				seq := uint64(0)
				next := func() { seq++; give(t, b, 0, seq, 0, 0, 0, 1) }
				for range 10 {
					next()
				}
				from, to := ms()-5500, ms()-2500
				here := join() // and its bootstrap is shared
				slow.Store(int64(4 * time.Second))
				joining := &stub{}
				c := h.NewClient(joining)
				defer c.Close()
				c.Subscribe(json.RawMessage(`{"query":"m","window":90}`), nil)
				time.Sleep(time.Millisecond)
				slow.Store(0)
				s.breaks(from, to)
				s.setNoGaps(!saves)
				if err := b.Publish(t.Context(), numbered(0, seq+1, 0, 0, 0, 1)); err == nil || strings.Contains(err.Error(), "gaps") {
					t.Fatalf("a batch that failed was answered with %v", err)
				}
				s.mu.Lock()
				before := s.reads
				s.mu.Unlock()
				next()
				for range 5 {
					next()
				}
				if len(told(t, here)) != 1 {
					t.Errorf("a page that was there is told %+v (gaps are saved: %v)", told(t, here), saves)
				}
				if len(told(t, joining)) != 1 {
					t.Errorf("a page that was joining is told %+v", told(t, joining))
				}
				for _, g := range slices.Concat(told(t, here), told(t, joining), told(t, join())) {
					if g.Reason != wire.GapDamaged || len(g.IDs) != 2 || g.From != from || g.To != to {
						t.Errorf("told of %+v, want what lies between %d and %d of both series", g, from, to)
					}
				}
				if len(told(t, join())) != 1 {
					t.Error("a page that joins is not told")
				}
				s.mu.Lock()
				defer s.mu.Unlock()
				if s.reads == before {
					t.Error("a bootstrap from before the damage is shared")
				}
				h.recent.Mu.Lock()
				defer h.recent.Mu.Unlock()
				if n := len(declared(h)); n != 1 || metric(t, h, "stripchart_gaps_total") != 1 {
					t.Errorf("%d gaps of %v declared, want one", n, metric(t, h, "stripchart_gaps_total"))
				}
			})
			if left := len(s.Losses()); saves != (left == 0) {
				t.Errorf("gaps are saved: %v, and the store keeps %d losses", saves, left)
			}
		})
	}
}

// What a reopening has found lost is read from the log again, also when the server is
// killed before it is done.
func TestDamageThatIsFoundInMidLifeIsFilledFromTheLog(t *testing.T) {
	for _, killed := range []string{"never", "while it reads", "before anything is saved"} {
		synctest.Test(t, func(t *testing.T) {
			l := newFakeLog()
			r := newReplica(t, l)
			want := &sharedTruth{truth: truth{}}
			one := &publisher{log: l, source: 0, want: want}
			rng := rand.New(rand.NewPCG(1, 1))
			one.tick(rng, 300)
			if killed != "never" {
				l.slow.Store(int64(100 * time.Millisecond)) // half a minute for all of it
			}
			r.store.setNoGaps(killed == "before anything is saved")
			r.store.breaks(ms()-200_500, ms()-150_500)
			one.tick(rng, 10)
			lost := r.store.Losses()
			if killed != "never" {
				r.restart(true, 0, 0)
				r.stop()
				l.slow.Store(0)
				r.store.losses, r.store.noGaps = lost, false
				r.start()
			}
			one.tick(rng, 100)
			p := newPage(t, r.hub, 1<<20)
			p.ask(seriesOfSource)
			settleReplicas(t, 0, []*page{p}, want)
			p.close()
			gs := toldOf(t, r.hub)
			r.stop()
			if len(gs) == 0 {
				t.Errorf("no gap is declared (killed: %s)", killed)
			}
			for name, g := range gs {
				if len(g) != 1 || g[0].Reason != wire.GapDamaged {
					t.Errorf("%s: told of %+v, want the damage (killed: %s)", name, g, killed)
				}
			}
			if r.store.savedProgress(t).Replay == "" {
				t.Errorf("the log is still to be read again (killed: %s)", killed)
			}
		})
	}
}
