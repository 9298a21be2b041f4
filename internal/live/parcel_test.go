package live

import (
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/bus"
)

func TestClientsThatAreSentTheSameShareOneList(t *testing.T) {
	var p parcels
	for range 2 { // the second time with what the first has left
		a, b, c := int32(0), int32(0), int32(0)
		p.next([]Packet{"1", "2"}) // to a and c
		a, c = p.extend(a), p.extend(c)
		p.next([]Packet{"3"}) // to b
		b = p.extend(b)
		p.next([]Packet{"4"}) // to all
		a, b, c = p.extend(a), p.extend(b), p.extend(c)
		if got := p.packets(b); !slices.Equal(got, []Packet{"3", "4"}) {
			t.Errorf("b is sent %v", got)
		}
		if got := p.packets(a); !slices.Equal(got, []Packet{"1", "2", "4"}) {
			t.Errorf("a is sent %v", got)
		}
		if a != c || &p.packets(a)[0] != &p.packets(c)[0] {
			t.Error("a and c are sent the same, but not one list")
		}
		p.clear()
	}
}

// discard is a connection that takes everything and keeps nothing.
type discard struct{}

func (*discard) Write(...Packet) bool { return true }
func (*discard) Ready() bool          { return true }

// A viewer is what a server has most of. The least of three measurements counts: what other
// tests leave behind is freed while one is made.
func TestClientInTwelveRoomsTakesLittleMemory(t *testing.T) {
	const most = 1800 // bytes
	each := math.MaxInt
	for range 3 {
		each = min(each, bytesOfAClient(t))
	}
	if each > most {
		t.Errorf("%d bytes a client, want at most %d", each, most)
	}
	t.Logf("%d bytes a client", each)
}

func bytesOfAClient(t *testing.T) (each int) {
	const clients, rooms = 2000, 12
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		r.put(nil, seriesLabels(0, 0), bus.Sample{T: ms(), V: 1})
		join := func(n int) {
			for range n {
				c := r.hub.NewClient(&discard{})
				for room := range rooms {
					c.Subscribe(json.RawMessage(fmt.Sprintf(`{"query":"m{source=~\"0|%d\"}"}`, room)), nil)
				}
			}
			time.Sleep(time.Second)
			r.put(nil, seriesLabels(0, 0), bus.Sample{T: ms(), V: 1})
			time.Sleep(time.Second)
		}
		join(1)
		before := inUse()
		join(clients)
		if current := len(r.hub.audience.rooms.byID[r.anyRoom()].seats.current); current != clients+1 {
			t.Fatalf("%d viewers of a room are current, want %d", current, clients+1)
		}
		each = int(inUse()-before) / clients
	})
	return each
}

// anyRoom returns the id of one of the rooms.
func (r *rig) anyRoom() string {
	r.hub.recent.Mu.Lock()
	defer r.hub.recent.Mu.Unlock()
	for id := range r.hub.audience.rooms.byID {
		return id
	}
	return ""
}

// inUse is how many bytes of the heap are in use.
func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
