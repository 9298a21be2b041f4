package collect

import "time"

// maxSleep is the longest sleep before the wall clock is looked at again. A
// sleep does not notice that the clock was set; with an interval of an hour
// the ticks would follow it an hour late.
const maxSleep = time.Second

// schedule computes the next tick. It is pure: its caller passes the wall clock's time, in
// nanoseconds since the Unix epoch, so tests can use a clock that jumps.
type schedule struct {
	interval int64 // ns
	next     int64 // the next tick, a multiple of interval
}

// newSchedule returns a schedule whose first tick is the first after now.
func newSchedule(interval time.Duration, now int64) *schedule {
	s := &schedule{interval: int64(interval)}
	s.align(now)
	return s
}

// align makes the first tick after now the next one.
func (s *schedule) align(now int64) {
	s.next = (now/s.interval + 1) * s.interval
}

// due reports whether the time of the next tick has come, and which tick that
// is. A tick that is late by less than an interval still counts as itself. One
// that is later is skipped, with all ticks up to now; skipped is their number. A process
// that was stopped and a clock that was set forward look alike, and the response to both is
// to align again.
func (s *schedule) due(now int64) (tick int64, ok bool, skipped int64) {
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

// sleep is how long to sleep before asking due again: not at all when the next
// tick's time has already come.
func (s *schedule) sleep(now int64) time.Duration {
	return min(max(0, time.Duration(s.next-now)), maxSleep)
}
