package live

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"stripchart/internal/apply"
	"stripchart/internal/bus"
	"stripchart/internal/recent"
	"stripchart/internal/wire"
)

// logSide is the follower, as the audience of pages sees it. The audience calls them
// with recent.Log.Mu held.
type logSide interface {
	Standing() apply.Standing
	// GapsIn returns the declared gaps that reach into a span of time, Unix ms.
	GapsIn(from, to int64) []*recent.Gap
	// NotInRing returns the gap of what the ring lacks up to a position, while Standing.Partial.
	NotInRing(to bus.Position) *recent.Gap
	// IsReady reports whether viewers may join. It needs no lock.
	IsReady() bool
	// Left takes a series out of what its source has written: it leaves the index.
	Left(s *recent.Series)
}

// audience is the page side: the rooms, the viewers in them, and what sends to them. Its parts
// have an owner each.
type audience struct {
	recent *recent.Log
	*tasks
	follower  logSide
	o         *Options
	transport Transport
	// defaultSeries is the query of namespace /.
	defaultSeries selector
	log           *slog.Logger
	metrics       *metrics

	clients   clients
	rooms     rooms
	matcher   matcher
	catalogue catalogue
	flusher   flusher
	reader    reader
}

// newAudience returns an audience without the log side, which is set before anything is called.
func newAudience(o *Options, shared *recent.Log, t *tasks) *audience {
	m := newMetrics(o.Registry)
	a := &audience{recent: shared, tasks: t, o: o, transport: o.Transport, log: o.Log, metrics: m}
	a.clients = clients{audience: a, all: map[*Client]struct{}{}}
	a.rooms = rooms{audience: a, byID: map[string]*Room{}}
	a.flusher = flusher{audience: a, wake: make(chan struct{}, 1)}
	a.matcher = matcher{
		recent: shared, tasks: t, metrics: m, left: func(s *recent.Series) { a.follower.Left(s) }, flush: a.flusher.soon,
		searches: map[*search]struct{}{}, compiled: compiled{}, wake: make(chan struct{}, 1),
	}
	a.catalogue = catalogue{audience: a, feeds: map[string]*feed{}, listing: make(chan struct{}, 1)}
	a.reader = reader{audience: a, store: o.Store, reads: o.Store.PageReads()}
	return a
}

// intake is the audience, as the log side sees it.
type intake struct{ *audience }

// Take implements apply.Pages.
func (a intake) Take(e *recent.Entry, at uint64) {
	for i := range e.Parts {
		p := &e.Parts[i]
		for _, x := range p.Series.Members {
			m := x.(*member)
			// IntervalAt is 0 after a change in the first entry, and also while there was no change.
			changed := p.Series.Interval > 0 && p.Series.IntervalAt == at
			m.room.put(m, e.Told(p), changed)
		}
	}
	for _, g := range e.Gaps {
		for _, r := range a.rooms.byID {
			r.tell(g)
		}
	}
	if e.Born {
		a.matcher.soon()
	}
}

// Recorded implements apply.Pages.
func (a intake) Recorded(withheld bool) {
	for _, r := range a.rooms.byID {
		r.shared.recorded(a.recent.Ring.End(), withheld)
	}
	for c := range a.clients.all {
		for _, v := range c.viewers {
			if v.partial || withheld {
				v.beginAnew()
			}
		}
	}
}

// Outdated implements apply.Pages.
func (a intake) Outdated() {
	for _, r := range a.rooms.byID {
		r.shared.expire(a.recent.Ring.End())
	}
}

const watchInterval = 250 * time.Millisecond

// watch does the work that only the clock causes: it updates room states, forgets series, and closes
// rooms without viewers.
func (a *audience) watch() {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-a.ctx.Done():
			return
		case <-ticker.C:
		}
		a.rooms.tellStates()
		if n%4 == 0 {
			a.catalogue.tell()
		}
		if n%40 == 0 {
			now := a.recent.Now()
			a.rooms.tidy(now)
			a.matcher.tidy(now)
		}
	}
}

// encode makes the packet of a message of /live that has no samples.
func (a *audience) encode(event string, message any) Packet {
	b, err := json.Marshal(message)
	if err != nil {
		panic(fmt.Sprintf("live: %s: %v", event, err)) // our own types always have a JSON form
	}
	return a.transport.Encode(NamespaceLive, event, b)
}

// goBackground runs f in a goroutine that Close waits for.
func (a *audience) goBackground(f func()) {
	a.recent.Mu.Lock()
	defer a.recent.Mu.Unlock()
	a.start(f)
}

// bye sends what is pending, then tells every page that the server is about to stop.
func (a *audience) bye(retry time.Duration) {
	a.flusher.await()
	a.recent.Mu.Lock()
	conns := a.clients.greeted()
	a.recent.Mu.Unlock()
	p := a.encode(wire.EventBye, wire.Bye{RetryMS: int(retry.Milliseconds())})
	for _, c := range conns {
		c.Write(p)
	}
}
