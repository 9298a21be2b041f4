package live

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/store"
	"stripchart/internal/wire"
)

// syncLog is a log that tests read while it is written.
type syncLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *syncLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *syncLog) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), s)
}

// What a commit that fails has revealed is counted and logged once, however often it is
// tried.
func TestARetryCountsNothingAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		log := &syncLog{}
		r := &replica{t: t, log: l, store: newMemStore(), change: func(o *Options) { o.Log = slog.New(slog.NewTextHandler(log, nil)) }}
		r.start()
		put(t, l, seriesLabels(1, 0), ms())
		putSeries(t, l, 1, map[int][]int64{0: {ms()}})
		time.Sleep(time.Second)
		failures := 20
		r.store.mu.Lock()
		r.store.fail = func() error {
			if failures--; failures > 0 {
				return errCommit
			}
			return nil
		}
		r.store.mu.Unlock()
		refused := r.hub.follower.metrics.refused.WithLabelValues(refusedTooNew)
		putSeries(t, l, 1000, map[int][]int64{0: {ms() - 5000, ms(), ms() + 400_000}})
		time.Sleep(time.Minute)
		r.stop()
		if n := testutil.ToFloat64(r.hub.follower.metrics.missing); n != 998 {
			t.Errorf("%v batches are counted as missing, want 998", n)
		}
		if n := testutil.ToFloat64(refused); n != 1 {
			t.Errorf("%v samples are counted as refused, want 1", n)
		}
		if n := log.count("batches of a source are missing"); n != 1 {
			t.Errorf("logged %d times, want once", n)
		}
		if n := testutil.ToFloat64(r.hub.follower.metrics.gaps.WithLabelValues(wire.GapSourceDropped)); n != 1 || len(r.hub.follower.ledger.gaps) != 1 {
			t.Errorf("%v gaps are counted, and %d kept, want one", n, len(r.hub.follower.ledger.gaps))
		}
		if _, there := r.store.value(seriesLabels(0, 0), ms()-60_000); !there {
			t.Error("what was tried is not recorded")
		}
	})
}

// A disk that hangs while something is saved holds up neither batches, nor the states of
// rooms.
func TestADiskThatHangsHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowNotes{newMemStore(), make(chan time.Duration, 10)}
		b, h, stop := startAlone(t, s)
		defer stop()
		give(t, b, 0, 1, 0, 0, 0)
		c := &stub{}
		client := h.NewClient(c)
		defer client.Close()
		client.Subscribe(json.RawMessage(`{"query":"m","window":3600}`), nil)
		time.Sleep(time.Second)
		s.takes <- time.Minute
		var jumped sync.WaitGroup
		jumped.Go(func() { give(t, b, 0, 9, 0, 0, 0) }) // a hole: saved for a minute
		time.Sleep(1100 * time.Millisecond)
		began := time.Now()
		other := &bus.Batch{Sequence: bus.Sequence{Source: "other", Seq: 1}, Series: []bus.Series{{Labels: seriesLabels(1, 0), Samples: []bus.Sample{{T: ms(), V: 1}}}}}
		if err := b.Publish(t.Context(), other); err != nil || time.Since(began) > time.Second {
			t.Errorf("another source's batch was acknowledged after %v (%v)", time.Since(began), err)
		}
		time.Sleep(6 * time.Second)
		if n := len(c.sent(wire.EventStatus)); n != 1 {
			t.Errorf("%d states were told after 6 s without samples, want stale", n)
		}
		jumped.Wait()
		if time.Since(began) < 50*time.Second {
			t.Errorf("the batch behind the hole was acknowledged %v after, and its gap was not saved", time.Since(began))
		}
	})
}

// startAlone runs a server with its log in memory.
func startAlone(t *testing.T, s Store) (bus.Bus, *Hub, func()) {
	t.Helper()
	var b bus.Bus
	var h *Hub
	over, ended, begun := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		aloneOn(t, s, func(b1 bus.Bus, h1 *Hub) {
			b, h = b1, h1
			close(begun)
			<-over
		})
	}()
	<-begun
	return b, h, func() {
		close(over)
		<-ended
	}
}

// A source of many series that jumps with each batch costs the memory and the disk of its
// series once.
func TestGapsAreBoundedInBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemStore()
		keeps := 0
		largest := 0
		counting := &countedNotes{memStore: s, kept: func(n store.Note, b []byte) {
			if n == store.Gaps {
				keeps++
				largest = max(largest, len(b))
			}
		}}
		b, h, stop := startAlone(t, counting)
		all := &bus.Batch{Sequence: bus.Sequence{Source: "s", Seq: 1}}
		for n := range 50_000 {
			all.Series = append(all.Series, bus.Series{Labels: labels.FromStrings("__name__", "m", "n", fmt.Sprint(n), "source", "0"), Samples: []bus.Sample{{T: ms(), V: 1}}})
		}
		if err := b.Publish(t.Context(), all); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		began := time.Now()
		var wg sync.WaitGroup
		for k := range 100 {
			wg.Go(func() {
				x := &bus.Batch{Sequence: bus.Sequence{Source: "s", Seq: uint64(10 + 2*k)}, Series: []bus.Series{{Labels: all.Series[k%7].Labels, Samples: []bus.Sample{{T: ms(), V: 1}}}}}
				if err := b.Publish(t.Context(), x); err != nil {
					t.Error(err)
				}
			})
			time.Sleep(10 * time.Millisecond)
		}
		wg.Wait()
		seconds := int(time.Since(began)/time.Second) + 1
		h.mu.Lock()
		size, n := h.follower.ledger.size(), len(h.follower.ledger.gaps)
		covered := 0
		for _, g := range h.follower.ledger.gaps {
			if g.series.has(hashOf(all.Series[49_999].Labels)) && g.from < ms()-3000 && g.to > ms()-2000 {
				covered++
			}
		}
		h.mu.Unlock()
		t.Logf("%d gaps of %d bytes; %d bytes written at most at once, %d times in %d s", n, size, largest, keeps, seconds)
		if size > maxGapBytes || largest > maxGapBytes*3/2 || n > maxGaps {
			t.Errorf("%d gaps of %d bytes are kept, and %d bytes were written", n, size, largest)
		}
		if covered == 0 {
			t.Error("a series of the source that jumps is in no gap")
		}
		if keeps > seconds+1 {
			t.Errorf("saved %d times in %d s", keeps, seconds)
		}
		stop()
	})
}

// countedNotes tells of each note that is kept.
type countedNotes struct {
	*memStore
	kept func(n store.Note, b []byte)
}

func (s *countedNotes) Keep(n store.Note, b []byte) error {
	s.kept(n, b)
	return s.memStore.Keep(n, b)
}

// When there are too many gaps, what was declared stays declared, and the source that has
// most of them loses its exactness first.
func TestGapsBeyondTheBoundAreMerged(t *testing.T) {
	h, err := New(Options{Bus: nil, Store: newMemStore(), Transport: fakeTransport{}, DefaultSeries: "m"})
	if err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	old := &gap{from: 10, to: 20, reason: wire.GapLogLost, series: newConcern([]uint64{7})}
	h.follower.ledger.declare([]*gap{old})
	type place struct {
		hash uint64
		at   int64
	}
	var declared []place
	for i := range int64(5000) {
		hashes := []uint64{uint64(i%50 + 100)}
		h.follower.ledger.declare([]*gap{{from: i*1000 + 100, to: i*1000 + 200, reason: wire.GapSourceDropped, source: "s", series: concernOf(hashes)}})
		declared = append(declared, place{hashes[0], i*1000 + 150})
	}
	if len(h.follower.ledger.gaps) > maxGaps || h.follower.ledger.size() > maxGapBytes {
		t.Errorf("%d gaps, %d bytes", len(h.follower.ledger.gaps), h.follower.ledger.size())
	}
	if h.follower.ledger.gaps[0] != old {
		t.Errorf("the gap of another source was merged: %+v", h.follower.ledger.gaps[0])
	}
	for _, p := range declared {
		held := false
		for _, g := range h.follower.ledger.gaps {
			held = held || g.series.has(p.hash) && g.from < p.at && p.at < g.to
		}
		if !held {
			t.Fatalf("what was declared of %d at %d is not any more", p.hash, p.at)
		}
	}
	if n := testutil.ToFloat64(h.follower.metrics.gapsMerged); n != 5001-maxGaps {
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
	one, two := seriesLabels(0, 0), seriesLabels(0, 1)
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
