package live

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/wire"
)

// code asks for a room, and returns the code of the refusal, or "".
func (p *page) code(query string) string {
	arg, _ := json.Marshal(map[string]any{"query": query})
	got := make(chan []byte, 1)
	p.client.Subscribe(arg, func(b []byte) { got <- b })
	var a wire.Refused
	if err := json.Unmarshal(<-got, &a); err != nil {
		p.t.Fatal(err)
	}
	if a.Error == nil {
		return ""
	}
	return a.Error.Code
}

func TestAConnectionHasABudgetOfRegularExpressions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		p := newPage(t, r.hub, 1<<20)
		defer p.close()
		dear := func(n int) string { return fmt.Sprintf("{a=~`x%d%s`}", n, strings.Repeat(`\pL`, 14)) }
		for n := range 3 {
			if code := p.code(dear(n)); code != "" {
				t.Errorf("room %d is refused with %s", n, code)
			}
		}
		if code := p.code(dear(3)); code != wire.CodeTooManyRooms {
			t.Errorf("the fourth is answered with %q", code)
		}
		if code := p.code(`plain`); code != "" {
			t.Errorf("a room without a regular expression is refused with %s", code)
		}
		var refused wire.Refused
		arg, _ := json.Marshal(map[string]any{"match": []string{dear(9)}})
		p.client.Catalogue(arg, func(b []byte) { _ = json.Unmarshal(b, &refused) })
		if refused.Error == nil || refused.Error.Code != wire.CodeTooManyRooms {
			t.Errorf("a catalogue is answered with %+v", refused.Error)
		}
		sel, _ := parseSelector(dear(0))
		p.unsubscribe(sel.roomID())
		if code := p.code(dear(4)); code != "" {
			t.Errorf("after leaving a room another one is refused with %s", code)
		}
	})
}

func TestRoomsAreBoundedInAllAndIdleOnesFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newMemStore()
		st.delay = func() time.Duration { return 0 }
		r := newRig(t, st, nil)
		defer r.stop()
		var pages []*page
		opened := 0
		for opened < maxRooms {
			p := newPage(t, r.hub, 1<<20)
			for range min(r.hub.o.Limits.Rooms, maxRooms-opened) {
				if code := p.code(fmt.Sprintf(`m{n="%d"}`, opened)); code != "" {
					t.Fatalf("room %d is refused with %s", opened, code)
				}
				opened++
			}
			pages = append(pages, p)
		}
		p := newPage(t, r.hub, 1<<20)
		if code := p.code(`m{n="new"}`); code != wire.CodeOverloaded {
			t.Errorf("one room too many is answered with %q", code)
		}
		if code := p.code(`m{n="7"}`); code != "" {
			t.Errorf("a room that is open is refused with %s", code)
		}
		for _, q := range pages {
			q.close()
		}
		r.hub.recent.Mu.Lock()
		if n := len(r.hub.audience.rooms.byID); n > maxIdleRooms+1 {
			t.Errorf("%d rooms stay, though one has a viewer", n)
		}
		r.hub.recent.Mu.Unlock()
		if code := p.code(`m{n="new"}`); code != "" {
			t.Errorf("a room is refused with %s when there is room again", code)
		}
		p.close()
	})
}

// count returns how many histories were read.
func (s *memStore) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}

// Reads that are under way when their rooms are closed leave nothing behind.
func TestBootstrapsOfClosedRoomsAreNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newMemStore()
		st.delay = func() time.Duration { return time.Second }
		r := newRig(t, st, nil)
		defer r.stop()
		for n := range 300 {
			r.put(nil, seriesLabels(0, n), bus.Sample{T: ms(), V: 1})
		}
		for range 3 {
			var clients []*Client
			for n := range 300 {
				if n%30 == 0 {
					clients = append(clients, r.hub.NewClient(&stub{}))
				}
				arg, _ := json.Marshal(map[string]any{"query": fmt.Sprintf(`m{n="%d"}`, n)})
				clients[len(clients)-1].Subscribe(arg, nil)
			}
			time.Sleep(500 * time.Millisecond)
			reads := st.count()
			for _, c := range clients {
				c.Close()
			}
			time.Sleep(time.Minute)
			if n := st.count() - reads; n > maxIdleRooms+r.hub.audience.reader.reads.Reads() {
				t.Errorf("%d histories were read for rooms that were closed", n-maxIdleRooms)
			}
		}
		p := newPage(t, r.hub, 1<<20)
		p.ask(`{"query":"m{n=\"0\"}"}`)
		r.hub.recent.Mu.Lock()
		if r.hub.audience.reader.cached <= 0 {
			t.Errorf("%d bytes are counted for a bootstrap that is shared", r.hub.audience.reader.cached)
		}
		r.hub.recent.Mu.Unlock()
		p.close()
		time.Sleep(2 * time.Minute)
		r.hub.recent.Mu.Lock()
		defer r.hub.recent.Mu.Unlock()
		if len(r.hub.audience.rooms.byID) != 0 || r.hub.audience.reader.cached != 0 {
			t.Errorf("%d bytes are counted for bootstraps of %d rooms", r.hub.audience.reader.cached, len(r.hub.audience.rooms.byID))
		}
	})
}
