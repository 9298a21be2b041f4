package redisbus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/testkit"
)

// quick makes timeouts short where a test waits for one.
const quick = "?read_timeout=300ms&dial_timeout=300ms"

func open(t testing.TB, o Options) *Bus {
	t.Helper()
	b, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// one returns a batch of one series whose value is seq.
func one(source string, seq uint64) *bus.Batch {
	return &bus.Batch{Sequence: bus.Sequence{Source: source, Seq: seq}, Series: []bus.Series{{
		Labels:  labels.FromStrings("__name__", "m", "source", source),
		Samples: []bus.Sample{{T: 1544608800000 + int64(seq), V: float64(seq)}},
	}}}
}

func publish(t testing.TB, b *Bus, batches ...*bus.Batch) {
	t.Helper()
	for _, x := range batches {
		if err := b.Publish(t.Context(), x); err != nil {
			t.Fatalf("publish %d: %v", x.Seq, err)
		}
	}
}

// insist publishes as a source does: until it is acknowledged.
func insist(t testing.TB, b *Bus, x *bus.Batch) {
	t.Helper()
	testkit.Eventually(t, fmt.Sprint("publish ", x.Seq), func() bool { return b.Publish(t.Context(), x) == nil })
}

func sequence(source string, first, last uint64) (out []*bus.Batch) {
	for i := first; i <= last; i++ {
		out = append(out, one(source, i))
	}
	return out
}

// tailing is a Tail in the background.
type tailing struct {
	cancel context.CancelFunc
	done   chan error
	mu     sync.Mutex
	got    []bus.Delivery
}

func tail(t testing.TB, b *Bus, from bus.Position) *tailing {
	ctx, cancel := context.WithCancel(t.Context())
	r := &tailing{cancel: cancel, done: make(chan error, 1)}
	t.Cleanup(cancel)
	go func() {
		r.done <- b.Tail(ctx, from, func(d bus.Delivery) error {
			d.Done(nil)
			r.mu.Lock()
			defer r.mu.Unlock()
			r.got = append(r.got, d)
			return nil
		})
	}()
	return r
}

func (r *tailing) deliveries() []bus.Delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got
}

// seqs returns the sequence numbers so far, as "1 2 3".
func (r *tailing) seqs() string {
	var s []string
	for _, d := range r.deliveries() {
		s = append(s, fmt.Sprint(d.Batch.Seq))
	}
	return strings.Join(s, " ")
}

func (r *tailing) wait(t testing.TB, n int) []bus.Delivery {
	t.Helper()
	testkit.Eventually(t, fmt.Sprint(n, " batches"), func() bool { return len(r.deliveries()) >= n })
	return r.deliveries()
}

// ends waits for the end of Tail.
func (r *tailing) ends(t testing.TB) error {
	t.Helper()
	select {
	case err := <-r.done:
		return err
	case <-time.After(testkit.Patience):
		t.Fatal("Tail did not end")
		return nil
	}
}

// mustLose waits until Tail says that its position is lost, and returns up to where the
// log is said to be the same.
func (r *tailing) mustLose(t testing.TB) bus.Position {
	t.Helper()
	err := r.ends(t)
	var lost *bus.LostError
	if !errors.As(err, &lost) || !errors.Is(err, bus.ErrPositionLost) {
		t.Fatalf("Tail returned %v", err)
	}
	return lost.Since
}

// read returns the first n batches, and the epoch's last position.
func read(t testing.TB, b *Bus, from bus.Position, n int) []bus.Delivery {
	t.Helper()
	r := tail(t, b, from)
	got := r.wait(t, n)
	r.cancel()
	_ = r.ends(t)
	return got
}

func end(t testing.TB, b *Bus) bus.Position {
	t.Helper()
	p, err := b.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// mustLose checks that Tail from p says that it is lost, without a delivery.
func mustLose(t testing.TB, b *Bus, p bus.Position) {
	t.Helper()
	r := tail(t, b, p)
	if err := r.ends(t); !errors.Is(err, bus.ErrPositionLost) || len(r.deliveries()) > 0 {
		t.Fatalf("Tail returned %v after %d batches, want ErrPositionLost at once", err, len(r.deliveries()))
	}
}
