package schedule

import (
	"testing"
	"time"
)

func TestTicksAreMultiplesOfTheIntervalSinceTheEpoch(t *testing.T) {
	for _, interval := range []time.Duration{50 * time.Millisecond, 70 * time.Millisecond, time.Second, 7 * time.Second, time.Hour} {
		now := time.Date(2026, 3, 4, 5, 6, 7, 89_123_456, time.UTC).UnixNano()
		s := New(interval, now)
		last := now
		for range 1000 {
			now = s.next + 3e6 // timers are a little late
			tick, ok, skipped := s.Due(now)
			if !ok || skipped != 0 {
				t.Fatalf("%v: at its time plus 3 ms the tick is not due", interval)
			}
			if tick%int64(interval) != 0 {
				t.Fatalf("%v: tick %d is not aligned", interval, tick)
			}
			if d := tick - last; d <= 0 || d > int64(interval) {
				t.Fatalf("%v: tick %d comes %d ns after %d", interval, tick, d, last)
			}
			last = tick
		}
	}
}

func TestScheduleFollowsTheWallClock(t *testing.T) {
	const s = int64(time.Second)
	// In every case the clock shows 100.4 s at first, so the tick at 101 s is next.
	for _, c := range []struct {
		name    string
		now     int64
		tick    int64 // 0: not due
		next    int64
		skipped int64
	}{
		{"too early", 100*s + 999e6, 0, 101 * s, 0},
		{"on time", 101 * s, 101 * s, 102 * s, 0},
		{"late, but no whole interval", 101*s + 999e6, 101 * s, 102 * s, 0},
		{"late by an interval", 102 * s, 0, 103 * s, 2},
		{"suspended for an hour", 3700*s + 5e8, 0, 3701 * s, 3600},
		{"clock set back by half an interval: the tick is waited for", 100*s + 1e8, 0, 101 * s, 0},
		{"clock set back by a minute", 41*s + 2e8, 0, 42 * s, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			sched := New(time.Second, 100*s+4e8)
			tick, ok, skipped := sched.Due(c.now)
			if tick != c.tick || ok != (c.tick != 0) || skipped != c.skipped {
				t.Errorf("due(%d) = %d, %v, %d; want %d and %d skipped", c.now, tick, ok, skipped, c.tick, c.skipped)
			}
			if sched.next != c.next {
				t.Errorf("next tick is %d, want %d", sched.next, c.next)
			}
		})
	}
}

func TestLongIntervalsLookAtTheClockEverySecond(t *testing.T) {
	s := New(time.Hour, 0)
	if got := s.Sleep(1); got != maxSleep {
		t.Errorf("sleeps %v an hour before the tick, want %v", got, maxSleep)
	}
	if got := s.Sleep(s.next - 5e6); got != 5*time.Millisecond {
		t.Errorf("sleeps %v 5 ms before the tick", got)
	}
	if got := s.Sleep(s.next + 1); got != 0 {
		t.Errorf("sleeps %v after the tick", got)
	}
}
