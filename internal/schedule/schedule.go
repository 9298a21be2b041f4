// Package schedule says when the ticks of something periodic are due: at the multiples of its interval since the
// Unix epoch, so that hosts measure together and nothing drifts.
package schedule

import "time"

// maxSleep is the longest sleep before the wall clock is looked at again. A
// sleep does not notice that the clock was set; with an interval of an hour
// the ticks would follow it an hour late.
const maxSleep = time.Second

// Schedule computes the next tick. It is pure: its caller passes the wall clock's time, in
// nanoseconds since the Unix epoch, so tests can use a clock that jumps.
type Schedule struct {
	interval int64 // ns
	next     int64 // the next tick, a multiple of interval
}

// New returns a schedule whose first tick is the first after now.
func New(interval time.Duration, now int64) *Schedule {
	s := &Schedule{interval: int64(interval)}
	s.align(now)
	return s
}

// align makes the first tick after now the next one.
func (s *Schedule) align(now int64) {
	s.next = (now/s.interval + 1) * s.interval
}

// Due reports whether the time of the next tick has come, and which tick that
// is. A tick that is late by less than an interval still counts as itself. One
// that is later is skipped, with all ticks up to now; skipped is their number. A process
// that was stopped and a clock that was set forward look alike, and the response to both is
// to align again.
func (s *Schedule) Due(now int64) (tick int64, ok bool, skipped int64) {
	switch late := now - s.next; {
	case late < -s.interval: // the clock was set back
		s.align(now)
		return 0, false, 0
	case late < 0:
		return 0, false, 0
	case late >= s.interval:
		missed := s.next
		s.align(now)
		return 0, false, (s.next - missed) / s.interval
	default:
		tick = s.next
		s.next += s.interval
		return tick, true, 0
	}
}

// Sleep is how long to sleep before asking Due again: not at all when the next
// tick's time has already come.
func (s *Schedule) Sleep(now int64) time.Duration {
	return min(max(0, time.Duration(s.next-now)), maxSleep)
}
