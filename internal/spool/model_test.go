package spool

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"stripchart/internal/bus"
)

// Anything may happen in any order; the model is a list of what was appended.
func TestWhateverHappensEveryBatchArrivesOrIsMissing(t *testing.T) {
	for round := range 3 {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("%d seed %d", round, seed), func(t *testing.T) {
			random(t, rand.New(rand.NewPCG(seed, 0)))
		})
	}
}

func random(t *testing.T, r *rand.Rand) {
	o := options(t.TempDir())
	o.MaxBytes = MinMaxBytes
	boot := 0
	o.bootID = func() string { return fmt.Sprint("boot ", boot) }
	s := open(t, o)
	v := newServer()
	var (
		appended = map[uint64]bool{}
		dropped  uint64
		stop     = func() {}
		away     = false
		overlaps = 0
		// With a full disk, batches are held, or refused where not even the spare can be
		// written. What is held ends with a kill.
		lift    func()
		refused *bus.Batch
		ended   = map[uint64]bool{}
	)
	makeRoom := func() {
		if lift != nil {
			lift()
		}
		lift = nil
	}
	defer makeRoom()
	publish := func(ctx context.Context, b *bus.Batch) error {
		if overlaps++; overlaps > 1 {
			t.Error("two publishes at once")
		}
		defer func() { overlaps-- }()
		v.mu.Lock()
		down := away
		v.mu.Unlock()
		if down {
			return errAway
		}
		if err := v.publish(ctx, b); err != nil {
			return err
		}
		return nil
	}
	setAway := func(is bool) {
		v.mu.Lock()
		defer v.mu.Unlock()
		away = is
	}
	last := uint64(0)
	add := func(seq uint64) {
		b := batch(seq, float64(seq), r.IntN(15_000))
		if refused != nil {
			b = refused // the same again, and the others after it
		}
		err := s.Append(t.Context(), b)
		if lift != nil && errors.Is(err, ErrNotWritten) {
			refused = b
			return
		}
		if err != nil && (lift == nil || !errors.Is(err, ErrHeld)) {
			t.Fatal(err)
		}
		refused = nil
		appended[b.Seq] = true
		last = b.Seq
	}
	for range 80 {
		switch r.IntN(12) {
		case 0, 1, 2, 3:
			for range r.IntN(20) {
				add(s.NextSeq())
			}
		case 4:
			add(s.NextSeq() + uint64(r.IntN(3)))
		case 5:
			setAway(r.IntN(2) == 0)
		case 6: // the bus works for a while
			stop()
			stop = run(t, s, publish)
			time.Sleep(time.Duration(r.IntN(5)) * time.Millisecond)
		case 7:
			if err := s.Append(t.Context(), batch(last, 0, 1)); !errors.Is(err, ErrSequence) {
				t.Fatalf("number %d again: %v", last, err)
			}
		case 8: // restart
			stop()
			stop = func() {}
			makeRoom() // wlog keeps a goroutine otherwise
			shut(t, s)
			dropped += s.Dropped()
			refused = nil
			if r.IntN(3) == 0 {
				boot++
			}
			s = open(t, o)
			if n := s.NextSeq(); n != last+1 {
				t.Fatalf("next is %d after %d", n, last)
			}
		case 9: // kill, or power loss
			stop()
			stop = func() {}
			s.mu.Lock()
			for _, e := range s.tail.after(max(s.written, s.sent)) {
				ended[e.seq] = true
			}
			s.mu.Unlock()
			makeRoom()
			o.Dir = snapshot(t, o.Dir)
			dropped += s.Dropped()
			shut(t, s)
			refused = nil
			power := r.IntN(3) == 0
			if power {
				boot++
			}
			s = open(t, o)
			if n := s.NextSeq(); !power && n != last+1 || n <= last {
				t.Fatalf("next is %d after %d, power loss %v", n, last, power)
			}
			last = s.NextSeq() - 1 // as if it were in use
		case 10: // the disk gets full: no segment grows any more, and perhaps nothing is written
			makeRoom()
			lift = limitFiles(t, uint64(r.IntN(2)*spareText))
		case 11:
			makeRoom()
		}
	}
	setAway(false)
	makeRoom()
	add(s.NextSeq())
	stop()
	send(t, s, v)
	dropped += s.Dropped()
	if len(v.broken) > 0 {
		t.Errorf("%q", v.broken[:min(5, len(v.broken))])
	}
	missing := map[uint64]bool{}
	for _, n := range v.missing {
		missing[n] = true
	}
	first := ^uint64(0) // a server that has seen nothing of a source declares no gap
	for n := range v.values {
		first = min(first, uint64(n))
	}
	lost := uint64(0)
	for n := range appended {
		_, arrived := v.values[int64(n)]
		if !arrived {
			lost++
		}
		if arrived == missing[n] && n > first {
			t.Errorf("batch %d: arrived %v, declared missing %v", n, arrived, missing[n])
		}
	}
	// After a kill the sent mark lags, and what was sent may be counted as dropped.
	if lost > dropped+uint64(len(ended)) {
		t.Errorf("%d lost, %d counted as dropped, %d were only in memory at a kill", lost, dropped, len(ended))
	}
	for n := range v.values {
		if !appended[uint64(n)] {
			t.Errorf("batch %d was never appended", n)
		}
	}
}
