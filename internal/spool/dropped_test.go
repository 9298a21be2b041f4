package spool

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"stripchart/internal/bus"
)

// Whoever does not know the numbers before a hole, because it was killed meanwhile, is
// told by the batch behind it what is missing and since when.
func TestTheBatchBehindAHoleSaysWhatWasDropped(t *testing.T) {
	for name, c := range map[string]struct {
		sent   int  // batches before the bus went away
		killed bool // the collector too, once the spool has dropped something
	}{
		"some were sent":                  {10, false},
		"some were sent, then it ended":   {10, true},
		"none was sent":                   {0, false},
		"none was sent, and it has ended": {0, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := options(t.TempDir())
				o.MaxBytes = MinMaxBytes
				s := open(t, o)
				if c.sent > 0 {
					put(t, s, c.sent, 10_000)
					send(t, s, newServer())
					time.Sleep(saveEvery + 2*keepEvery)
				}
				put(t, s, 300, 10_000)
				dropped := s.Dropped()
				if dropped == 0 {
					t.Fatal("nothing was dropped")
				}
				if c.killed {
					time.Sleep(saveEvery + 2*keepEvery)
					dir := snapshot(t, o.Dir)
					shut(t, s)
					o.Dir = dir
					s = open(t, o)
				}
				v := newServer() // knows nothing
				send(t, s, v)
				shut(t, s)
				b := v.published[0]
				after := base + int64(c.sent)*step
				if c.sent == 0 {
					after = base + step - 1 // right before the first
				}
				if b.Dropped != dropped || b.First() != uint64(c.sent)+dropped+1 || b.DroppedAfter != after {
					t.Errorf("batch %d says that %d are missing after %d, want %d after %d", b.First(), b.Dropped, b.DroppedAfter, dropped, after)
				}
				for _, b := range v.published[1:] {
					if b.Dropped > 0 {
						t.Errorf("batch %d says that %d are missing", b.Seq, b.Dropped)
					}
				}
				if len(v.broken) > 0 {
					t.Error(v.broken)
				}
			})
		})
	}
}

// What the bus refuses for good is missing like what the spool dropped.
func TestTheBatchBehindARefusedOneSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, options(t.TempDir()))
		v := newServer()
		v.fail = func(b *bus.Batch) error {
			if b.First() <= 5 && 5 <= b.Seq {
				return errors.Join(bus.ErrRefused, errors.New("of the test"))
			}
			return nil
		}
		put(t, s, 9, 10)
		send(t, s, v)
		shut(t, s)
		said := map[uint64]uint64{}
		for _, b := range v.published {
			if b.Dropped > 0 {
				said[b.First()] = b.Dropped
				if want := base + 4*step; b.DroppedAfter != want {
					t.Errorf("missing after %d, want %d", b.DroppedAfter, want)
				}
			}
		}
		if len(said) != 1 || said[6] != 1 {
			t.Errorf("said to be missing: %v, want one before batch 6", said)
		}
	})
}

// A batch that was taken without some of its samples used up its number: nothing of
// the sequence is missing, and nothing is sent again.
func TestABatchOfWhichSamplesWereRefusedLeavesNoGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, options(t.TempDir()))
		v := newServer()
		put(t, s, 9, 10)
		stop := run(t, s, func(ctx context.Context, b *bus.Batch) error {
			err := v.publish(ctx, b)
			if err == nil && b.First() <= 5 && 5 <= b.Seq {
				return fmt.Errorf("%w: 1 invalid_labels", bus.ErrNotAllWritten)
			}
			return err
		})
		caught(t, s)
		put(t, s, 3, 10)
		caught(t, s)
		stop()
		v.check(t, 1, 12)
		for _, b := range v.published {
			if b.Dropped > 0 {
				t.Errorf("batch %d says that %d before it are missing", b.Seq, b.Dropped)
			}
		}
		if n := s.Dropped(); n != 0 {
			t.Errorf("%d batches count as dropped", n)
		}
		if n := testutil.ToFloat64(s.metrics.partly); n != 9 { // one merged batch had them all
			t.Errorf("%v batches count as refused in part", n)
		}
	})
}
