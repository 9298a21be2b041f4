package live

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"stripchart/internal/wire"
)

// rootVisitor is a page of namespace /: it is owed every sample that is newer than all
// before it.
type rootVisitor struct {
	w    *world
	name string
	rng  *rand.Rand
	at   *replica
	hub  *Hub
	line *line

	joined, last int64
	held         map[int64]float64
	gaps         [][2]int64 // that it was told of
}

func newRootVisitor(w *world, name string, rng *rand.Rand) *rootVisitor {
	return &rootVisitor{w: w, name: name, rng: rng}
}

// act lives until rest is closed. Most pages stay, some come again at any moment.
func (p *rootVisitor) act(rest <-chan struct{}) {
	for {
		p.connect()
		select {
		case <-rest:
			p.connect()
			return
		case <-time.After(time.Duration(p.rng.IntN(20_000)) * time.Millisecond):
		}
		switch p.rng.IntN(3) {
		case 0: // another joins in the moment of a flush
			p.leave()
			select {
			case <-p.w.rootWritten:
			case <-time.After(time.Second):
			}
			time.Sleep(time.Duration(p.rng.IntN(40)) * time.Millisecond)
		case 1:
			p.line.stall(true)
			time.Sleep(time.Duration(p.rng.IntN(500)) * time.Millisecond)
			p.line.stall(false)
		}
	}
}

func (p *rootVisitor) connect() {
	if p.line != nil && p.at.is(p.hub) {
		return
	}
	p.leave()
	for p.line == nil {
		r := p.w.servers[p.rng.IntN(len(p.w.servers))]
		if !r.mu.TryRLock() {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		p.at, p.hub, p.line = r, r.hub, &line{take: p.take}
		p.line.client = p.hub.NewClient(p.line)
		p.held = nil
		p.line.client.JoinRoot()
		r.mu.RUnlock()
	}
}

func (p *rootVisitor) leave() {
	if p.line != nil {
		p.line.end()
		p.line = nil
	}
}

func (p *rootVisitor) take(f *fakePacket) {
	if f.event == wire.EventGap {
		var g struct{ From, To string }
		if err := json.Unmarshal(f.arg, &g); err != nil {
			p.w.fault("wire", "%s: %s: %v", p.name, f.arg, err)
		}
		p.gaps = append(p.gaps, [2]int64{p.ms(g.From), p.ms(g.To)})
		return
	}
	var m struct {
		X []string
		Y []*float64
	}
	if err := json.Unmarshal(f.arg, &m); err != nil || len(m.X) != len(m.Y) {
		p.w.fault("wire", "%s: %s: %v", p.name, f.arg, err)
		return
	}
	if f.event == wire.EventBootstrap {
		p.held, p.last, p.joined, p.gaps = map[int64]float64{}, math.MinInt64, ms(), nil
	} else if p.held == nil {
		p.w.fault("wire", "%s: an update before the bootstrap", p.name)
		return
	}
	for i, x := range m.X {
		t := p.ms(x)
		if m.Y[i] == nil {
			p.w.fault("wire", "%s: no value at %s", p.name, x)
			continue
		}
		if t <= p.last {
			p.w.fault("order", "%s: %d after %d", p.name, t, p.last)
		}
		p.last = max(p.last, t)
		p.held[t] = *m.Y[i]
	}
}

func (p *rootVisitor) judge(report func(sort, format string, args ...any)) {
	if p.line == nil {
		report("root", "%s is not connected", p.name)
		return
	}
	p.line.mu.Lock()
	defer p.line.mu.Unlock()
	p.w.ledger.mu.Lock()
	defer p.w.ledger.mu.Unlock()
	if p.held == nil {
		report("root", "%s was not bootstrapped", p.name)
		return
	}
	account := p.w.ledger.series[seriesLabels(0, 0).String()]
	newest := int64(math.MinInt64)
	lacks := 0
	for _, x := range p.w.ledger.root {
		if x.T <= newest {
			continue // late: left out
		}
		newest = x.T
		p.w.ledger.judged++
		v, there := p.held[x.T]
		switch {
		case there && v != x.V && !(p.inGap(x.T) && account.had(x.T, v)):
			report("root", "%s: %d is %v, not %v", p.name, x.T, v, x.V)
		case !there && x.T > p.joined-time.Hour.Milliseconds() && !p.inGap(x.T):
			if lacks++; lacks <= 3 {
				report("root", "%s lacks the sample of %d; it joined at %d", p.name, x.T, p.joined)
			}
		}
	}
	for t := range p.held {
		if _, found := slices.BinarySearch(account.times, t); !found {
			report("foreign", "%s: %d was never acknowledged", p.name, t)
		}
	}
}

// inGap reports whether the page was told that a sample may be missing.
func (p *rootVisitor) inGap(t int64) bool {
	return slices.ContainsFunc(p.gaps, func(g [2]int64) bool { return g[0] < t && t < g[1] })
}

// ms reads a time of the wire.
func (p *rootVisitor) ms(x string) int64 {
	at, err := time.Parse("2006-01-02 15:04:05", x) // takes a fraction, too
	if err != nil {
		p.w.fault("wire", "%s: %v", p.name, err)
	}
	return at.UnixMilli()
}
