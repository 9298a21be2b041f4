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

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/recent"
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
		putSeries(t, l, 1000, map[int][]int64{0: {ms() - 5000, ms(), ms() + 400_000}})
		time.Sleep(time.Minute)
		r.stop()
		if n := metric(t, r.hub, "stripchart_batches_missing_total"); n != 998 {
			t.Errorf("%v batches are counted as missing, want 998", n)
		}
		if n := metric(t, r.hub, "stripchart_samples_refused_total"); n != 1 {
			t.Errorf("%v samples are counted as refused, want 1", n)
		}
		if n := log.count("batches of a source are missing"); n != 1 {
			t.Errorf("logged %d times, want once", n)
		}
		if n := metric(t, r.hub, "stripchart_gaps_total"); n != 1 || len(declared(r.hub)) != 1 {
			t.Errorf("%v gaps are counted, and %d kept, want one", n, len(declared(r.hub)))
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
	const maxGaps, maxGapBytes = 1000, 1 << 20 // as in docs/OPERATIONS.md
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
		h.recent.Mu.Lock()
		size, n := int(metric(t, h, "stripchart_gaps_bytes")), len(declared(h))
		covered := 0
		for _, g := range declared(h) {
			if g.Series.Has(recent.Hash(all.Series[49_999].Labels)) && g.From < ms()-3000 && g.To > ms()-2000 {
				covered++
			}
		}
		h.recent.Mu.Unlock()
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
