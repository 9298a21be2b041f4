package spool

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"stripchart/internal/bus"
)

var errAway = errors.New("the bus is away")

func TestWaitingBatchesAreMerged(t *testing.T) {
	s := open(t, options(t.TempDir()))
	put(t, s, 100, 10)
	if err := s.Append(t.Context(), batch(151, 151, 10)); err != nil { // after a hole
		t.Fatal(err)
	}
	v := newServer()
	send(t, s, v)
	equal(t, "published", v.spans(), [][2]uint64{{1, 64}, {65, 100}, {151, 151}})
	equal(t, "missing", v.missing, numbers(101, 150))
}

func TestSteadySourceIsSentAsItCame(t *testing.T) {
	s := open(t, options(t.TempDir()))
	v := newServer()
	run(t, s, v.publish)
	for range 20 {
		put(t, s, 1, 10)
		caught(t, s)
	}
	v.check(t, 1, 20)
	if n := len(v.published); n != 20 {
		t.Errorf("%d publishes of 20 batches", n)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.tail.entries); n > 11 {
		t.Errorf("%d batches are kept in memory, but those of 10 s are 10", n)
	}
}

// More waits than the tail in memory holds, and more comes meanwhile.
func TestSenderThatIsBehindReadsTheLog(t *testing.T) {
	o := options(t.TempDir())
	o.MaxBytes = 32 << 20
	s := open(t, o)
	put(t, s, 400, 30_000)
	s.mu.Lock()
	if s.tail.bytes > maxTailBytes || s.tail.from < 200 {
		t.Errorf("the tail has %d bytes from %d on", s.tail.bytes, s.tail.from)
	}
	s.mu.Unlock()
	v := newServer()
	run(t, s, v.publish)
	put(t, s, 100, 30_000)
	caught(t, s)
	v.check(t, 1, 500)
}

func TestAfterAStartTheLastTenSecondsAreSentAgain(t *testing.T) {
	o := options(t.TempDir())
	s := open(t, o)
	put(t, s, 30, 10)
	send(t, s, newServer())
	shut(t, s)
	s = open(t, o)
	put(t, s, 2, 10)
	v := newServer()
	send(t, s, v)
	if len(v.published) == 0 || v.published[0].First() != 21 { // 21 s to 30 s
		t.Errorf("published %v", v.spans())
	}
	v.check(t, 21, 32)
}

func TestAfterAnErrorTheLastTenSecondsAreSentAgain(t *testing.T) {
	s := open(t, options(t.TempDir()))
	v := newServer()
	run(t, s, v.publish)
	for range 30 {
		put(t, s, 1, 10)
		caught(t, s)
	}
	fails := 2
	v.mu.Lock()
	v.published = nil
	v.fail = func(*bus.Batch) error {
		if fails--; fails >= 0 {
			return errAway
		}
		return nil
	}
	v.mu.Unlock()
	put(t, s, 1, 10)
	caught(t, s)
	v.check(t, 1, 31)
	equal(t, "published", v.spans(), [][2]uint64{{21, 31}})
}

// A bus that fails every second time, with many batches in 10 s.
func TestResendingDoesNotKeepTheSenderForEver(t *testing.T) {
	s := open(t, options(t.TempDir()))
	v := newServer()
	calls := 0
	v.fail = func(*bus.Batch) error {
		if calls++; calls%2 == 0 {
			return errAway
		}
		return nil
	}
	for i := range uint64(300) {
		b := batch(i+1, float64(i+1), 10)
		b.Series[0].Samples[0].T = base + int64(i) // all within 10 s
		if err := s.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	run(t, s, v.publish)
	caught(t, s)
}

func TestErrorsDelayAndLoseNothing(t *testing.T) {
	s := open(t, options(t.TempDir()))
	v := newServer()
	publish := func(ctx context.Context, b *bus.Batch) error {
		if rand.N(10) == 0 {
			return errAway
		}
		if err := v.publish(ctx, b); err != nil {
			return err
		}
		if rand.N(10) == 0 {
			return context.DeadlineExceeded // carried out, but the reply is lost
		}
		return nil
	}
	run(t, s, publish)
	for range 100 {
		put(t, s, 1+rand.N(3), 10)
		time.Sleep(time.Millisecond)
	}
	caught(t, s)
	v.check(t, 1, int(s.NextSeq()-1))
}

func TestNotStoredIsAcknowledged(t *testing.T) {
	s := open(t, options(t.TempDir()))
	var calls atomic.Int64
	put(t, s, 1, 10)
	run(t, s, func(context.Context, *bus.Batch) error {
		calls.Add(1)
		return fmt.Errorf("full: %w", bus.ErrNotStored)
	})
	caught(t, s)
	if n := calls.Load(); n != 1 || s.Dropped() != 0 {
		t.Errorf("published %d times, dropped %d", n, s.Dropped())
	}
}

func TestARefusedBatchCostsTheOthersNothing(t *testing.T) {
	for _, refusal := range []error{fmt.Errorf("400: %w", bus.ErrRefused), bus.ErrTooLarge} {
		s := open(t, options(t.TempDir()))
		put(t, s, 10, 10)
		v := newServer()
		v.fail = func(b *bus.Batch) error {
			if b.First() <= 4 && 4 <= b.Seq {
				return refusal
			}
			return nil
		}
		send(t, s, v)
		equal(t, "missing", v.missing, []uint64{4})
		if len(v.values) != 9 || s.Dropped() != 1 {
			t.Errorf("%d arrived, %d dropped", len(v.values), s.Dropped())
		}
	}
}

func TestABatchThatCannotBeDecodedIsDroppedAlone(t *testing.T) {
	o := options(t.TempDir())
	s := open(t, o)
	put(t, s, 10, 10)
	shut(t, s)
	o.Decode = func(b []byte) (*bus.Batch, error) {
		batch, err := decode(b)
		if err == nil && batch.Series[0].Samples[0].V == 4 {
			return nil, errors.New("unknown")
		}
		return batch, err
	}
	s = open(t, o)
	v := newServer()
	send(t, s, v)
	equal(t, "missing", v.missing, []uint64{4})
	if len(v.values) != 9 || s.Dropped() != 1 {
		t.Errorf("%d arrived, %d dropped", len(v.values), s.Dropped())
	}
}

// What waits is kept for whoever puts the bus right.
func TestRunEndsWithABusThatIsUnusable(t *testing.T) {
	s := open(t, options(t.TempDir()))
	put(t, s, 3, 10)
	unusable := fmt.Errorf("too old: %w", bus.ErrUnusable)
	if err := s.Run(t.Context(), func(context.Context, *bus.Batch) error { return unusable }); !errors.Is(err, bus.ErrUnusable) {
		t.Errorf("Run returned %v", err)
	}
	if n := s.Waiting(); n != 3 {
		t.Errorf("%d wait", n)
	}
	v := newServer()
	send(t, s, v)
	v.check(t, 1, 3)
}
