package membus

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"go.uber.org/goleak"

	"stripchart/internal/bus"
	"stripchart/internal/bus/bustest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	bustest.Run(t, func(*testing.T) bus.Bus {
		return New(Options{QueueBytes: 1 << 20, RetainBytes: 16 << 20})
	})
}

func one(value float64) *bus.Batch {
	return &bus.Batch{Series: []bus.Series{{
		Labels:  labels.FromStrings("__name__", "m"),
		Samples: []bus.Sample{{T: 1, V: value}},
	}}}
}

// In memory an acknowledgement means "committed", so Publish must neither
// return before Done nor hide its error.
func TestPublishReturnsWhatTheCommitReturned(t *testing.T) {
	b := New(Options{})
	defer b.Close()
	refused := errors.New("commit failed")
	release := make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	tailed := make(chan error, 1)
	go func() {
		tailed <- b.Tail(ctx, bus.Position{}, func(d bus.Delivery) error {
			d.Done(<-release)
			return nil
		})
	}()
	for _, want := range []error{nil, refused, nil} {
		result := make(chan error, 1)
		go func() { result <- b.Publish(ctx, one(1)) }()
		select {
		case err := <-result:
			t.Fatalf("Publish returned %v before the commit", err)
		case <-time.After(20 * time.Millisecond):
		}
		release <- want
		if got := <-result; !errors.Is(got, want) {
			t.Fatalf("Publish returned %v, want %v", got, want)
		}
	}
	cancel()
	<-tailed
}

// A batch that was not committed is not in the log: its source sends it again,
// and a later Tail must not deliver both.
func TestRefusedBatchLeavesTheLog(t *testing.T) {
	b := New(Options{RetainBytes: 1 << 20})
	defer b.Close()
	n := 0
	go b.Tail(t.Context(), bus.Position{}, func(d bus.Delivery) error {
		if n++; n == 2 {
			d.Done(errors.New("no"))
		} else {
			d.Done(nil)
		}
		return nil
	})
	for i := range 3 {
		if err := b.Publish(t.Context(), one(float64(i))); (err != nil) != (i == 1) {
			t.Fatalf("batch %d: %v", i, err)
		}
	}
	var got []float64
	stop := errors.New("enough")
	err := b.Tail(t.Context(), bus.Position{}, func(d bus.Delivery) error {
		d.Done(nil)
		if got = append(got, d.Batch.Series[0].Samples[0].V); len(got) == 2 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || got[0] != 0 || got[1] != 2 {
		t.Fatalf("got %v, %v", got, err)
	}
}

func TestFullQueueMakesPublishWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		size := one(1).Size()
		b := New(Options{QueueBytes: 2*size + size/2})
		for range 2 {
			go b.Publish(t.Context(), one(1))
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.Publish(ctx, one(2)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Publish into a full queue returned %v", err)
		}
		if b.waiting != 2*size {
			t.Errorf("%d bytes wait, want %d", b.waiting, 2*size)
		}
		b.Close()
		synctest.Wait()
	})
}

func TestTooLargeBatchIsRefusedAtOnce(t *testing.T) {
	b := New(Options{QueueBytes: 10})
	defer b.Close()
	if err := b.Publish(t.Context(), one(1)); !errors.Is(err, bus.ErrTooLarge) {
		t.Fatalf("got %v, want ErrTooLarge", err)
	}
}

// What is no longer retained must be said, never skipped.
func TestTrimmedPositionIsLost(t *testing.T) {
	b := New(Options{RetainBytes: 2 * one(1).Size()})
	defer b.Close()
	var positions []bus.Position
	go b.Tail(t.Context(), bus.Position{}, func(d bus.Delivery) error {
		positions = append(positions, d.Position)
		d.Done(nil)
		return nil
	})
	for range 5 {
		if err := b.Publish(t.Context(), one(1)); err != nil {
			t.Fatal(err)
		}
	}
	stop := errors.New("enough")
	for i, want := range []error{bus.ErrPositionLost, bus.ErrPositionLost, stop, stop} {
		err := b.Tail(t.Context(), positions[i], func(d bus.Delivery) error { d.Done(nil); return stop })
		if !errors.Is(err, want) {
			t.Errorf("Tail after batch %d returned %v, want %v", i+1, err, want)
		}
	}
}
