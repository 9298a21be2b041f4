package redisbus

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"stripchart/internal/bus"
	"stripchart/internal/bus/redisbus/redistest"
	"stripchart/internal/bus/redislink"
	"stripchart/internal/testkit"
)

func TestTailWaitsAndPublishFailsWhileRedisIsAway(t *testing.T) {
	s := redistest.Start(t, redistest.Options{Persist: true})
	var log testkit.Log
	b := open(t, Options{URL: s.URL, Logger: log.Logger()})
	r := tail(t, b, bus.Position{})
	publish(t, b, sequence("a", 1, 3)...)
	r.wait(t, 3)
	if !b.Status().Connected {
		t.Error("not connected after a Publish and a delivery")
	}
	s.Kill9()
	for range 3 {
		if err := b.Publish(t.Context(), one("a", 4)); err == nil {
			t.Fatal("acknowledged by a dead server")
		}
	}
	testkit.Eventually(t, "status away", func() bool { return !b.Status().Connected && b.Status().Err != nil })
	time.Sleep(300 * time.Millisecond) // for more tries
	s.Restart(t, true)
	insist(t, b, one("a", 4))
	testkit.Eventually(t, "#4 is delivered", func() bool { return strings.HasSuffix(r.seqs(), "4") })
	testkit.Eventually(t, "status connected", func() bool { return b.Status().Connected })
	if got := r.seqs(); got != "1 2 3 1 2 3 4" {
		t.Errorf("delivered %s, want what was there, the resend and the new one", got)
	}
	if away, back := strings.Count(log.String(), "Redis is away"), strings.Count(log.String(), "Redis is back"); away != 1 || back != 1 {
		t.Errorf("%d lines say away and %d back, want one each:\n%s", away, back, &log)
	}
}

func TestProgramsMayStartBeforeRedis(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	s.Kill9()
	b := open(t, Options{URL: s.URL})
	r := tail(t, b, bus.Position{})
	if err := b.Publish(t.Context(), one("a", 1)); err == nil {
		t.Fatal("acknowledged by nobody")
	}
	if b.Status().Connected {
		t.Error("connected to nobody")
	}
	s.Restart(t, false)
	insist(t, b, one("a", 1))
	r.wait(t, 1)
}

// A process that hangs is the worst case: connections stay and nothing answers.
func TestCallsHonourTheirContextsWhileRedisHangs(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	b := open(t, Options{URL: s.URL + "?read_timeout=1h&write_timeout=1h&dial_timeout=1h"})
	publish(t, b, one("a", 1))
	r := tail(t, b, bus.Position{})
	r.wait(t, 1)
	s.Pause(t)
	prompt := func(what string, f func(ctx context.Context) error) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := f(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s returned %v", what, err)
		}
	}
	prompt("Publish", func(ctx context.Context) error { return b.Publish(ctx, one("a", 2)) })
	prompt("End", func(ctx context.Context) error { _, err := b.End(ctx); return err })
	prompt("Tail", func(ctx context.Context) error {
		return b.Tail(ctx, bus.Position{}, func(bus.Delivery) error { return nil })
	})
	r.cancel()
	if err := r.ends(t); !errors.Is(err, context.Canceled) {
		t.Errorf("Tail returned %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// A source whose Publish timed out publishes the batch again. The first attempt must not
// reach the log later, behind newer batches.
func TestABatchThatWasGivenUpIsNotSentLater(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // connections are made, and nothing answers
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	b := open(t, Options{URL: "redis://" + silent.Addr().String() + "?read_timeout=1m"})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := b.Publish(ctx, one("a", 2)); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Publish returned %v", err)
	}
	b.writer.mu.Lock()
	defer b.writer.mu.Unlock()
	if len(b.writer.queue) > 0 || b.writer.bytes > 0 {
		t.Errorf("%d batches of %d bytes still wait", len(b.writer.queue), b.writer.bytes)
	}
}

func TestFullQueueMakesPublishWaitAndTooLargeIsRefused(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	size := one("a", 1).Size()
	b := open(t, Options{URL: s.URL, QueueBytes: size + size/2})
	publish(t, b, one("a", 1))
	s.Pause(t)
	go func() { _ = b.Publish(t.Context(), one("a", 2)) }()
	testkit.Eventually(t, "one is under way", func() bool { return b.writer.waiting() > 0 })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := b.Publish(ctx, one("b", 1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Publish into a full queue returned %v", err)
	}
	if n := b.writer.waiting(); n != size {
		t.Errorf("%d bytes wait, want %d", n, size)
	}
	large := one("a", 3)
	large.Series[0].Samples = make([]bus.Sample, 100)
	if err := b.Publish(t.Context(), large); !errors.Is(err, bus.ErrTooLarge) {
		t.Errorf("a batch beyond the queue: %v", err)
	}
}

// A master that became a replica would serve its old past, and refuses writes.
func TestAMasterThatBecomesAReplicaIsLeft(t *testing.T) {
	s := redistest.Start(t, redistest.Options{Persist: true})
	b := open(t, Options{URL: s.URL})
	c := s.Client(t)
	r := tail(t, b, bus.Position{})
	publish(t, b, one("a", 1))
	r.wait(t, 1)
	if err := c.ReplicaOf(t.Context(), "127.0.0.1", "1").Err(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the tail has left", func() bool {
		clients, err := c.ClientList(t.Context()).Result()
		return err == nil && !strings.Contains(clients, "cmd=xread")
	})
	testkit.Eventually(t, "the writer has left", func() bool {
		return errors.Is(b.Publish(t.Context(), one("a", 2)), redislink.ErrReplica)
	})
	if err := c.ReplicaOf(t.Context(), "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	insist(t, b, one("a", 2))
	testkit.Eventually(t, "#2 is delivered", func() bool { return strings.HasSuffix(r.seqs(), "2") })
}

func TestCutLinksAreMadeAgain(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := redistest.Start(t, redistest.Options{})
	b := open(t, Options{URL: s.URL, Registerer: reg})
	r := tail(t, b, bus.Position{})
	for i := uint64(1); i <= 5; i++ {
		insist(t, b, one("a", i))
		if err := s.Client(t).Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, "all are delivered", func() bool { return strings.HasSuffix(r.seqs(), "5") })
	var seen uint64 // as a server counts: copies are behind it, holes are not allowed
	for _, d := range r.deliveries() {
		if d.Batch.Seq > seen+1 {
			t.Fatalf("a hole in %s", r.seqs())
		}
		seen = max(seen, d.Batch.Seq)
	}
	if n, err := testutil.GatherAndCount(reg); err != nil || n < 14 {
		t.Errorf("%d metrics, %v", n, err)
	}
	if b.redis.Reconnects() == 0 {
		t.Error("no reconnect was counted")
	}
}
