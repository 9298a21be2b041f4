package live

import (
	"encoding/json"
	"log/slog"
	"stripchart/internal/store"
	"stripchart/internal/wire"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/labels"
)

// When there are too many gaps, what was declared stays declared, and the source that has
// most of them loses its exactness first.
func TestGapsBeyondTheBoundAreMerged(t *testing.T) {
	l := declaredGaps{metrics: newLogMetrics(prometheus.NewRegistry()), saveSoon: func() {}}
	old := &gap{from: 10, to: 20, reason: wire.GapLogLost, series: newConcern([]uint64{7})}
	l.declare([]*gap{old})
	type place struct {
		hash uint64
		at   int64
	}
	var declared []place
	for i := range int64(5000) {
		hashes := []uint64{uint64(i%50 + 100)}
		l.declare([]*gap{{from: i*1000 + 100, to: i*1000 + 200, reason: wire.GapSourceDropped, source: "s", series: concernOf(hashes)}})
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
			held = held || g.series.has(p.hash) && g.from < p.at && p.at < g.to
		}
		if !held {
			t.Fatalf("what was declared of %d at %d is not any more", p.hash, p.at)
		}
	}
	if n := testutil.ToFloat64(l.metrics.gapsMerged); n != 5001-maxGaps {
		t.Errorf("%v gaps are counted as merged", n)
	}
	// More series than a gap names: it is everybody's.
	many := make([]uint64, maxConcern+1)
	for i := range many {
		many[i] = uint64(i) << 20
	}
	if c := concernOf(many); !c.has(12345) {
		t.Error("a gap of too many series names some only")
	}
}

// Gaps that were saved are the same when they are read, and those of the version before
// are understood.
func TestSavedGapsAreReadAgain(t *testing.T) {
	one, two := labels.FromStrings("n", "0"), labels.FromStrings("n", "1")
	shared := newConcern([]uint64{1, 2, 3})
	gs := []*gap{
		{from: 1, to: 2, reason: "a", source: "s", series: shared}, {from: 3, to: 4, reason: "b", series: shared},
		{from: 5, to: 6, reason: "c", series: everySeries}, {from: 7, to: 8, reason: "d", series: newConcern(nil)},
	}
	got, err := decodeGaps(encodeGaps(gs))
	if err != nil || len(got) != len(gs) {
		t.Fatalf("%d gaps, %v", len(got), err)
	}
	for i, g := range got {
		if g.from != gs[i].from || g.to != gs[i].to || g.reason != gs[i].reason || g.source != gs[i].source || !g.series.equal(gs[i].series) {
			t.Errorf("%+v became %+v", gs[i], g)
		}
	}
	if got[0].series != got[1].series {
		t.Error("series that gaps shared are two sets")
	}
	before, _ := json.Marshal([]savedGap{{From: 1, To: 2, Reason: "a", Series: []labels.Labels{one}}})
	got, err = decodeGaps(before)
	if err != nil || len(got) != 1 || !got[0].series.has(hashOf(one)) || got[0].series.has(hashOf(two)) {
		t.Errorf("the version before is read as %+v, %v", got, err)
	}
}

func FuzzDecodeGaps(f *testing.F) {
	f.Add(encodeGaps([]*gap{{from: 1, to: 2, reason: "a", source: "s", series: newConcern([]uint64{1, 2})}, {from: 1, to: 2, series: everySeries}}))
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
	logStore
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
		h := newFollower(logOptions{Store: s, Log: slog.New(slog.DiscardHandler), Registry: reg, Window: time.Hour}, newRecent(0, 0, 0, reg), nil)
		n := uint64(0)
		declare := func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			n++
			h.ledger.declare([]*gap{{from: h.now() - 1000, to: h.now(), reason: "r", series: newConcern([]uint64{n})}})
		}
		saved := func() bool {
			h.saver.save()
			h.mu.Lock()
			defer h.mu.Unlock()
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
