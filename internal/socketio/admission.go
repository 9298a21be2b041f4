package socketio

import (
	"container/list"
	"strings"
)

// admission counts connections against the bounds. Server.mu guards it.
//
// A handshake over polling costs a client nothing, not even a TCP connection. So polling
// sessions that are not connected to a namespace yet, the joining ones, have bounds of their
// own. At the bound the oldest joining session is ended for the next one, so that no number
// of handshakes can keep other clients out.
type admission struct {
	all, ofAddr limits

	total   int
	byAddr  map[string]*address
	joining list.List               // of *Conn, oldest first
	places  map[*Conn]*list.Element // in joining
}

// limits bound connections, and the joining ones among them.
type limits struct{ conns, joining int }

// limitsFor allows a tenth of n connections to be joining, or 100, or half of n,
// whichever fits a small n.
func limitsFor(n int) limits {
	tenth := min(n, defaultMaxConns) / 10
	return limits{conns: n, joining: min(max(tenth, 100), max(n/2, 1))}
}

func newAdmission(cfg Config) admission {
	return admission{
		all: limitsFor(cfg.MaxConns), ofAddr: limitsFor(cfg.MaxConnsPerAddr),
		byAddr: map[string]*address{}, places: map[*Conn]*list.Element{},
	}
}

// address is one Session.Address that has connections. They share it, because behind a
// proxy many connections have the same one.
type address struct {
	name           string
	conns, joining int
}

// enter reserves a place for a connection of an address.
func (a *admission) enter(name string) (*address, error) {
	addr := a.byAddr[name]
	switch {
	case a.total >= a.all.conns:
		return nil, errTooManyConns
	case addr != nil && addr.conns >= a.ofAddr.conns:
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

// leave frees a place.
func (a *admission) leave(addr *address) {
	a.total--
	if addr.conns--; addr.conns == 0 {
		delete(a.byAddr, addr.name)
	}
}

// join adds a session to the joining ones. displaced, if not nil, was removed from them, and
// the caller must end it.
func (a *admission) join(c *Conn) (displaced *Conn) {
	switch {
	case c.addr.joining >= a.ofAddr.joining:
		displaced = a.oldestOf(c.addr)
	case a.joining.Len() >= a.all.joining:
		displaced = a.oldestOf(nil)
	}
	a.joined(displaced)
	a.places[c] = a.joining.PushBack(c)
	c.addr.joining++
	return displaced
}

// joined removes a connection from the joining ones, if it is one.
func (a *admission) joined(c *Conn) {
	if e := a.places[c]; e != nil {
		a.joining.Remove(e)
		delete(a.places, c)
		c.addr.joining--
	}
}

// oldestOf returns the oldest joining session of an address; of all addresses for nil.
func (a *admission) oldestOf(addr *address) *Conn {
	for e := a.joining.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*Conn); addr == nil || c.addr == addr {
			return c
		}
	}
	return nil
}
