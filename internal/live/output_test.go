package live

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/bus"
)

func (s *memStore) readCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}

// What a page asks for and does not read costs the server one answer, however much
// it asks for; and when the page reads, it gets all of it.
func TestWhatAPageDoesNotReadIsNotMade(t *testing.T) {
	const rooms = 12
	for _, way := range []string{"rooms", "histories"} {
		t.Run(way, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newMemStore()
				r := newRig(t, s, nil)
				defer r.stop()
				b := &bus.Batch{Sequence: bus.Sequence{Source: "0", Seq: 1}}
				for n := range rooms {
					b.Series = append(b.Series, bus.Series{Labels: seriesLabels(0, n), Samples: []bus.Sample{{T: ms(), V: 1}}})
				}
				if err := r.bus.Publish(t.Context(), b); err != nil {
					t.Fatal(err)
				}
				before := s.readCount()
				p := newPage(t, r.hub, 1)
				defer p.close()
				p.pause(true)
				answers := make(chan []byte, rooms)
				for n := range rooms {
					if way == "rooms" {
						p.client.Subscribe(json.RawMessage(fmt.Sprintf(`{"query":"m{n=\"%d\"}"}`, n)), func(b []byte) { answers <- b })
					} else {
						p.client.History(json.RawMessage(fmt.Sprintf(`{"query":"m","from":%d,"to":%d}`, ms()-1000, ms())), func(b []byte) {
							p.Write(&fakePacket{event: "answer", arg: b}) // an answer waits in the same queue
							answers <- b
						})
					}
				}
				time.Sleep(time.Minute)
				if n := s.readCount() - before; n != 1 {
					t.Errorf("%d reads for a page that does not read", n)
				}
				p.pause(false)
				for range rooms {
					var a struct{ OK bool }
					if answer := <-answers; json.Unmarshal(answer, &a) != nil || !a.OK {
						t.Errorf("answer %s", answer)
					}
				}
				synctest.Wait()
				if n := s.readCount() - before; n != rooms {
					t.Errorf("%d reads for %d %s", n, rooms, way)
				}
			})
		})
	}
}

// A page that leaves while it waits leaves nothing behind.
func TestAPageThatWaitsForItsConnectionMayLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemStore()
		r := newRig(t, s, nil)
		defer r.stop()
		p := newPage(t, r.hub, 0) // it is never ready
		before := s.readCount()
		p.client.Subscribe(json.RawMessage(`{"query":"m"}`), func(b []byte) { t.Errorf("answer %s", b) })
		p.client.History(json.RawMessage(`{"query":"m","from":1,"to":2}`), func(b []byte) { t.Errorf("answer %s", b) })
		synctest.Wait()
		p.close()
		synctest.Wait()
		if n := s.readCount() - before; n != 0 {
			t.Errorf("%d reads", n)
		}
	})
}

// What rooms keep for sharing is bounded in all, also where each is asked for once.
func TestBootstrapsOfAllRoomsTogetherAreBounded(t *testing.T) {
	r := newRig(t, newMemStore(), nil)
	defer r.stop()
	h := r.hub
	read := func(name string, before func(*Room)) {
		t.Helper()
		sel, err := parseSelector(name)
		if err != nil {
			t.Fatal(err)
		}
		h.recent.Mu.Lock()
		b := &bootstrap{at: h.recent.Now(), cursor: h.recent.Ring.End(), done: make(chan struct{}), parts: [][]byte{make([]byte, bootstrapCache/4)}}
		room, err := h.audience.rooms.open(sel.roomID(), membership{selector: sel, limit: 1}, liveEncoding{h.audience})
		if err != nil {
			t.Error(err)
		}
		room.shared.list = []*bootstrap{b}
		before(room)
		h.recent.Mu.Unlock()
		room.shared.keep(b)
		close(b.done)
	}
	held := func() (n int) {
		h.recent.Mu.Lock()
		defer h.recent.Mu.Unlock()
		for _, r := range h.audience.rooms.byID {
			for _, b := range r.shared.list {
				n += b.size
			}
		}
		if n != h.audience.reader.cached {
			t.Fatalf("%d bytes are counted, %d are held", h.audience.reader.cached, n)
		}
		return n
	}
	for i := range 20 {
		read(fmt.Sprint("m", i), func(*Room) {})
		if n := held(); n > bootstrapCache {
			t.Fatalf("%d bytes after %d rooms", n, i+1)
		}
	}
	for i := range 20 { // closed while they are read
		read(fmt.Sprint("gone", i), h.audience.rooms.close)
		held()
	}
}
