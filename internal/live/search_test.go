package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/recent"
	"stripchart/internal/wire"
)

// many publishes one sample of each of n series with names of their own.
func many(t testing.TB, r *rig, n int) {
	t.Helper()
	for from := 0; from < n; from += 1000 {
		b := &bus.Batch{}
		for i := from; i < min(from+1000, n); i++ {
			b.Series = append(b.Series, bus.Series{
				Labels:  labels.FromStrings("__name__", fmt.Sprintf("m%06d", i), "host", "h"),
				Samples: []bus.Sample{{T: ms(), V: 1}},
			})
		}
		if err := r.bus.Publish(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	}
}

// The lock is what everybody waits for. Whatever strangers ask, no hold of it goes over
// more than a piece of the series, rooms and viewers there are.
func TestNoHoldOfTheLockGoesOverAllSeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newMemStore()
		st.delay = func() time.Duration { return 0 }
		r := newRig(t, st, nil)
		defer r.stop()
		const n = 20_000
		many(t, r, n)
		held := newPage(t, r.hub, 1<<20)
		defer held.close()
		if a := held.ask(`{"query":"{host=\"h\"}","window":10}`); a.Matched != n || a.Sent != 200 {
			t.Fatalf("answer %+v", a)
		}
		var hostile sync.WaitGroup
		for c := range 4 {
			hostile.Go(func() {
				p := newPage(t, r.hub, 1<<20)
				defer p.close()
				for i := range 8 {
					query := fmt.Sprintf(`{__name__=~"x%d-%d|(m|n)*[0-9]+0"}`, c, i)
					sel, err := parseSelector(query)
					if err != nil {
						t.Error(err)
						return
					}
					arg, _ := json.Marshal(map[string]any{"query": query})
					p.client.Subscribe(arg, nil)
					arg, _ = json.Marshal(map[string]any{"match": []string{query}})
					p.client.Catalogue(arg, nil)
					time.Sleep(time.Second / 45)
					if i%2 == 0 {
						p.unsubscribe(sel.roomID())
					}
				}
			})
		}
		hostile.Wait()
		time.Sleep(10 * time.Minute) // members are forgotten, and their places given away
		many(t, r, n/2)
		time.Sleep(2 * time.Hour) // the index forgets
		synctest.Wait()
		r.hub.recent.Mu.Lock()
		defer r.hub.recent.Mu.Unlock()
		if left := r.hub.recent.Index.Len(); left != 0 {
			t.Errorf("%d series are still in the index", left)
		}
		if n := r.hub.recent.Index.AllBirths.Count(); n > 2 {
			t.Errorf("%d births are kept", n)
		}
		if most := r.hub.recent.Mu.MostWork(); most > 2*4*recent.PieceOf || most < recent.PieceOf {
			t.Errorf("a hold went over %d series, rooms and viewers, want %d at most", most, 2*4*recent.PieceOf)
		}
	})
}

// dearQuery takes long to be compared with a series, and matches all of `born`.
const dearQuery = `{__name__=~"born|(((([b-y]|[a-n])*)*|x)*z)+|((o|b|n|r)*a){3}.*",n!="-1"}`

// The storm of the exact join, with a new series in every batch, rooms whose search takes
// long, and pages that go from one server to the other.
func TestNoSampleOfANewSeriesIsLostBetweenARoomAndTheLog(t *testing.T) {
	l := newFakeLog()
	rs := []*replica{newReplica(t, l), newReplica(t, l)}
	for _, r := range rs {
		r.store.mu.Lock()
		r.store.delay = func() time.Duration { return time.Duration(rand.IntN(5)) * time.Millisecond }
		r.store.mu.Unlock()
	}
	want := &sharedTruth{truth: truth{}}
	stop := make(chan struct{})
	var visitors sync.WaitGroup
	pages := make([]*page, 8)
	for i := range pages {
		visitors.Go(func() {
			rng := rand.New(rand.NewPCG(7, uint64(i)))
			query := []string{dearQuery, `born`, `{n=~".+"}`, `{__name__!="x",n!="y"}`}[rng.IntN(4)]
			rooms, since := map[string]*pageRoom{}, ""
			for {
				p := newPage(t, rs[rng.IntN(2)].hub, 1<<20)
				p.rooms = rooms
				if _, err := p.subscribe(query, since); err != nil {
					t.Errorf("subscribe: %v", err)
				}
				select {
				case <-stop:
					pages[i] = p
					return
				case <-time.After(time.Duration(rng.IntN(60)) * time.Millisecond):
				}
				p.close()
				since = ""
				for _, room := range rooms {
					if room.more {
						room.more, room.position = false, ""
					}
					since = room.position
				}
			}
		})
	}
	for n := range 150 {
		b := &bus.Batch{}
		for k := max(0, n-3); k <= n; k++ {
			at := ms() + int64(k)
			ls := labels.FromStrings("__name__", "born", "n", fmt.Sprint(k))
			b.Series = append(b.Series, bus.Series{Labels: ls, Samples: []bus.Sample{{T: at, V: float64(n)}}})
			want.mu.Lock()
			want.add(ls, at, float64(n))
			want.mu.Unlock()
		}
		_ = l.Publish(t.Context(), b)
		time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
	}
	close(stop)
	visitors.Wait()
	settleWhole(t, pages, want)
	resumes := 0
	for _, p := range pages {
		resumes += p.stats.resumes
		p.close()
	}
	for _, r := range rs {
		r.stop()
	}
}

// settleWhole waits until every page holds all of want.
func settleWhole(t *testing.T, pages []*page, want *sharedTruth) {
	t.Helper()
	var err error
	for range 100 {
		err = nil
		for i, p := range pages {
			p.mu.Lock()
			for _, room := range p.rooms {
				if e := room.compare(want.truth, func(string) bool { return true }); e != nil {
					err = errors.Join(err, fmt.Errorf("page %d: %w", i, e))
				}
			}
			p.mu.Unlock()
		}
		if err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Error(err)
}

// A room is told nothing of a batch before all its new series were compared with its query:
// otherwise a page would be given a position behind a sample that it was not sent.
func TestARoomDoesNotFlushWhileItsSearchIsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		ls := seriesLabels(0, 0)
		r.put(nil, ls, bus.Sample{T: ms(), V: 1})
		p := newPage(t, r.hub, 1<<20)
		defer p.close()
		a := p.ask(`{"query":"m","window":60,"points":20000}`)
		before := p.held(a.Room).position
		r.hub.recent.Mu.Lock()
		// A birth that the matcher does not hear of.
		hidden := recent.NewSeries(seriesLabels(0, 1), ms(), nil)
		r.hub.recent.Index.Welcome(&hidden, r.hub.recent.Ring.End())
		r.hub.recent.Mu.Unlock()
		r.put(nil, ls, bus.Sample{T: ms(), V: 2})
		if got := p.held(a.Room).position; got != before {
			t.Errorf("the page was told of %s while its room's search was behind", got)
		}
		r.hub.audience.matcher.soon()
		if got := p.held(a.Room); got.position == before || len(got.samples[ls.String()]) != 2 {
			t.Errorf("afterwards the page holds %v at %s", got.samples, got.position)
		}
	})
}

func TestARegularExpressionIsCompiledOnceForAllRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		p := newPage(t, r.hub, 1<<20)
		q := newPage(t, r.hub, 1<<20)
		p.ask(`{"query":"m{host=~\"a.*b\"}"}`)
		p.ask(`{"query":"other{host=~\"a.*b\",x=\"1\"}"}`)
		q.ask(`{"query":"other{host=~\"a.*b\"}"}`)
		r.hub.recent.Mu.Lock()
		if n := len(r.hub.audience.matcher.compiled); n != 1 {
			t.Errorf("%d expressions are held for three rooms that use the same", n)
		}
		used := map[*labels.Matcher]bool{}
		for s := range r.hub.audience.matcher.searches {
			for _, m := range s.query[0].matchers {
				if isRegex(m) {
					used[m] = true
				}
			}
		}
		if len(used) != 1 {
			t.Errorf("%d compiled expressions are in use", len(used))
		}
		r.hub.recent.Mu.Unlock()
		p.close()
		q.close()
		time.Sleep(roomLinger + time.Minute)
		r.hub.recent.Mu.Lock()
		defer r.hub.recent.Mu.Unlock()
		if len(r.hub.audience.matcher.compiled) != 0 || r.hub.audience.matcher.cost != 0 || len(r.hub.audience.matcher.searches) != 0 {
			t.Errorf("%d expressions of cost %d are held for no room", len(r.hub.audience.matcher.compiled), r.hub.audience.matcher.cost)
		}
	})
}

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

// systemd kills a server that is stuck, and not one that is busy.
func TestPulseTellsBusyFromStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := New(Options{Store: newMemStore(), Transport: fakeTransport{}, DefaultSeries: "m"})
		if err != nil {
			t.Fatal(err)
		}
		beats := func() bool {
			done := make(chan struct{})
			go func() {
				h.Pulse()
				close(done)
			}()
			select {
			case <-done:
				return true
			case <-time.After(10 * time.Second):
				return false
			}
		}
		if !beats() {
			t.Error("no sign of life when nothing happens")
		}
		h.recent.Mu.Lock()
		if beats() {
			t.Error("a sign of life while the lock is held for ever")
		}
		h.recent.Mu.Unlock()
		time.Sleep(time.Second) // the pulse that was stuck goes on
		h.Close()
	})
}

// A query that takes too long to be compared with all series is refused, and leaves
// nothing behind.
func TestAQueryThatTakesTooLongIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		p := newPage(t, r.hub, 1<<20)
		defer p.close()
		r.put(nil, seriesLabels(0, 0), bus.Sample{T: ms(), V: 1})
		r.hub.recent.Mu.Lock()
		slow := newRoom(r.hub.audience, "slow", membership{selector: r.hub.audience.defaultSeries, limit: 1}, liveEncoding{r.hub.audience})
		slow.search.began = r.hub.recent.Now() - searchPatience - 1
		slow.search.list = &r.hub.recent.Index.AllBirths
		slow.search.list.Hold()
		r.hub.audience.rooms.byID["slow"] = slow
		r.hub.audience.matcher.searches[slow.search] = struct{}{}
		v := newViewer(p.client, slow, 1000, 100)
		r.hub.recent.Mu.Unlock()
		r.hub.audience.matcher.soon()
		answer := make(chan []byte, 1)
		go func() {
			slow.awaitReady()
			p.client.startViewer(v, subscription{}, func(b []byte) { answer <- b })
		}()
		var a wire.Refused
		decodeStub(t, <-answer, &a)
		if a.Error == nil || a.Error.Code != wire.CodeOverloaded {
			t.Errorf("answer %+v", a.Error)
		}
		r.hub.recent.Mu.Lock()
		defer r.hub.recent.Mu.Unlock()
		if r.hub.audience.rooms.byID["slow"] != nil || p.client.find("slow") != nil {
			t.Error("the room is still there")
		}
	})
}

// More series than fit into an event are all told, in several.
func TestCatalogueLosesNoNewSeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		many(t, r, 500)
		known := map[string]bool{}
		s := &stub{}
		c := r.hub.NewClient(s)
		defer c.Close()
		done := make(chan struct{})
		c.Catalogue(json.RawMessage(`{"match":["{host=\"h\"}","{__name__=~\"m.*\"}"]}`), func(b []byte) {
			var a wire.CatalogueAnswer
			decodeStub(t, b, &a)
			for _, ls := range a.Series {
				known[ls.String()] = true
			}
			close(done)
		})
		many(t, r, 3*maxCatalogue)
		<-done
		time.Sleep(10 * time.Second)
		for _, b := range s.sent(wire.EventCatalogue) {
			var m wire.CatalogueChange
			decodeStub(t, b, &m)
			if len(m.Added) > maxCatalogue+recent.PieceOf {
				t.Errorf("%d new series in one event", len(m.Added))
			}
			for _, ls := range m.Added {
				known[ls.String()] = true
			}
		}
		if len(known) != 3*maxCatalogue {
			t.Errorf("the page knows %d series of %d", len(known), 3*maxCatalogue)
		}
	})
}
