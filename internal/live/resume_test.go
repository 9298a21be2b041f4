package live

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/wire"
)

// A page that was away gets what it missed also where nothing was written since: the
// ring forgets an entry no later than the rooms forget the series that it is of.
func TestAPageThatResumesAfterAnIdleTimeLacksNothing(t *testing.T) {
	for idle := 2 * roomLinger; idle < 2*roomLinger+8*time.Minute; idle += 17 * time.Second {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, newMemStore(), nil)
			defer r.stop()
			ls := seriesLabels(0, 0)
			r.put(nil, ls, bus.Sample{T: ms(), V: 1})
			p := newPage(t, r.hub, 1<<20)
			a := p.ask(`{"query":"m","window":900}`)
			away := p.held(a.Room)
			p.close()
			last := ms()
			r.put(nil, ls, bus.Sample{T: last, V: 2}) // the last sample for a long time
			time.Sleep(2 * roomLinger)
			short := newPage(t, r.hub, 1<<20)
			defer short.close()
			short.ask(`{"query":"m","window":10}`) // opens the room anew
			time.Sleep(idle - 2*roomLinger)

			back := newPage(t, r.hub, 1<<20)
			defer back.close()
			back.rooms = map[string]*pageRoom{a.Room: &away}
			back.ask(`{"query":"m","window":900,"since":"` + away.position + `"}`)
			if got := back.held(a.Room).samples[ls.String()]; got[last] != 2 {
				t.Errorf("%v after the last sample a page that resumes holds %v", idle, got)
			}
		})
	}
}

// A bootstrap holds no more values of a series than the page has points for, also
// where it continues from a position.
func TestABootstrapThatContinuesKeepsToThePoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		ls := seriesLabels(0, 0)
		write := func(n int) {
			for range n {
				time.Sleep(10 * time.Millisecond)
				r.put(nil, ls, bus.Sample{T: ms(), V: 1})
			}
		}
		write(1)
		for _, way := range []struct {
			name            string
			missed          int
			resumes, others int // bootstraps: those that continue, and whole ones
		}{{"few", 30, 1, 0}, {"many", 200, 0, 1}} {
			p := newPage(t, r.hub, 1<<20)
			a := p.ask(`{"query":"m","window":100,"points":40}`)
			away := p.held(a.Room)
			p.close()
			write(way.missed)
			back := newPage(t, r.hub, 1<<20)
			back.rooms = map[string]*pageRoom{a.Room: &away}
			back.ask(`{"query":"m","window":100,"points":40,"since":"` + away.position + `"}`)
			back.held(a.Room)
			if back.stats.resumes != way.resumes || back.stats.lost != way.others {
				t.Errorf("%s: a page that missed %d samples got %+v", way.name, way.missed, back.stats)
			}
			back.close()
		}
	})
}

// The same for a page that was too slow: what it missed meanwhile is raw as long as it
// fits into its points.
func TestABootstrapOfASlowPageKeepsToThePoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		ls := seriesLabels(0, 0)
		r.put(nil, ls, bus.Sample{T: ms(), V: 1})
		p := newPage(t, r.hub, 500)
		defer p.close()
		p.ask(`{"query":"m","window":100,"points":40}`)
		time.Sleep(time.Second)
		for _, way := range []struct{ missed, whole int }{{30, 0}, {500, 1}} {
			p.pause(true)
			for range way.missed {
				time.Sleep(10 * time.Millisecond)
				r.put(nil, ls, bus.Sample{T: ms(), V: 1})
			}
			p.mu.Lock()
			p.whole = 0
			p.mu.Unlock()
			p.pause(false)
			time.Sleep(time.Second)
			p.mu.Lock()
			if p.stats.slow == 0 || p.whole != way.whole {
				t.Errorf("a page that missed %d samples got %d whole bootstraps of %+v", way.missed, p.whole, p.stats)
			}
			p.mu.Unlock()
		}
	})
}

// A history of many series has fewer values of each, and is not refused.
func TestAHistoryOfManySeriesHasFewerPoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newMemStore()
		st.most = 200
		r := newRig(t, st, nil)
		defer r.stop()
		for range 60 {
			time.Sleep(10 * time.Millisecond)
			for n := range 10 {
				r.put(nil, seriesLabels(0, n), bus.Sample{T: ms(), V: 1})
			}
		}
		p := newPage(t, r.hub, 1<<20)
		defer p.close()
		a := p.ask(`{"query":"m","window":10,"points":60}`)
		if got := p.held(a.Room); len(got.names) != 10 {
			t.Errorf("the bootstrap has %d series, not 10", len(got.names))
		}
		answer := make(chan []byte, 1)
		p.client.History(fmt.Appendf(nil, `{"query":"m","from":%d,"to":%d,"points":60}`, ms()-10_000, ms()), func(b []byte) { answer <- b })
		var m wire.HistoryAnswer
		if b := <-answer; json.Unmarshal(b, &m) != nil || !m.OK || m.Matched != 10 || len(m.Blocks) == 0 {
			t.Errorf("history was answered with %s", b)
		}
	})
}

// A request that another one replaces before it is carried out is answered too: the page
// waits for it.
func TestEverySubscribeIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		r.put(nil, seriesLabels(0, 0), bus.Sample{T: ms(), V: 1})
		c := &stub{}
		client := r.hub.NewClient(c)
		defer client.Close()
		written := make(chan struct{})
		r.hub.recent.Mu.Lock()
		client.follow(written) // as if something for a viewer that has left were on its way
		r.hub.recent.Mu.Unlock()
		answers := make(chan []byte, 3)
		for range cap(answers) {
			client.Subscribe(json.RawMessage(`{"query":"m"}`), func(b []byte) { answers <- b })
		}
		time.Sleep(time.Second)
		close(written)
		time.Sleep(time.Second)
		if n := len(answers); n != cap(answers) {
			t.Errorf("%d of %d requests were answered", n, cap(answers))
		}
		if n := len(c.sent(wire.EventBootstrap)); n != 1 {
			t.Errorf("%d bootstraps, want one", n)
		}
	})
}

// How many series match is told to a page that was away too, when it changes while the page comes back.
func TestAPageThatComesBackIsToldHowManyMatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		r.put(nil, seriesLabels(0, 0), bus.Sample{T: ms(), V: 1})
		p := newPage(t, r.hub, 1<<20)
		a := p.ask(`{"query":"m","window":900}`)
		away := p.held(a.Room)
		p.close()
		stays := newPage(t, r.hub, 1<<20)
		defer stays.close()
		stays.ask(`{"query":"m","window":900}`)
		for n := range 20 {
			time.Sleep(time.Duration(n) * 7 * time.Millisecond) // at another distance to the flush each time
			s := &stub{}
			c := r.hub.NewClient(s)
			arg, _ := json.Marshal(map[string]any{"query": "m", "window": 900, "since": away.position})
			matched := make(chan int, 1)
			c.Subscribe(arg, func(b []byte) {
				var m wire.Subscribed
				if err := json.Unmarshal(b, &m); err != nil || !m.OK {
					t.Errorf("%s: %v", b, err)
				}
				matched <- m.Matched
			})
			r.put(nil, seriesLabels(0, n+1), bus.Sample{T: ms(), V: 1})
			time.Sleep(time.Second)
			told := <-matched
			for _, b := range s.sent(wire.EventUpdate) {
				var u wire.Update
				if err := json.Unmarshal(b, &u); err != nil {
					t.Fatal(err)
				}
				if u.Matched != nil {
					told = *u.Matched
				}
			}
			if told != n+2 {
				t.Errorf("the page was told last that %d match, want %d", told, n+2)
			}
			c.Close()
		}
	})
}
