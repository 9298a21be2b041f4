package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/apply"
	"stripchart/internal/bus"
	"stripchart/internal/recent"
	"stripchart/internal/store"
	"stripchart/internal/wire"
)

// put publishes samples of one series, and fails the test unless the answer is want.
func (r *rig) put(want error, ls labels.Labels, samples ...bus.Sample) {
	r.t.Helper()
	err := r.bus.Publish(context.Background(), &bus.Batch{Series: []bus.Series{{Labels: ls, Samples: samples}}})
	if !errors.Is(err, want) {
		r.t.Fatalf("publish: %v, want %v", err, want)
	}
}

// held returns a copy of what p holds of a room, after everything under way has
// arrived.
func (p *page) held(room string) pageRoom {
	time.Sleep(time.Second)
	p.mu.Lock()
	defer p.mu.Unlock()
	r := *p.rooms[room]
	r.names = maps.Clone(r.names)
	r.samples = maps.Clone(r.samples)
	for name := range r.samples {
		r.samples[name] = maps.Clone(r.samples[name])
	}
	return r
}

func ms() int64 { return time.Now().UnixMilli() }

func TestThousandPagesThatComeBackCostOneRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newMemStore()
		r := newRig(t, st, nil)
		defer r.stop()
		r.put(nil, seriesLabels(0, 0), bus.Sample{T: ms(), V: 1})
		before := st.reads
		done := make(chan *page)
		for range 1000 {
			go func() {
				p := newPage(t, r.hub, 1<<20)
				if _, err := p.subscribe(`m{source="0"}`, "gone-1-1"); err != nil {
					t.Error(err)
				}
				done <- p
			}()
		}
		for range 1000 {
			p := <-done
			synctest.Wait()
			p.mu.Lock()
			if p.stats.lost != 1 || p.stats.bootstraps != 1 {
				t.Errorf("a page got %d bootstraps, %d say lost", p.stats.bootstraps, p.stats.lost)
			}
			p.mu.Unlock()
			p.close()
		}
		if got := st.reads - before; got != 1 {
			t.Errorf("%d reads, want 1", got)
		}
	})
}

func TestAcceptanceIsByLogTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		p := newPage(t, r.hub, 1<<20)
		defer p.close()
		ls := seriesLabels(0, 0)
		now := ms()
		day := (24 * time.Hour).Milliseconds()
		r.put(nil, ls,
			bus.Sample{T: now - day - 1, V: 1}, bus.Sample{T: now - day, V: 2}, bus.Sample{T: now, V: 3},
			bus.Sample{T: now + apply.FutureBound, V: 4}, bus.Sample{T: now + apply.FutureBound + 1, V: 5})
		a, err := p.subscribe(`m`, "")
		if err != nil {
			t.Fatal(err)
		}
		got := p.held(a.Room).samples[ls.String()]
		want := map[int64]float64{now - day: 2, now: 3, now + apply.FutureBound: 4}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("accepted: %v, want %v", got, want)
		}
	})
}

func TestFirstValueOfATimeWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		p := newPage(t, r.hub, 1<<20)
		defer p.close()
		ls := seriesLabels(0, 0)
		now := ms()
		a, err := p.subscribe(`m`, "")
		if err != nil {
			t.Fatal(err)
		}
		r.put(nil, ls, bus.Sample{T: now, V: 1})
		r.put(nil, ls, bus.Sample{T: now + 10, V: 2})
		r.put(nil, ls, bus.Sample{T: now, V: 9}, bus.Sample{T: now + 5, V: 3})
		r.put(nil, ls, bus.Sample{T: now + 5, V: 9}, bus.Sample{T: now + 20, V: 4})
		got := p.held(a.Room).samples[ls.String()]
		want := map[int64]float64{now: 1, now + 5: 3, now + 10: 2, now + 20: 4}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("the page holds %v, want %v", got, want)
		}
	})
}

func TestFullRoomTellsHowManyMatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), func(o *Options) { o.Limits.Series = 3 })
		defer r.stop()
		for n := range 5 {
			r.put(nil, seriesLabels(0, n), bus.Sample{T: ms(), V: 1})
		}
		p := newPage(t, r.hub, 1<<20)
		defer p.close()
		a, err := p.subscribe(`m`, "")
		if err != nil || a.Matched != 5 || a.Sent != 3 {
			t.Fatalf("answer %+v, %v", a, err)
		}
		names := fmt.Sprint(p.held(a.Room).names)
		for n := range 3 {
			if !strings.Contains(names, fmt.Sprintf(`n="%d"`, n)) {
				t.Errorf("series %d is not among the first three in label order: %s", n, names)
			}
		}
		r.put(nil, seriesLabels(0, 7), bus.Sample{T: ms(), V: 1})
		if got := p.held(a.Room); len(got.names) != 3 {
			t.Errorf("the room sends %d series", len(got.names))
		}
		p2 := newPage(t, r.hub, 1<<20)
		defer p2.close()
		if a, err := p2.subscribe(`m`, ""); err != nil || a.Matched != 6 {
			t.Errorf("answer %+v, %v", a, err)
		}
	})
}

func TestStaleAndLiveAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		p := newPage(t, r.hub, 1<<20)
		defer p.close()
		a, err := p.subscribe(`m`, "")
		if err != nil {
			t.Fatal(err)
		}
		state := func() string { return p.held(a.Room).state }
		tick := func(n int) {
			for range n {
				r.put(nil, seriesLabels(0, 0), bus.Sample{T: ms(), V: 1})
				time.Sleep(time.Second)
			}
		}
		tick(5)
		if s := state(); s != wire.StateLive {
			t.Errorf("state is %s while samples come", s)
		}
		time.Sleep(2500 * time.Millisecond)
		if s := state(); s != wire.StateStale {
			t.Errorf("state is %s after more than three seconds without samples", s)
		}
		late := newPage(t, r.hub, 1<<20)
		defer late.close()
		if _, err := late.subscribe(`m`, ""); err != nil {
			t.Fatal(err)
		}
		if s := late.held(a.Room).state; s != wire.StateStale {
			t.Errorf("a page that joins a stale room sees %s", s)
		}
		tick(1)
		if s := state(); s != wire.StateLive {
			t.Errorf("state is %s after samples came again", s)
		}
	})
}

func TestFullDiskIsShownButNotRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newMemStore()
		full := false
		st.fail = func() error {
			if full {
				return store.ErrDiskFull
			}
			return nil
		}
		r := newRig(t, st, nil)
		defer r.stop()
		p := newPage(t, r.hub, 1<<20)
		defer p.close()
		a, err := p.subscribe(`m`, "")
		if err != nil {
			t.Fatal(err)
		}
		full = true
		now := ms()
		r.put(bus.ErrNotStored, seriesLabels(0, 0), bus.Sample{T: now, V: 1})
		got := p.held(a.Room)
		if got.samples[seriesLabels(0, 0).String()][now] != 1 || got.state != wire.StateNotStored {
			t.Errorf("page holds %v in state %s", got.samples, got.state)
		}
		full = false
		r.put(nil, seriesLabels(0, 0), bus.Sample{T: ms(), V: 2})
		if s := p.held(a.Room).state; s != wire.StateLive {
			t.Errorf("state is %s when there is room again", s)
		}
	})
}

// A page of another server that is behind: what it has seen is not sent again.
func TestPositionAheadOfThisServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		ls := seriesLabels(0, 0)
		r.put(nil, ls, bus.Sample{T: ms(), V: 1})
		end, _ := r.bus.End(t.Context())
		end.Ms += 1000
		p := newPage(t, r.hub, 1<<20)
		defer p.close()
		p.rooms["r"] = &pageRoom{}
		a, err := p.subscribe(`m`, end.String())
		if err != nil {
			t.Fatal(err)
		}
		p.mu.Lock()
		p.rooms[a.Room] = &pageRoom{names: map[int]string{}, samples: map[string]map[int64]float64{}, newest: map[string]int64{}, position: end.String()}
		p.mu.Unlock()
		seen := ms() + 500
		time.Sleep(500 * time.Millisecond)
		r.put(nil, ls, bus.Sample{T: seen, V: 2})
		time.Sleep(time.Second)
		fresh := ms()
		r.put(nil, ls, bus.Sample{T: fresh, V: 3})
		got := p.held(a.Room).samples[ls.String()]
		if len(got) != 1 || got[fresh] != 3 {
			t.Errorf("the page was sent %v, want only the sample after its position", got)
		}
	})
}

func TestForgottenSeriesComesBackWithANewID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		ls := seriesLabels(0, 0)
		r.put(nil, ls, bus.Sample{T: ms(), V: 1})
		p := newPage(t, r.hub, 1<<20)
		defer p.close()
		a := p.ask(`{"query":"m","window":10}`)
		if n := len(p.held(a.Room).names); n != 1 {
			t.Fatalf("the page knows %d series", n)
		}
		time.Sleep(40 * time.Second)
		if n := len(p.held(a.Room).names); n != 1 {
			t.Fatalf("the page knows %d series while the ring still has samples that a resume would need", n)
		}
		time.Sleep(r.hub.o.RingAge)
		if n := len(p.held(a.Room).names); n != 0 {
			t.Fatalf("the page still knows %d series, when its samples are neither in its window nor in the ring", n)
		}
		now := ms()
		r.put(nil, ls, bus.Sample{T: now, V: 2})
		if v := p.held(a.Room).samples[ls.String()][now]; v != 2 {
			t.Errorf("the sample of the series that came back is missing")
		}
	})
}

func TestRequestsAreRefusedWithACodeAndASentence(t *testing.T) {
	r := newRig(t, newMemStore(), func(o *Options) { o.Limits.Rooms = 1 })
	defer r.stop()
	p := newPage(t, r.hub, 1<<20)
	defer p.close()
	if _, err := p.subscribe(`m`, ""); err != nil {
		t.Fatal(err)
	}
	type request func(arg json.RawMessage, ack Ack)
	for _, c := range []struct {
		do   request
		arg  string
		code string
	}{
		{p.client.Subscribe, ``, wire.CodeBadRequest},
		{p.client.Subscribe, `[]`, wire.CodeBadRequest},
		{p.client.Subscribe, `{"query":7}`, wire.CodeBadRequest},
		{p.client.Subscribe, `{"query":"m"`, wire.CodeBadRequest},
		{p.client.Subscribe, `{"query":"m","window":0}`, wire.CodeBadRequest},
		{p.client.Subscribe, `{"query":"m","window":1e99}`, wire.CodeBadRequest},
		{p.client.Subscribe, `{"query":"m","points":3}`, wire.CodeBadRequest},
		{p.client.Subscribe, `{"query":"m","since":"nonsense"}`, wire.CodeBadRequest},
		{p.client.Subscribe, `{"query":""}`, wire.CodeBadQuery},
		{p.client.Subscribe, `{"query":"m{"}`, wire.CodeBadQuery},
		{p.client.Subscribe, `{"query":"{}"}`, wire.CodeBadQuery},
		{p.client.Subscribe, `{"query":"` + strings.Repeat("m", 5000) + `"}`, wire.CodeBadQuery},
		{p.client.Subscribe, `{"query":"rate(m[5m])"}`, wire.CodeUnsupportedQuery},
		{p.client.Subscribe, `{"query":"m[5m]"}`, wire.CodeUnsupportedQuery},
		{p.client.Subscribe, `{"query":"m offset 5m"}`, wire.CodeUnsupportedQuery},
		{p.client.Subscribe, `{"query":"m @ 5"}`, wire.CodeUnsupportedQuery},
		{p.client.Subscribe, `{"query":"m + m"}`, wire.CodeUnsupportedQuery},
		{p.client.Subscribe, `{"query":"1"}`, wire.CodeUnsupportedQuery},
		{p.client.Subscribe, `{"query":"another"}`, wire.CodeTooManyRooms},
		{p.client.Unsubscribe, `7`, wire.CodeBadRequest},
		{p.client.History, `{"query":"m","from":2,"to":1}`, wire.CodeBadRequest},
		{p.client.History, `{"query":"m","from":0,"to":9e15}`, wire.CodeBadRequest},
		{p.client.History, `{"query":"m","from":9223372036854775000,"to":9223372036854775807}`, wire.CodeBadRequest},
		{p.client.History, `{"query":"sum(m)","from":0,"to":1}`, wire.CodeUnsupportedQuery},
		{p.client.Catalogue, `{"match":["m{"]}`, wire.CodeBadQuery},
		{p.client.Catalogue, `{"match":7}`, wire.CodeBadRequest},
	} {
		var answer wire.Refused
		c.do(json.RawMessage(c.arg), func(b []byte) {
			if err := json.Unmarshal(b, &answer); err != nil {
				t.Errorf("%s: %v", c.arg, err)
			}
		})
		if answer.Error == nil || answer.Error.Code != c.code || answer.Error.Message == "" {
			t.Errorf("%.60s: answer %+v, want code %s", c.arg, answer.Error, c.code)
		}
	}
}

func TestSpellingsOfOneSelectorAreOneRoom(t *testing.T) {
	var id string
	for _, q := range []string{`m{a="1",b!="2"}`, `m{b!="2",a="1"}`, `{__name__="m", b!="2", a="1"}`, `(m{a='1',b!="2",})`} {
		sel, err := parseSelector(q)
		if err != nil {
			t.Fatal(err)
		}
		if id == "" {
			id = sel.roomID()
		}
		if sel.roomID() != id || len(id) != len("r-5f0c7d21a9b3e846") {
			t.Errorf("%s is room %s, not %s", q, sel.roomID(), id)
		}
	}
}

func TestCatalogueTellsOfChangesOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		r.put(nil, seriesLabels(0, 0), bus.Sample{T: ms(), V: 1})
		var events []wire.CatalogueChange
		p := newPage(t, r.hub, 1<<20)
		defer p.close()
		p.other = func(f *fakePacket) {
			var m wire.CatalogueChange
			if err := json.Unmarshal(f.arg, &m); err != nil {
				t.Error(err)
			}
			events = append(events, m)
		}
		var answer wire.CatalogueAnswer
		p.client.Catalogue(json.RawMessage(`{"match":["m{source=\"0\"}"]}`), func(b []byte) { _ = json.Unmarshal(b, &answer) })
		synctest.Wait()
		if len(answer.Series) != 1 {
			t.Fatalf("catalogue: %+v", answer)
		}
		for n := 1; n < 4; n++ {
			r.put(nil, seriesLabels(0, n), bus.Sample{T: ms(), V: 1})
			r.put(nil, seriesLabels(1, n), bus.Sample{T: ms(), V: 1})
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		p.mu.Lock()
		if len(events) != 1 || len(events[0].Added) != 3 {
			t.Errorf("events: %+v", events)
		}
		p.mu.Unlock()
		time.Sleep(recent.IndexAge + time.Minute)
		synctest.Wait()
		p.mu.Lock()
		if n := len(events); n != 2 || len(events[n-1].Gone) != 4 {
			t.Errorf("events after an hour without samples: %+v", events)
		}
		p.mu.Unlock()
	})
}
