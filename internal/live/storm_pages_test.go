package live

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/wire"
)

// tab is a page with several rooms on one connection.
type tab struct {
	w     *world
	name  string
	rng   *rand.Rand
	at    *replica
	hub   *Hub
	line  *line // nil: not connected
	stays []*stay
}

func newTab(w *world, name string, rng *rand.Rand) *tab { return &tab{w: w, name: name, rng: rng} }

// queries are those of the rooms there are.
var queries = []string{
	`m{source="0"}`, `m{source="1"}`, `m{source="2"}`, `m{source="10"}`, `m{source="11"}`, `m{n="1"}`,
	`m{n="1",source="0"}`, `m{n="2",source="1"}`, `m{n="0",source="11"}`,
}

func parsed(query string) func(labels.Labels) bool {
	sel, err := parseSelector(query)
	if err != nil {
		panic(err)
	}
	return func(ls labels.Labels) bool { return matches(sel.matchers, ls) }
}

// newStay draws a room.
func (p *tab) newStay() *stay {
	s := &stay{who: p.name, window: 900 * time.Second, points: 20_000, samples: map[string]map[int64]float64{}}
	s.query = queries[p.rng.IntN(len(queries))]
	if p.w.kinds[kindCrowded] && p.rng.IntN(2) == 0 {
		s.query, s.crowded = "c", true
	}
	s.matches = parsed(s.query)
	p.drawWindow(s)
	return s
}

func (p *tab) drawWindow(s *stay) {
	if p.w.kinds[kindWindows] {
		s.window = []time.Duration{10 * time.Second, 100 * time.Second, 900 * time.Second}[p.rng.IntN(3)]
		s.points = []int{40, 400, 20_000}[p.rng.IntN(3)]
	}
	if s.crowded {
		s.window = min(s.window, 30*time.Second)
	}
}

// act lives until rest is closed, and then has the page in all its rooms.
func (p *tab) act(rest <-chan struct{}) {
	for {
		p.connect()
		select {
		case <-rest:
			p.connect()
			return
		case <-time.After(time.Duration(p.rng.IntN(3000)) * time.Millisecond):
		}
		if len(p.stays) == 0 || p.rng.IntN(12) == 0 && len(p.stays) < 4 {
			p.open()
			continue
		}
		s := p.stays[p.rng.IntN(len(p.stays))]
		switch p.rng.IntN(10) {
		case 0: // stall
			p.line.stall(true)
			p.sleep(rest, time.Duration(p.rng.IntN(5000))*time.Millisecond)
			p.line.stall(false)
		case 1, 2: // the connection is lost
			p.disconnect()
			p.sleep(rest, p.absence())
		case 3: // leave, and come back
			p.unsubscribe(s)
			p.sleep(rest, p.absence())
			p.connect()
			back, since := false, ""
			p.locked(func() { back, since = s.in, s.position })
			if !back {
				p.subscribe(s, since)
			}
		case 4: // other windows and points, which is a bootstrap anew
			p.locked(func() { p.drawWindow(s) })
			p.subscribe(s, "")
		case 5: // reload
			p.disconnect()
			for _, s := range p.stays {
				s.forget()
			}
		case 6: // leave for good
			p.unsubscribe(s)
			p.locked(func() { p.stays = slices.DeleteFunc(p.stays, func(x *stay) bool { return x == s }) })
		}
	}
}

// locked changes the page while nothing is taken.
func (p *tab) locked(change func()) {
	if p.line != nil {
		p.line.mu.Lock()
		defer p.line.mu.Unlock()
	}
	change()
}

// absence is how long a page is away.
func (p *tab) absence() time.Duration {
	if p.w.kinds[kindAway] && p.rng.IntN(4) == 0 {
		return time.Duration(10+p.rng.IntN(600)) * time.Second
	}
	return time.Duration(p.rng.IntN(300)) * time.Millisecond
}

// sleep sleeps, but not beyond rest.
func (p *tab) sleep(rest <-chan struct{}, d time.Duration) {
	select {
	case <-rest:
	case <-time.After(d):
	}
}

// open goes into another room.
func (p *tab) open() {
	s := p.newStay()
	for _, other := range p.stays {
		if other.query == s.query {
			return
		}
	}
	p.locked(func() { p.stays = append(p.stays, s) })
	p.subscribe(s, "")
}

// connect connects, unless it is to a server that lives, and resumes everywhere.
func (p *tab) connect() {
	for p.line == nil || !p.at.is(p.hub) {
		p.disconnect()
		r := p.w.servers[p.rng.IntN(len(p.w.servers))]
		if !r.mu.TryRLock() { // it is restarting
			time.Sleep(10 * time.Millisecond)
			continue
		}
		p.at, p.hub, p.line = r, r.hub, &line{take: p.take}
		p.line.client = p.hub.NewClient(p.line)
		r.mu.RUnlock()
		for _, s := range p.stays {
			p.subscribe(s, s.position)
		}
	}
}

// is reports whether the server's hub is h, and not one after a restart.
func (r *replica) is(h *Hub) bool {
	if !r.mu.TryRLock() {
		return false
	}
	defer r.mu.RUnlock()
	return r.hub == h
}

func (p *tab) disconnect() {
	if p.line == nil {
		return
	}
	p.line.end()
	p.line = nil
	for _, s := range p.stays {
		s.left()
	}
}

func (p *tab) leave() { p.disconnect() }

func (p *tab) unsubscribe(s *stay) {
	if p.line == nil {
		return
	}
	arg := []byte(nil)
	p.locked(func() {
		arg, _ = json.Marshal(wire.Unsubscribe{Room: s.room})
		s.left()
	})
	p.line.client.Unsubscribe(arg, nil)
}

// subscribe enters the room and waits for the answer. A server that is about to end
// refuses, and the page tries another.
func (p *tab) subscribe(s *stay, since string) {
	if p.line == nil {
		return
	}
	arg, _ := json.Marshal(map[string]any{"query": s.query, "window": s.window.Seconds(), "points": s.points, "since": since})
	answered := make(chan bool, 1)
	l := p.line
	l.mu.Lock()
	s.enters(since)
	l.mu.Unlock()
	l.client.Subscribe(arg, func(b []byte) {
		var a struct {
			wire.Subscribed
			Error *wire.Error `json:"error"`
		}
		err := json.Unmarshal(b, &a)
		l.mu.Lock()
		defer l.mu.Unlock()
		if err != nil || a.Error != nil && a.Error.Code != wire.CodeNotReady && a.Error.Code != wire.CodeOverloaded {
			p.w.fault("answer", "%s: subscribe %s: %s", p.name, arg, b)
		}
		if a.OK {
			s.room, s.in, s.matched = a.Room, true, a.Matched
			if a.Sent > p.w.limit {
				p.w.fault("crowded", "%s: %s sends %d series", p.name, s.query, a.Sent)
			}
		}
		answered <- a.OK
	})
	select {
	case ok := <-answered:
		if !ok {
			p.disconnect()
		}
	case <-time.After(30 * time.Second):
		if p.at.is(p.hub) {
			p.w.fault("answer", "%s: no answer to subscribe %s", p.name, arg)
		}
		p.disconnect()
	}
}

// take takes a packet; line.mu is held.
func (p *tab) take(f *fakePacket) {
	var m struct {
		Room string `json:"room"`
	}
	if err := json.Unmarshal(f.arg, &m); err != nil {
		p.w.fault("wire", "%s: %s is not JSON: %v", p.name, f.event, err)
		return
	}
	for _, s := range p.stays {
		if s.in && s.room == m.Room {
			s.take(p.w, f)
		}
	}
}

// judge compares what the page holds with what it should hold.
func (p *tab) judge(report func(sort, format string, args ...any)) {
	if p.line == nil {
		report("lost", "%s is not connected", p.name)
		return
	}
	p.line.mu.Lock()
	defer p.line.mu.Unlock()
	for _, s := range p.stays {
		s.judge(p.w, report)
		if n, is := p.hub.matchedBy(s.room); is && n != s.matched {
			report("matched", "%s: was told that %d series match %s, and %d do", p.name, s.matched, s.query, n)
		}
	}
}

// matchedBy returns how many series match in a room.
func (h *Hub) matchedBy(room string) (n int, is bool) {
	h.recent.Mu.Lock()
	defer h.recent.Mu.Unlock()
	r := h.audience.rooms.byID[room]
	if r == nil {
		return 0, false
	}
	return r.matched(), true
}
