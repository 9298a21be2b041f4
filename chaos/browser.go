package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"stripchart/internal/socketio/siotest"
	"stripchart/internal/wire"
)

// browser is a connection with a viewer in each of its rooms. After every loss it comes
// back, to the same or to another server. A restless one leaves rooms and comes back
// with the position that it had, changes windows and points, and connects anew, at any
// moment.
type browser struct {
	name      string
	addresses []string // of servers; the first is tried first
	viewers   []*viewer
	restless  bool

	mu     sync.Mutex // guards what follows
	rests  bool       // it stays in its rooms, and returns to the rooms that it has left
	counts counts
}

var errOnPurpose = errors.New("the page was loaded elsewhere")

// watch watches until ctx ends.
func (b *browser) watch(ctx context.Context) {
	at, failures := 0, 0
	for ctx.Err() == nil {
		began := time.Now()
		address := b.addresses[at%len(b.addresses)]
		err := b.visit(ctx, address)
		for _, v := range b.viewers {
			v.mu.Lock()
			v.addNote("%s left %s after %v: %v", time.Now().Format("15:04:05.000"), address, time.Since(began).Round(time.Millisecond), err)
			v.mu.Unlock()
		}
		if time.Since(began) > 2*time.Second {
			failures = 0
		}
		failures++
		// As often to the same server as to the next one.
		if rand.IntN(2) == 0 {
			at++
			if len(b.addresses) > 1 {
				b.count("connections to another server", 1)
			}
		}
		pause := min(100*time.Millisecond<<min(failures, 5), 2*time.Second)
		pause = pause/2 + rand.N(pause/2)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (b *browser) count(what string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.counts == nil {
		b.counts = counts{}
	}
	b.counts[what] += n
}

// rest has a restless browser stay in all its rooms, or not.
func (b *browser) rest(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rests = on
}

func (b *browser) isResting() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rests
}

// visit connects once and stays until the connection is lost.
func (b *browser) visit(ctx context.Context, address string) error {
	s, err := dial(ctx, address, live)
	if err != nil {
		return err
	}
	defer s.Close()
	defer context.AfterFunc(ctx, s.Close)()
	rooms := make([]*room, len(b.viewers))
	for i, v := range b.viewers {
		rooms[i] = &room{viewer: v}
		if err := rooms[i].enter(s); err != nil {
			return err
		}
	}
	next := time.Now().Add(rand.N(6 * time.Second))
	for {
		p, err := s.Next()
		if err != nil {
			return err
		}
		if r := owner(rooms, p); r != nil {
			if err := r.handle(p, address); err != nil {
				return err
			}
		}
		switch {
		case !b.restless:
		case b.isResting():
			for _, r := range rooms {
				if r.away {
					if err := b.back(s, r); err != nil {
						return err
					}
				}
			}
		case time.Now().After(next):
			next = time.Now().Add(rand.N(4 * time.Second))
			if err := b.act(s, rooms); err != nil {
				return err
			}
		}
	}
}

// owner returns the room that a packet is for, or nil.
func owner(rooms []*room, p siotest.Packet) *room {
	var of struct{ Room string }
	if p.Event != "" && json.Unmarshal(p.Arg, &of) != nil {
		return rooms[0] // its take reports the error in the packet
	}
	for _, r := range rooms {
		if p.Event == "" && p.ID == r.answer || p.Event != "" && of.Room != "" && of.Room == r.id {
			return r
		}
	}
	if len(rooms) == 1 && of.Room != "" {
		return rooms[0] // a room that it did not ask for
	}
	return nil
}

// handle handles a packet of the room's.
func (r *room) handle(p siotest.Packet, address string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.take(p)
	var refusal *wire.Error
	if err != nil && !errors.As(err, &refusal) && r.broken == nil {
		r.broken = fmt.Errorf("%s at %s: %w", r.name, address, err)
	}
	return err
}

// act does one of the things that a restless page does at an unexpected moment.
func (b *browser) act(s *siotest.Client, rooms []*room) error {
	r := rooms[rand.IntN(len(rooms))]
	switch n := rand.IntN(6); {
	case r.away:
		return b.back(s, r)
	case r.parts > 0 || r.id == "": // its bootstrap is under way
		return nil
	case n == 0:
		b.count("connections given up for another", 1)
		return errOnPurpose
	case n < 3 && r != rooms[0]: // the first keeps the connection busy
		b.count("rooms left", 1)
		_, err := s.Request(wire.EventUnsubscribe, wire.Unsubscribe{Room: r.id})
		r.away, r.id = true, ""
		return err
	case n < 5:
		b.count("windows or points changed", 1)
		r.mu.Lock()
		r.window = []time.Duration{30 * time.Second, window}[rand.IntN(2)]
		r.points = []int{200, points}[rand.IntN(2)]
		if r.crowded {
			r.window, r.points = crowdWindow, points
		}
		r.position = ""
		r.mu.Unlock()
		return r.enter(s)
	}
	return nil
}

// back enters a room again that the browser has left.
func (b *browser) back(s *siotest.Client, r *room) error {
	b.count("rooms resumed", 1)
	return r.enter(s)
}

// enter subscribes, from the position that was reached.
func (r *room) enter(s *siotest.Client) error {
	r.mu.Lock()
	seconds, n := r.window.Seconds(), r.points
	request := wire.Subscribe{Query: r.query, Window: &seconds, Points: &n, Since: r.position}
	r.joins++
	r.mu.Unlock()
	id, err := s.Request(wire.EventSubscribe, request)
	r.answer, r.id, r.names, r.parts, r.joined, r.away = id, "", map[int]string{}, 0, false, false
	return err
}
