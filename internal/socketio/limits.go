package socketio

import (
	"strings"
	"time"
)

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
	byAddr map[string]*address
}

// address is one Config.RemoteAddr with connections. They share it, because
// behind a proxy there are many of one.
type address struct {
	name  string
	conns int
}

func (a *admission) enter(name string, maxTotal, maxPerAddr int) (*address, error) {
	addr := a.byAddr[name]
	switch {
	case a.total >= maxTotal:
		return nil, errTooManyConns
	case addr != nil && addr.conns >= maxPerAddr:
		return nil, errTooManyOfAddr
	case addr == nil:
		name = strings.Clone(name) // it may be a part of a longer string
		addr = &address{name: name}
		a.byAddr[name] = addr
	}
	a.total++
	addr.conns++
	return addr, nil
}

func (a *admission) leave(addr *address) {
	a.total--
	if addr.conns--; addr.conns == 0 {
		delete(a.byAddr, addr.name)
	}
}
