package socketio

import "time"

// bucket limits the rate of messages: it holds up to two seconds' worth.
type bucket struct {
	used float32 // messages not yet worn off
	last int64   // Unix nanoseconds
}

// allow takes one message; false if that exceeds perSecond in the long run.
func (b *bucket) allow(now time.Time, perSecond int) bool {
	t := now.UnixNano()
	if elapsed := t - b.last; elapsed > 0 {
		b.used = max(0, b.used-float32(float64(elapsed)/1e9*float64(perSecond)))
		b.last = t
	}
	if b.used+1 > 2*float32(perSecond) {
		return false
	}
	b.used++
	return true
}

// admission counts connections against the bounds. Server.mu guards it.
type admission struct {
	total  int
	byAddr map[string]int
}

func (a *admission) enter(addr string, maxTotal, maxPerAddr int) error {
	switch {
	case a.total >= maxTotal:
		return errTooManyConns
	case a.byAddr[addr] >= maxPerAddr:
		return errTooManyOfAddr
	}
	a.total++
	a.byAddr[addr]++
	return nil
}

func (a *admission) leave(addr string) {
	a.total--
	if a.byAddr[addr]--; a.byAddr[addr] == 0 {
		delete(a.byAddr, addr)
	}
}
