package live

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/store"
)

// commitSeries and commitSamples are what the log side commits in one hold of the lock.
const (
	commitSeries  = 1000
	commitSamples = 4000
)

// wideBatch is a batch of so many pieces' series, and one with more samples than a piece
// has.
func wideBatch(pieces int, at int64) *bus.Batch {
	x := &bus.Batch{}
	for n := range pieces * commitSeries {
		x.Series = append(x.Series, bus.Series{Labels: wideLabels(n), Samples: []bus.Sample{{T: at, V: float64(n)}}})
	}
	long := bus.Series{Labels: wideLabels(-1)}
	for k := range int64(3 * commitSamples) {
		long.Samples = append(long.Samples, bus.Sample{T: at - 3*commitSamples + k, V: float64(k)})
	}
	x.Series = append(x.Series, long)
	return x
}

func wideLabels(n int) labels.Labels {
	return labels.FromStrings("__name__", "wide", "n", fmt.Sprint(n))
}

// A large batch is taken in by pieces. A page that is shown a part of it stands at the
// place before the batch, on this server and on others, and so gets all of it wherever it
// goes on.
func TestAViewerWithinABatchStandsBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		small := func(v float64) { say(t, l, wideLabels(-2), ms(), v) }
		small(1)
		p := newPage(t, r.hub, 1<<24)
		a := p.ask(`{"query":"wide{n=~\"-2|0|1500|2999\"}","window":3600,"points":1000}`)
		time.Sleep(time.Second)
		before := p.held(a.Room).position
		commits := 0
		r.store.mu.Lock()
		r.store.fail = func() error { // the second piece, behind the late samples and the first one
			if commits++; commits >= 5 && commits <= 8 {
				return errCommit
			}
			return nil
		}
		r.store.mu.Unlock()
		at := ms()
		_ = l.Publish(t.Context(), wideBatch(3, at))
		seen := 0
		for range 20 {
			time.Sleep(100 * time.Millisecond)
			p.mu.Lock()
			room := p.rooms[a.Room]
			if got := room.samples[wideLabels(0).String()]; len(got) == 1 && room.samples[wideLabels(2999).String()] == nil {
				seen++
				if room.position != before {
					t.Errorf("in the middle of a batch the page is told %s, want the place before it, %s", room.position, before)
				}
			}
			p.mu.Unlock()
		}
		if seen == 0 {
			t.Error("no page was seen in the middle of the batch; the test shows nothing")
		}
		time.Sleep(10 * time.Second)
		p.close()
		q := newPage(t, r.hub, 1<<24)
		q.rooms = p.rooms
		q.rooms[a.Room].position = before // where it stood within the batch
		q.ask(`{"query":"wide{n=~\"-2|0|1500|2999\"}","window":3600,"points":1000,"since":"` + before + `"}`)
		got := q.held(a.Room)
		for _, n := range []int{0, 1500, 2999} {
			if v, there := got.samples[wideLabels(n).String()][at]; !there || v != float64(n) {
				t.Errorf("series %d: %v (%v)", n, v, there)
			}
		}
		if _, there := r.store.value(wideLabels(-1), at-1); !there {
			t.Error("the end of the long series is not recorded")
		}
		small(2) // has the room told where it is
		if q.held(a.Room).position == before {
			t.Error("the page stands before the batch for ever")
		}
		q.close()
		r.stop()
	})
}

// What was in a batch that failed in its middle is published again by its source, and is
// on the pages once, with the place behind it.
func TestABatchThatFailedInItsMiddleIsTakenWhenItComesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemStore()
		b, h, stop := startAlone(t, s)
		p := newPage(t, h, 1<<24)
		a := p.ask(`{"query":"wide{n=~\"0|1500|2999\"}","window":3600,"points":1000}`)
		commits := 0
		s.mu.Lock()
		s.fail = func() error {
			if commits++; commits == 3 {
				return errCommit
			}
			return nil
		}
		s.mu.Unlock()
		at := ms()
		if err := b.Publish(t.Context(), wideBatch(3, at)); err == nil {
			t.Fatal("a batch that failed in its middle is acknowledged")
		}
		time.Sleep(time.Second)
		first := p.held(a.Room)
		if err := b.Publish(t.Context(), wideBatch(3, at)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		say(t, b, wideLabels(0), ms(), 1) // has the room told where it is
		got := p.held(a.Room)
		for _, n := range []int{0, 1500, 2999} {
			if v, there := got.samples[wideLabels(n).String()][at]; !there || v != float64(n) {
				t.Errorf("series %d: %v (%v)", n, v, there)
			}
		}
		if _, there := s.value(wideLabels(-1), at-1); !there {
			t.Error("the end of the long series is not recorded")
		}
		end, _ := b.End(t.Context())
		if got.position != end.String() || first.position == end.String() {
			t.Errorf("the page stands at %s, then at %s, and the log ends at %s", first.position, got.position, end)
		}
		p.close()
		stop()
	})
}

// Late samples are committed in pieces that are small enough for tsdb, and the rest is
// what the lock is held for.
func TestOneCommitHoldsABoundedNumberOfSeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemStore()
		counted := &countedAppends{memStore: s}
		b, _, stop := startAlone(t, counted)
		at := ms()
		say(t, b, wideLabels(-3), at, 1)
		for _, back := range []int64{0, 3600_000, 3500_000, 3600_000 + 1} {
			if err := b.Publish(t.Context(), wideBatch(5, at-back)); err != nil {
				t.Fatal(err)
			}
		}
		stop()
		if counted.series > commitSeries || counted.samples > 2*commitSamples {
			t.Errorf("one commit was of %d series and %d samples", counted.series, counted.samples)
		}
		for _, back := range []int64{0, 3600_000, 3500_000, 3600_000 + 1} {
			if v, there := s.value(wideLabels(4321), at-back); !there || v != 4321 {
				t.Errorf("%d ms back: %v (%v)", back, v, there)
			}
		}
	})
}

type countedAppends struct {
	*memStore
	series, samples int
}

func (s *countedAppends) Append(rows []store.Row) error {
	n := 0
	for _, r := range rows {
		n += len(r.Samples)
	}
	s.series, s.samples = max(s.series, len(rows)), max(s.samples, n)
	return s.memStore.Append(rows)
}
