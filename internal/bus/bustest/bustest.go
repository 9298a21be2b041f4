// Package bustest is the conformance suite of bus.Bus: every implementation
// passes Run.
package bustest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
)

// patience bounds every wait of the suite: far beyond what a working bus takes.
const patience = 20 * time.Second

// Factory makes an empty bus that retains at least a few thousand small
// batches and whose queue holds at most about 1 MiB. The suite closes it.
type Factory func(t *testing.T) bus.Bus

// Run checks that the buses that f makes keep the guarantees of package bus.
func Run(t *testing.T, f Factory) {
	t.Run("PublishedBatchesArriveOnceInOrder", func(t *testing.T) { inOrder(t, f(t)) })
	t.Run("EachSourceKeepsItsOrderAmongMany", func(t *testing.T) { manySources(t, f(t)) })
	t.Run("TailResumesAfterAnyPosition", func(t *testing.T) { resume(t, f(t)) })
	t.Run("PositionOfAnotherEpochIsLost", func(t *testing.T) { otherEpoch(t, f(t)) })
	t.Run("EndIsTheNewestBatch", func(t *testing.T) { end(t, f(t)) })
	t.Run("LogTimeIsNearTheClockAndNeverGoesBack", func(t *testing.T) { logTime(t, f(t)) })
	t.Run("TailEndsWithItsContextAndWithItsHandler", func(t *testing.T) { tailEnds(t, f(t)) })
	t.Run("PublishHonoursItsContext", func(t *testing.T) { publishContext(t, f(t)) })
	t.Run("CloseEndsEverythingAndIsIdempotent", func(t *testing.T) { closing(t, f(t)) })
	t.Run("BatchSurvivesTheWay", func(t *testing.T) { content(t, f(t)) })
	t.Run("BatchWithoutSequenceSurvivesTheWay", func(t *testing.T) { noSequence(t, f(t)) })
}

// batch returns a batch of one series whose value is seq.
func batch(source string, seq uint64) *bus.Batch {
	return &bus.Batch{Sequence: bus.Sequence{Source: source, Seq: seq}, Series: []bus.Series{{
		Labels:  labels.FromStrings("__name__", "m", "source", source),
		Samples: []bus.Sample{{T: time.Now().UnixMilli(), V: float64(seq)}},
	}}}
}

// reader tails b in the background and keeps the deliveries.
type reader struct {
	mu     sync.Mutex
	got    []bus.Delivery
	change chan struct{} // capacity 1: something arrived
	cancel context.CancelFunc
	done   chan error
}

func tail(b bus.Bus, from bus.Position) *reader {
	ctx, cancel := context.WithCancel(context.Background())
	r := &reader{change: make(chan struct{}, 1), cancel: cancel, done: make(chan error, 1)}
	go func() {
		r.done <- b.Tail(ctx, from, func(d bus.Delivery) error {
			d.Done(nil)
			r.mu.Lock()
			defer r.mu.Unlock()
			r.got = append(r.got, d)
			select {
			case r.change <- struct{}{}:
			default:
			}
			return nil
		})
	}()
	return r
}

// wait returns the deliveries once there are n of them.
func (r *reader) wait(t *testing.T, n int) []bus.Delivery {
	t.Helper()
	deadline := time.After(patience)
	for {
		r.mu.Lock()
		got := r.got
		r.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-r.change:
		case err := <-r.done:
			t.Fatalf("Tail ended with %v after %d of %d batches", err, len(got), n)
		case <-deadline:
			t.Fatalf("%d of %d batches arrived", len(got), n)
		}
	}
}

// stop ends the tail and returns its error.
func (r *reader) stop(t *testing.T) error {
	t.Helper()
	r.cancel()
	select {
	case err := <-r.done:
		return err
	case <-time.After(patience):
		t.Fatal("Tail did not end with its context")
		return nil
	}
}

func publish(t *testing.T, b bus.Bus, batches ...*bus.Batch) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, x := range batches {
		if err := b.Publish(ctx, x); err != nil {
			t.Errorf("publish %s/%d: %v", x.Source, x.Seq, err) // not Fatal: also called from other goroutines
			return
		}
	}
}

func mustClose(t *testing.T, b bus.Bus) {
	t.Helper()
	if err := b.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// sequence returns the sequence numbers 1..n of one source as batches.
func sequence(source string, n int) []*bus.Batch {
	out := make([]*bus.Batch, n)
	for i := range out {
		out[i] = batch(source, uint64(i+1))
	}
	return out
}

func checkSequence(t *testing.T, got []bus.Delivery, source string, first, last uint64) {
	t.Helper()
	want := first
	for _, d := range got {
		if d.Batch.Source != source {
			continue
		}
		if d.Batch.Seq != want {
			t.Fatalf("source %s: batch %d arrived where %d was due", source, d.Batch.Seq, want)
		}
		want++
	}
	if want != last+1 {
		t.Fatalf("source %s: %d was the last to arrive, not %d", source, want-1, last)
	}
}

func inOrder(t *testing.T, b bus.Bus) {
	defer mustClose(t, b)
	r := tail(b, bus.Position{})
	publish(t, b, sequence("a", 500)...)
	got := r.wait(t, 500)
	if err := r.stop(t); !errors.Is(err, context.Canceled) {
		t.Errorf("Tail returned %v, want context.Canceled", err)
	}
	checkSequence(t, got, "a", 1, 500)
	for i := 1; i < len(got); i++ {
		p, q := got[i-1].Position, got[i].Position
		if p.Epoch != q.Epoch || p.Compare(q.Offset) >= 0 {
			t.Fatalf("position %v does not come before %v", p, q)
		}
	}
}

func manySources(t *testing.T, b bus.Bus) {
	defer mustClose(t, b)
	r := tail(b, bus.Position{})
	const sources, each = 20, 50
	var wg sync.WaitGroup
	for i := range sources {
		wg.Go(func() { publish(t, b, sequence(fmt.Sprint("s", i), each)...) })
	}
	wg.Wait()
	got := r.wait(t, sources*each)
	_ = r.stop(t)
	if len(got) != sources*each {
		t.Fatalf("%d batches arrived, want %d", len(got), sources*each)
	}
	for i := range sources {
		checkSequence(t, got, fmt.Sprint("s", i), 1, each)
	}
}

func resume(t *testing.T, b bus.Bus) {
	defer mustClose(t, b)
	const n = 200
	r := tail(b, bus.Position{})
	publish(t, b, sequence("a", n)...)
	all := r.wait(t, n)
	_ = r.stop(t)
	for range 20 {
		i := rand.IntN(n - 1)
		again := tail(b, all[i].Position)
		got := again.wait(t, n-1-i)
		_ = again.stop(t)
		checkSequence(t, got, "a", uint64(i+2), n)
	}
}

func otherEpoch(t *testing.T, b bus.Bus) {
	defer mustClose(t, b)
	r := tail(b, bus.Position{})
	publish(t, b, batch("a", 1))
	p := r.wait(t, 1)[0].Position
	_ = r.stop(t)
	p.Epoch = "another"
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := b.Tail(ctx, p, func(d bus.Delivery) error {
		d.Done(nil)
		return errors.New("delivered a batch after a position that is lost")
	})
	if !errors.Is(err, bus.ErrPositionLost) {
		t.Fatalf("Tail returned %v, want ErrPositionLost", err)
	}
}

func end(t *testing.T, b bus.Bus) {
	defer mustClose(t, b)
	ctx := context.Background()
	empty, err := b.End(ctx)
	if err != nil || empty.Offset != (bus.Offset{}) {
		t.Fatalf("End of an empty log is %v, %v", empty, err)
	}
	r := tail(b, bus.Position{})
	publish(t, b, sequence("a", 3)...)
	got := r.wait(t, 3)
	_ = r.stop(t)
	if p, err := b.End(ctx); err != nil || p != got[2].Position {
		t.Fatalf("End is %v, %v, want %v", p, err, got[2].Position)
	}
}

func logTime(t *testing.T, b bus.Bus) {
	defer mustClose(t, b)
	before := time.Now().UnixMilli()
	r := tail(b, bus.Position{})
	publish(t, b, sequence("a", 100)...)
	got := r.wait(t, 100)
	_ = r.stop(t)
	after := time.Now().UnixMilli()
	last := before - 1000
	for _, d := range got {
		lt := d.Position.LogTime()
		if lt < last || lt > after+1000 {
			t.Fatalf("log time %d, want between %d and %d", lt, last, after+1000)
		}
		last = max(last, lt)
	}
}

func tailEnds(t *testing.T, b bus.Bus) {
	defer mustClose(t, b)
	if err := tail(b, bus.Position{}).stop(t); !errors.Is(err, context.Canceled) {
		t.Errorf("Tail of an empty log returned %v, want context.Canceled", err)
	}
	own := errors.New("the handler's own error")
	done := make(chan error, 1)
	go func() {
		done <- b.Tail(context.Background(), bus.Position{}, func(d bus.Delivery) error {
			d.Done(nil)
			return own
		})
	}()
	publish(t, b, batch("a", 1))
	select {
	case err := <-done:
		if !errors.Is(err, own) {
			t.Errorf("Tail returned %v, want the handler's error", err)
		}
	case <-time.After(patience):
		t.Fatal("Tail did not end with its handler's error")
	}
}

func publishContext(t *testing.T, b bus.Bus) {
	defer mustClose(t, b)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := b.Publish(ctx, batch("a", 1)); !errors.Is(err, context.Canceled) {
		t.Fatalf("Publish with an ended context returned %v", err)
	}
}

func closing(t *testing.T, b bus.Bus) {
	r := tail(b, bus.Position{})
	publish(t, b, batch("a", 1))
	r.wait(t, 1)
	mustClose(t, b)
	select {
	case err := <-r.done:
		if !errors.Is(err, bus.ErrClosed) {
			t.Errorf("Tail returned %v, want ErrClosed", err)
		}
	case <-time.After(time.Second): // the result of Tail is on its way
		t.Error("Close did not wait for Tail")
	}
	mustClose(t, b)
	ctx := context.Background()
	if err := b.Publish(ctx, batch("a", 2)); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("Publish after Close returned %v, want ErrClosed", err)
	}
	if err := b.Tail(ctx, bus.Position{}, func(bus.Delivery) error { return nil }); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("Tail after Close returned %v, want ErrClosed", err)
	}
	if _, err := b.End(ctx); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("End after Close returned %v, want ErrClosed", err)
	}
}

func content(t *testing.T, b bus.Bus) {
	defer mustClose(t, b)
	want := &bus.Batch{Sequence: bus.Sequence{Source: "a b/c", Seq: 7, Merged: 2, Dropped: 4, DroppedAfter: -5}, Series: []bus.Series{
		{Labels: labels.FromStrings("__name__", "a", "k", "ü\n\"", "z", " "), Samples: []bus.Sample{{T: 1, V: 1.5}, {T: 2, V: -0.25}}},
		{Labels: labels.FromStrings("__name__", "b"), Samples: []bus.Sample{
			{T: -3, V: 1e300}, {T: 3, V: math.Inf(1)}, {T: 4, V: math.Inf(-1)}, {T: 5, V: math.NaN()}, {T: 6, V: math.Float64frombits(0x7ff0000000000002)},
		}},
	}}
	r := tail(b, bus.Position{})
	publish(t, b, want)
	got := r.wait(t, 1)[0].Batch
	_ = r.stop(t)
	if got.Source != want.Source || got.Seq != want.Seq || got.Merged != want.Merged ||
		got.Dropped != want.Dropped || got.DroppedAfter != want.DroppedAfter || len(got.Series) != len(want.Series) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	for i := range want.Series {
		g, w := got.Series[i], want.Series[i]
		bits := func(a, b bus.Sample) bool { return a.T == b.T && math.Float64bits(a.V) == math.Float64bits(b.V) }
		if !labels.Equal(g.Labels, w.Labels) || !slices.EqualFunc(g.Samples, w.Samples, bits) {
			t.Errorf("series %d: got %v %v, want %v %v", i, g.Labels, g.Samples, w.Labels, w.Samples)
		}
	}
}

// Batches of writers without a sequence are never duplicates of each other.
func noSequence(t *testing.T, b bus.Bus) {
	defer mustClose(t, b)
	r := tail(b, bus.Position{})
	for range 3 {
		publish(t, b, batch("", 0))
	}
	for _, d := range r.wait(t, 3) {
		if d.Batch.Source != "" || d.Batch.Seq != 0 || d.Batch.Samples() != 1 {
			t.Errorf("got %+v", d.Batch)
		}
	}
	_ = r.stop(t)
}
