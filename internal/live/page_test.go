package live

import (
	"encoding/json"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/wire"
)

// fakeTransport encodes to a copy of the bytes and writes in turn.
type fakeTransport struct{}

type fakePacket struct {
	namespace, event string
	arg              []byte

	// Pages share a packet, and decode it once: most of the time of the tests with many pages was
	// spent on that.
	once    sync.Once
	message any // a pointer to one of wire's messages; pages do not change it
	err     error
}

func (fakeTransport) Encode(namespace, event string, arg []byte) Packet {
	return &fakePacket{namespace: namespace, event: event, arg: arg}
}

// decode returns the message of an event that carries samples or a state; nil for others.
func (f *fakePacket) decode() (any, error) {
	f.once.Do(func() {
		switch f.event {
		case wire.EventBootstrap:
			f.message = &wire.Bootstrap{}
		case wire.EventUpdate:
			f.message = &wire.Update{}
		case wire.EventStatus:
			f.message = &wire.Status{}
		default:
			return
		}
		f.err = json.Unmarshal(f.arg, f.message)
	})
	return f.message, f.err
}

func (fakeTransport) Broadcast(out []Outgoing) {
	for i := range out {
		out[i].OK = out[i].Conn.Write(out[i].Packets...)
	}
}

// page is a connection and the page behind it: it holds the samples that it was
// sent, after the upsert, by room and series. It reads unless it is paused.
type page struct {
	t      testing.TB
	client *Client
	bound  int // bytes of the output queue

	mu      sync.Mutex
	cond    *sync.Cond
	queue   []*fakePacket
	queued  int
	refused bool
	paused  bool
	ended   bool

	rooms map[string]*pageRoom
	stats struct{ bootstraps, resumes, slow, lost, updates, refusals int }
	whole int               // bootstraps that replaced what the page held
	other func(*fakePacket) // for events that the page does not know; may be nil
	done  sync.WaitGroup
}

// pageRoom is what a page holds of a room.
type pageRoom struct {
	names    map[int]string // id -> labels
	samples  map[string]map[int64]float64
	newest   map[string]int64
	position string
	booted   bool
	state    string
	more     bool
}

func newPage(t testing.TB, h *Hub, bound int) *page {
	p := &page{t: t, bound: bound, rooms: map[string]*pageRoom{}}
	p.cond = sync.NewCond(&p.mu)
	p.client = h.NewClient(p)
	p.done.Go(p.read)
	return p
}

// Write implements Conn with the rule of the bound.
func (p *page) Write(ps ...Packet) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return false
	}
	if p.queued >= p.bound {
		p.refused = true
		p.stats.refusals++
		return false
	}
	for _, x := range ps {
		f := x.(*fakePacket)
		p.queue = append(p.queue, f)
		p.queued += len(f.arg)
	}
	p.cond.Broadcast()
	return true
}

// Ready implements Conn with the same rule.
func (p *page) Ready() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = p.refused || p.queued >= p.bound
	return !p.ended && p.queued < p.bound
}

func (p *page) pause(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = on
	p.cond.Broadcast()
}

// close ends the connection. What the page holds stays.
func (p *page) close() {
	p.mu.Lock()
	p.ended = true
	p.cond.Broadcast()
	p.mu.Unlock()
	p.done.Wait()
	p.client.Close()
}

func (p *page) read() {
	for {
		p.mu.Lock()
		for !p.ended && (p.paused || len(p.queue) == 0) {
			p.cond.Wait()
		}
		if p.ended {
			p.mu.Unlock()
			return
		}
		f := p.queue[0]
		p.queue = p.queue[1:]
		p.queued -= len(f.arg)
		p.receive(f)
		drained := len(p.queue) == 0 && p.refused
		if drained {
			p.refused = false
		}
		p.mu.Unlock()
		if drained {
			p.client.Drained()
		}
	}
}

// receive does what docs/PROTOCOL.md asks of a client. The caller holds p.mu.
func (p *page) receive(f *fakePacket) {
	m, err := f.decode()
	if err != nil {
		p.t.Errorf("%s is not JSON: %v", f.event, err)
	}
	switch m := m.(type) {
	case *wire.Bootstrap:
		p.bootstrap(m)
	case *wire.Update:
		p.stats.updates++
		r := p.rooms[m.Room]
		if r == nil || !r.booted {
			return // of a subscription that was replaced
		}
		r.learn(m.Series)
		r.add(p.t, m.Blocks)
		for _, id := range m.Gone {
			delete(r.names, id)
		}
		r.position = m.Position
	case *wire.Status:
		if r := p.rooms[m.Room]; r != nil {
			r.state = m.State
		}
	default:
		if p.other != nil {
			p.other(f)
		}
	}
}

func (p *page) bootstrap(m *wire.Bootstrap) {
	p.stats.bootstraps++
	switch m.Reason {
	case wire.ReasonResume:
		p.stats.resumes++
	case wire.ReasonSlow:
		p.stats.slow++
	case wire.ReasonLost:
		p.stats.lost++
	}
	r := p.rooms[m.Room]
	if r == nil {
		r = &pageRoom{}
		p.rooms[m.Room] = r
	}
	if m.From == nil && !r.more {
		p.whole++
		*r = pageRoom{names: map[int]string{}, samples: map[string]map[int64]float64{}, newest: map[string]int64{}, state: wire.StateLive}
	} else if m.From != nil && !r.more {
		if !mayContinue(*m.From, r.position) {
			p.t.Errorf("bootstrap continues from %s, but this page is at %s", *m.From, r.position)
		}
	}
	r.booted, r.more = true, m.More
	r.learn(m.Series)
	r.add(p.t, m.Blocks)
	if m.More == (m.Position != "") {
		p.t.Errorf("a part has more=%v and position %q", m.More, m.Position)
	}
	if m.Position != "" {
		r.position = m.Position
	}
}

// mayContinue reports whether a bootstrap may continue from a position while the page is at
// another. It may be a later one: then nothing of the room came in between. Positions of
// noEpoch hide their epoch, so they have no order.
func mayContinue(from, at string) bool {
	f, err1 := bus.ParsePosition(from)
	a, err2 := bus.ParsePosition(at)
	switch {
	case err1 != nil || err2 != nil || a.IsZero():
		return false
	case f.Epoch == noEpoch || a.Epoch == noEpoch:
		return true
	}
	return f.Epoch == a.Epoch && f.Compare(a.Offset) >= 0
}

func (r *pageRoom) learn(ds []wire.Descriptor) {
	for _, d := range ds {
		r.names[d.ID] = d.Labels.String()
	}
}

// add upserts. A sample that comes twice must be the same.
func (r *pageRoom) add(t testing.TB, blocks []wire.Block) {
	for _, b := range blocks {
		for i, id := range b.IDs {
			name, ok := r.names[id]
			if !ok {
				t.Errorf("samples of id %d, which was not described", id)
				continue
			}
			if r.samples[name] == nil {
				r.samples[name] = map[int64]float64{}
			}
			for k, x := range b.X {
				if old, there := r.samples[name][x]; there && old != b.Y[i][k] {
					t.Errorf("%s at %d was %v and is %v", name, x, old, b.Y[i][k])
				}
				if k > 0 && x <= b.X[k-1] {
					t.Errorf("times of a block do not ascend: %v", b.X)
				}
				r.samples[name][x] = b.Y[i][k]
				r.newest[name] = max(r.newest[name], x)
			}
		}
	}
}

// subscribe joins and returns the answer, once it is there.
func (p *page) subscribe(query string, since string) (wire.Subscribed, error) {
	type answer struct {
		wire.Subscribed
		Error *wire.Error `json:"error"`
	}
	got := make(chan answer, 1)
	arg, _ := json.Marshal(map[string]any{"query": query, "window": 86400, "points": 20000, "since": since})
	p.client.Subscribe(arg, func(b []byte) {
		var a answer
		if err := json.Unmarshal(b, &a); err != nil {
			p.t.Errorf("answer %s: %v", b, err)
		}
		got <- a
	})
	select {
	case a := <-got:
		if !a.OK {
			return a.Subscribed, a.Error
		}
		return a.Subscribed, nil
	case <-time.After(30 * time.Second):
		return wire.Subscribed{}, fmt.Errorf("no answer to subscribe")
	}
}

func (p *page) unsubscribe(room string) {
	arg, _ := json.Marshal(wire.Unsubscribe{Room: room})
	p.client.Unsubscribe(arg, nil)
}

// truth is what was accepted, by series.
type truth map[string]map[int64]float64

func (tr truth) add(ls labels.Labels, t int64, v float64) {
	key := ls.String()
	if tr[key] == nil {
		tr[key] = map[int64]float64{}
	}
	if _, there := tr[key][t]; !there { // the first value wins
		tr[key][t] = v
	}
}

// compare reports how what the page holds of a room differs from want, which
// keep selects by labels.
func (r *pageRoom) compare(want truth, keep func(labels string) bool) error {
	for name, samples := range want {
		if !keep(name) {
			continue
		}
		for t, v := range samples {
			got, ok := r.samples[name][t]
			if !ok {
				return fmt.Errorf("%s lacks %d of %d samples, one at %d", name, len(samples)-len(r.samples[name]), len(samples), t)
			}
			if math.Float64bits(got) != math.Float64bits(v) {
				return fmt.Errorf("%s at %d is %v, not %v", name, t, got, v)
			}
		}
		if len(r.samples[name]) != len(samples) {
			return fmt.Errorf("%s has %d samples, %d were accepted", name, len(r.samples[name]), len(samples))
		}
	}
	for name := range r.samples {
		if !keep(name) {
			return fmt.Errorf("%s is not of this room", name)
		}
	}
	return nil
}
