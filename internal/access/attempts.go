package access

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// attemptsAtOnce is how many failed attempts to sign in an address has, and
	// attemptEvery after what time it has another one.
	attemptsAtOnce = 10
	attemptEvery   = 6 * time.Second
	// maxAddresses bounds the addresses that are remembered. At the bound the one that failed
	// longest ago is forgotten: others cannot keep an address out by filling the table.
	maxAddresses = 4096
)

// Attempts bounds the failed attempts to sign in of each address. A token cannot be guessed;
// the bound keeps strangers from making work and noise.
type Attempts struct {
	now func() time.Time

	mu      sync.Mutex
	of      map[netip.Addr]*list.Element
	order   list.List // of *attempts, the one that failed longest ago first
	refused prometheus.Counter
}

// attempts are the failed ones of an address.
type attempts struct {
	address netip.Addr
	used    float64 // of attemptsAtOnce
	at      time.Time
}

// NewAttempts returns Attempts without any.
func NewAttempts() *Attempts {
	return &Attempts{now: time.Now, of: map[netip.Addr]*list.Element{}, refused: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "stripchart_sign_in_refused_total", Help: "Attempts to sign in with a wrong token that were answered 429, because too many from the same address had failed.",
	})}
}

// Wait returns how long an address has to wait for its next attempt; 0: not at all.
func (a *Attempts) Wait(address netip.Addr) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.of[address]
	if e == nil {
		return 0
	}
	x := e.Value.(*attempts)
	left := x.left(a.now())
	if left+1 <= attemptsAtOnce {
		return 0
	}
	a.refused.Inc()
	return time.Duration((left + 1 - attemptsAtOnce) * float64(attemptEvery))
}

// left is how much of x is not worn off.
func (x *attempts) left(now time.Time) float64 {
	return max(0, x.used-float64(now.Sub(x.at))/float64(attemptEvery))
}

// Failed counts a failed attempt.
func (a *Attempts) Failed(address netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	e := a.of[address]
	if e == nil {
		if len(a.of) >= maxAddresses {
			oldest := a.order.Front()
			delete(a.of, a.order.Remove(oldest).(*attempts).address)
		}
		e = a.order.PushBack(&attempts{address: address, at: now})
		a.of[address] = e
	}
	a.order.MoveToBack(e)
	x := e.Value.(*attempts)
	x.used, x.at = x.left(now)+1, now
}

var addressesDesc = prometheus.NewDesc("stripchart_sign_in_addresses", "Addresses whose failed attempts to sign in are remembered, at most 4096.", nil, nil)

// Describe implements prometheus.Collector.
func (a *Attempts) Describe(out chan<- *prometheus.Desc) {
	out <- addressesDesc
	a.refused.Describe(out)
}

// Collect implements prometheus.Collector.
func (a *Attempts) Collect(out chan<- prometheus.Metric) {
	a.mu.Lock()
	n := len(a.of)
	a.mu.Unlock()
	out <- prometheus.MustNewConstMetric(addressesDesc, prometheus.GaugeValue, float64(n))
	a.refused.Collect(out)
}
