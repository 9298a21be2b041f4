package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
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
		const n = 12_000 // well beyond what a hold may go over
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
