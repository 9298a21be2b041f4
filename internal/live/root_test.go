package live

import (
	"encoding/json"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/wire"
)

// rootPage is a page of namespace /: it holds the values that it was sent.
type rootPage struct {
	stub
	client *Client
}

func newRootPage(h *Hub) *rootPage {
	p := &rootPage{}
	p.client = h.NewClient(p)
	p.client.JoinRoot()
	return p
}

// values returns the values that the page holds: those of its newest bootstrap, and
// of the updates behind it.
func (p *rootPage) values(t *testing.T) []float64 {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	var held []float64
	last := ""
	for _, f := range p.got {
		if f.event != wire.EventBootstrap && f.event != wire.EventUpdate {
			continue
		}
		var m struct {
			X []string
			Y []float64
		}
		if err := json.Unmarshal(f.arg, &m); err != nil {
			t.Fatal(err)
		}
		if f.event == wire.EventBootstrap {
			held, last = nil, ""
		}
		for _, x := range m.X {
			if x <= last {
				t.Errorf("%s brings %s behind %s", f.event, x, last)
			}
			last = x
		}
		held = append(held, m.Y...)
	}
	return held
}

// What a page of / is sent does not depend on who joins beside it: a sample that
// waits for the flush is in the bootstrap of the page that joins now, and in the
// update of those that are there.
func TestAJoinInNamespaceRootTakesNoSampleFromTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		ls := seriesLabels(0, 0)
		r.put(nil, ls, bus.Sample{T: ms(), V: 1})
		pages := []*rootPage{newRootPage(r.hub)}
		want := []float64{1}
		for n := range 50 {
			time.Sleep(bootstrapAge + time.Second)                   // so that the page that joins has a bootstrap of its own
			r.put(nil, ls, bus.Sample{T: ms(), V: float64(2*n + 2)}) // it leaves at once
			time.Sleep(10 * time.Millisecond)
			r.put(nil, ls, bus.Sample{T: ms(), V: float64(2*n + 3)}) // it waits for the flush
			want = append(want, float64(2*n+2), float64(2*n+3))
			time.Sleep(time.Duration(n) * time.Millisecond)
			pages = append(pages, newRootPage(r.hub))
		}
		time.Sleep(time.Second)
		for i, p := range pages {
			if got := p.values(t); !slices.Equal(got, want) {
				t.Errorf("page %d holds %d values, not the %d that were written; it holds %v", i, len(got), len(want), got)
			}
			p.client.Close()
		}
	})
}

// A sample that is older than the bootstrap of one page may be news to the others,
// but has no place in either: every update is newer than all before it.
func TestUpdatesInNamespaceRootAreNewerThanEveryBootstrap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		ls := seriesLabels(0, 0)
		ahead := ms() + 30_000
		r.put(nil, ls, bus.Sample{T: ahead, V: 1})
		time.Sleep(time.Second)
		p := newRootPage(r.hub)
		defer p.client.Close()
		time.Sleep(time.Second)
		r.put(nil, ls, bus.Sample{T: ms(), V: 2})
		time.Sleep(time.Second)
		r.put(nil, ls, bus.Sample{T: ahead + 1, V: 3})
		time.Sleep(time.Second)
		if got := p.values(t); !slices.Equal(got, []float64{1, 3}) {
			t.Errorf("the page holds %v, want [1 3]", got)
		}
	})
}

// A page of / is told where samples may be missing, whether it is there or comes later.
func TestNamespaceRootIsToldOfGaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReplica(t, newFakeLog())
		defer r.stop()
		publish := func(seq uint64) {
			_ = r.log.Publish(t.Context(), numbered(0, seq, 0, 0, 0))
			time.Sleep(time.Second)
		}
		publish(1)
		there := newRootPage(r.hub)
		defer there.client.Close()
		time.Sleep(time.Second)
		publish(5)
		later := newRootPage(r.hub)
		defer later.client.Close()
		time.Sleep(bootstrapAge)
		publish(6)
		for name, p := range map[string]*rootPage{"that is there": there, "that comes later": later} {
			gaps := p.sent(wire.EventGap)
			if len(gaps) != 1 {
				t.Errorf("a page %s was told of %d gaps, not of one: %s", name, len(gaps), gaps)
				continue
			}
			var g struct{ From, To, Reason string }
			if err := json.Unmarshal(gaps[0], &g); err != nil || g.From >= g.To || g.Reason != wire.GapSourceDropped {
				t.Errorf("a page %s was told %s, %v", name, gaps[0], err)
			}
		}
	})
}
