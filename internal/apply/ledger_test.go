package apply

import (
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/recent"
	"stripchart/internal/store"
	"stripchart/internal/wire"
)

// When there are too many gaps, what was declared stays declared, and the source that has
// most of them loses its exactness first.
func TestGapsBeyondTheBoundAreMerged(t *testing.T) {
	l := declaredGaps{metrics: newMetrics(prometheus.NewRegistry()), saveSoon: func() {}}
	old := &recent.Gap{From: 10, To: 20, Reason: wire.GapLogLost, Series: recent.NewConcern([]uint64{7})}
	l.declare([]*recent.Gap{old})
	type place struct {
		hash uint64
		at   int64
	}
	var declared []place
	for i := range int64(5000) {
		hashes := []uint64{uint64(i%50 + 100)}
		l.declare([]*recent.Gap{{From: i*1000 + 100, To: i*1000 + 200, Reason: wire.GapSourceDropped, Source: "s", Series: recent.ConcernOf(hashes)}})
		declared = append(declared, place{hashes[0], i*1000 + 150})
	}
	if len(l.gaps) > maxGaps || l.size() > maxGapBytes {
		t.Errorf("%d gaps, %d bytes", len(l.gaps), l.size())
	}
	if l.gaps[0] != old {
		t.Errorf("the gap of another source was merged: %+v", l.gaps[0])
	}
	for _, p := range declared {
		held := false
		for _, g := range l.gaps {
			held = held || g.Series.Has(p.hash) && g.From < p.at && p.at < g.To
		}
		if !held {
			t.Fatalf("what was declared of %d at %d is not any more", p.hash, p.at)
		}
	}
	if n := testutil.ToFloat64(l.metrics.gapsMerged); n != 5001-maxGaps {
		t.Errorf("%v gaps are counted as merged", n)
	}
	// More series than a gap names: it is everybody's.
	many := make([]uint64, recent.MaxConcern+1)
	for i := range many {
		many[i] = uint64(i) << 20
	}
	if c := recent.ConcernOf(many); !c.Has(12345) {
		t.Error("a gap of too many series names some only")
	}
}

// Gaps that were saved are the same when they are read, and those of the version before
// are understood.
func TestSavedGapsAreReadAgain(t *testing.T) {
	one, two := labels.FromStrings("n", "0"), labels.FromStrings("n", "1")
	shared := recent.NewConcern([]uint64{1, 2, 3})
	gs := []*recent.Gap{
		{From: 1, To: 2, Reason: "a", Source: "s", Series: shared}, {From: 3, To: 4, Reason: "b", Series: shared},
		{From: 5, To: 6, Reason: "c", Series: recent.EverySeries}, {From: 7, To: 8, Reason: "d", Series: recent.NewConcern(nil)},
	}
	got, err := decodeGaps(encodeGaps(gs))
	if err != nil || len(got) != len(gs) {
		t.Fatalf("%d gaps, %v", len(got), err)
	}
	for i, g := range got {
		if g.From != gs[i].From || g.To != gs[i].To || g.Reason != gs[i].Reason || g.Source != gs[i].Source || !g.Series.Equal(gs[i].Series) {
			t.Errorf("%+v became %+v", gs[i], g)
		}
	}
	if got[0].Series != got[1].Series {
		t.Error("series that gaps shared are two sets")
	}
	before, _ := json.Marshal([]savedGap{{From: 1, To: 2, Reason: "a", Series: []labels.Labels{one}}})
	got, err = decodeGaps(before)
	if err != nil || len(got) != 1 || !got[0].Series.Has(recent.Hash(one)) || got[0].Series.Has(recent.Hash(two)) {
		t.Errorf("the version before is read as %+v, %v", got, err)
	}
}

func FuzzDecodeGaps(f *testing.F) {
	f.Add(encodeGaps([]*recent.Gap{{From: 1, To: 2, Reason: "a", Source: "s", Series: recent.NewConcern([]uint64{1, 2})}, {From: 1, To: 2, Series: recent.EverySeries}}))
	f.Add([]byte(`[{"from":1,"to":2,"reason":"a","series":[{"__name__":"m"}]}]`))
	f.Add([]byte(`{"version":2,"series":["AAAA"],"gaps":[{"of":3}]}`))
	f.Add([]byte(`{"version":2,"gaps":[{"of":-2}]}`))
	f.Add([]byte(`{"version":3}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		gs, err := decodeGaps(b)
		if err != nil {
			return
		}
		again, err := decodeGaps(encodeGaps(gs))
		if err != nil || len(again) != len(gs) {
			t.Fatalf("%d gaps became %d, %v", len(gs), len(again), err)
		}
	})
}

// slowGaps is a store on a disk that takes its time with the declared gaps.
type slowGaps struct {
	Store
	takes chan time.Duration // of the next ones; none left: no time
	mu    sync.Mutex
	kept  []byte
}

func (s *slowGaps) Keep(_ store.Note, b []byte) error {
	select {
	case d := <-s.takes:
		time.Sleep(d)
	default:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = b
	return nil
}

func (s *slowGaps) gaps(t *testing.T) int {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil {
		return 0
	}
	saved, err := decodeGaps(s.kept)
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
		s := &slowGaps{takes: make(chan time.Duration, 10)}
		reg := prometheus.NewRegistry()
		h := New(Options{Store: s, Log: slog.New(slog.DiscardHandler), Registry: reg, Window: time.Hour}, recent.New(0, 0, 0, reg), nil)
		n := uint64(0)
		declare := func() {
			h.recent.Mu.Lock()
			defer h.recent.Mu.Unlock()
			n++
			h.ledger.declare([]*recent.Gap{{From: h.recent.Now() - 1000, To: h.recent.Now(), Reason: "r", Series: recent.NewConcern([]uint64{n})}})
		}
		saved := func() bool {
			h.saver.save()
			h.recent.Mu.Lock()
			defer h.recent.Mu.Unlock()
			return h.ledger.saved == h.ledger.declared
		}
		var wg sync.WaitGroup
		s.takes <- 3 * time.Second
		declare()
		wg.Go(func() { h.saver.save() }) // as the watch does
		time.Sleep(time.Second)
		if saved() && s.gaps(t) != 1 {
			t.Error("a gap is said to be kept that is not")
		}
		wg.Wait()

		s.takes <- 3 * time.Second
		declare()
		wg.Go(func() { h.saver.save() })
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
