package live

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/recent"
	"stripchart/internal/wire"
)

// crowdLabels are those of series n of many; in the order of n.
func crowdLabels(n int) labels.Labels {
	return labels.FromStrings("__name__", "c", "n", fmt.Sprintf("%04d", n))
}

// crowdOf publishes one sample of each of the series.
func crowdOf(t *testing.T, l interface {
	Publish(context.Context, *bus.Batch) error
}, want truth, series ...int) {
	t.Helper()
	b := &bus.Batch{}
	now := ms()
	for _, n := range series {
		b.Series = append(b.Series, bus.Series{Labels: crowdLabels(n), Samples: []bus.Sample{{T: now, V: float64(n)}}})
		want.add(crowdLabels(n), now, float64(n))
	}
	if err := l.Publish(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func span(from, to int) (out []int) {
	for n := from; n < to; n++ {
		out = append(out, n)
	}
	return out
}

// checkWhole reports series that p holds in part: each that it holds in the room now has to
// have every sample of the window.
func checkWhole(t *testing.T, p *page, room string, want truth, window time.Duration) []string {
	t.Helper()
	r := p.held(room)
	from := ms() - window.Milliseconds()
	names := slices.Sorted(maps.Values(r.names))
	for _, name := range names {
		for at := range want[name] {
			if _, there := r.samples[name][at]; !there && at > from {
				t.Errorf("%s lacks its sample of %d ms ago, and nothing says so", name, ms()-at)
				break
			}
		}
	}
	return names
}

// A series that takes a place which became free comes with its past.
func TestASeriesThatTakesAFreePlaceBringsItsPast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), func(o *Options) { o.Limits.Series = 3; o.RingAge = 20 * time.Second })
		defer r.stop()
		want := truth{}
		tick := func(seconds int, series ...int) {
			for range seconds {
				crowdOf(t, r.bus, want, series...)
				time.Sleep(time.Second)
			}
		}
		tick(10, span(0, 5)...)
		p := newPage(t, r.hub, 1<<20)
		defer p.close()
		a := p.ask(`{"query":"c","window":60,"points":20000}`)
		if a.Matched != 5 || a.Sent != 3 {
			t.Fatalf("answer %+v", a)
		}
		tick(200, 0, 1, 3, 4) // 2 ends; 3 has had no place so far
		names := checkWhole(t, p, a.Room, want, 60*time.Second)
		if got := strings.Join(names, " "); !strings.Contains(got, `"0003"`) || strings.Contains(got, `"0002"`) || strings.Contains(got, `"0004"`) {
			t.Errorf("the page has %s, want the first three in the order of labels that are written", got)
		}
		tick(200, 0, 4) // 1 and 3 end: all that is left has a place
		names = checkWhole(t, p, a.Room, want, 60*time.Second)
		if len(names) != 2 {
			t.Errorf("the page has %v", names)
		}
		p.mu.Lock()
		position := p.rooms[a.Room].position
		p.mu.Unlock()
		if strings.HasPrefix(position, noEpoch) {
			t.Errorf("the room is not crowded any more, and its position is %s", position)
		}
	})
}

// Two servers of one log have chosen other series of a crowded room. A page that goes from
// one to the other begins anew, and holds no line in part.
func TestAPageOfACrowdedRoomBeginsAnewOnAnotherServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		a, b := newReplica(t, l), newReplica(t, l)
		want := truth{}
		tick := func(seconds int, series ...int) {
			for range seconds {
				crowdOf(t, l, want, series...)
				time.Sleep(time.Second)
			}
		}
		tick(5, span(20, 220)...)
		// On a the room is opened before the first series in the order of labels exist, on b
		// after them.
		p := newPage(t, a.hub, 1<<24)
		first := p.ask(`{"query":"c","window":600,"points":20000}`)
		tick(5, span(0, 220)...)
		q := newPage(t, b.hub, 1<<24)
		q.ask(`{"query":"c","window":600,"points":20000}`)
		tick(5, span(0, 220)...)
		if slices.Equal(checkWhole(t, p, first.Room, want, 10*time.Minute), checkWhole(t, q, first.Room, want, 10*time.Minute)) {
			t.Fatal("both servers have chosen alike: the test tests nothing")
		}
		position := p.held(first.Room).position
		p.close()
		moved := newPage(t, b.hub, 1<<24)
		moved.rooms = p.rooms
		moved.ask(`{"query":"c","window":600,"points":20000,"since":"` + position + `"}`)
		tick(5, span(0, 220)...)
		if names := checkWhole(t, moved, first.Room, want, 10*time.Minute); len(names) != 200 {
			t.Errorf("the page holds %d series", len(names))
		}
		if moved.stats.lost != 1 || moved.stats.resumes != 0 {
			t.Errorf("the page was told %+v, want one bootstrap with reason lost", moved.stats)
		}
		moved.close()
		q.close()
		a.stop()
		b.stop()
	})
}

// A page with all series does not go on where only some of them are sent, nor the other
// way round.
func TestNoPageResumesInACrowdedRoomNorComesFromOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		a := newReplica(t, l)
		want := truth{}
		crowdOf(t, l, want, span(1, 201)...)
		time.Sleep(time.Second)
		p := newPage(t, a.hub, 1<<24)
		first := p.ask(`{"query":"c","window":600,"points":20000}`)
		whole := p.held(first.Room).position
		if strings.HasPrefix(whole, noEpoch) {
			t.Fatalf("all series have a place, and the position is %s", whole)
		}
		crowdOf(t, l, want, 0)
		time.Sleep(time.Second)
		crowdOf(t, l, want, span(1, 201)...)
		crowded := p.held(first.Room).position
		if !strings.HasPrefix(crowded, noEpoch) {
			t.Errorf("a series has no place, and the position is %s", crowded)
		}
		if got := p.held(first.Room); len(got.names) != 200 {
			t.Errorf("the page holds %d series", len(got.names))
		}
		p.close()
		for _, since := range []string{whole, crowded} {
			q := newPage(t, a.hub, 1<<24)
			answer := q.ask(`{"query":"c","window":600,"points":20000,"since":"` + since + `"}`)
			if answer.Matched != 201 || answer.Sent != 200 {
				t.Errorf("answer %+v", answer)
			}
			checkWhole(t, q, first.Room, want, 10*time.Minute)
			if q.stats.lost != 1 {
				t.Errorf("since %s the page was told %+v, want reason lost", since, q.stats)
			}
			q.close()
		}
		a.stop()
	})
}

// Whoever lets series come and go does not have the pages of a room begin anew all the
// time.
func TestACrowdedRoomBeginsAnewOnceAMinuteAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), func(o *Options) { o.Limits.Series = 3; o.RingAge = time.Second })
		defer r.stop()
		want := truth{}
		crowdOf(t, r.bus, want, span(0, 6)...)
		p := newPage(t, r.hub, 1<<20)
		defer p.close()
		p.ask(`{"query":"c","window":1,"points":20000}`)
		const minutes = 10
		for n := range minutes * 12 { // each series lives five seconds
			for range 5 {
				crowdOf(t, r.bus, want, span(n, n+6)...)
				time.Sleep(time.Second)
			}
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.stats.lost == 0 || p.stats.lost > minutes+1 {
			t.Errorf("%d bootstraps anew in %d minutes", p.stats.lost, minutes)
		}
	})
}

// matched is right when series are forgotten, those included that only the store knows.
func TestMatchedIsRightWhenSeriesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), func(o *Options) { o.Limits.Series = 3 })
		defer r.stop()
		want := truth{}
		crowdOf(t, r.bus, want, span(0, 10)...)
		matched := func(window int) int {
			p := newPage(t, r.hub, 1<<20)
			defer p.close()
			a := p.ask(fmt.Sprintf(`{"query":"c","window":%d,"points":20000}`, window))
			if a.Sent != min(a.Matched, 3) {
				t.Errorf("answer %+v", a)
			}
			return a.Matched
		}
		if n := matched(7200); n != 10 {
			t.Errorf("%d match at first", n)
		}
		time.Sleep(recent.IndexAge + 10*time.Minute) // the index has forgotten all, the store has them
		crowdOf(t, r.bus, want, 20)
		if n := matched(7200); n != 11 {
			t.Errorf("%d match when ten of eleven are known to the store alone", n)
		}
		time.Sleep(2 * time.Hour)
		crowdOf(t, r.bus, want, 21, 22)
		if n := matched(7000); n != 2 {
			t.Errorf("%d match when all but two are out of the window", n)
		}
	})
}

// An update of a room tells how many match when a series goes that had no place.
func TestMatchedIsToldWhenASeriesWithoutAPlaceIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), func(o *Options) { o.Limits.Series = 3 })
		defer r.stop()
		want := truth{}
		crowdOf(t, r.bus, want, span(0, 5)...)
		s := &stub{}
		c := r.hub.NewClient(s)
		defer c.Close()
		c.Subscribe([]byte(`{"query":"c","window":7200}`), nil)
		for range 80 {
			time.Sleep(time.Minute)
			crowdOf(t, r.bus, want, span(0, 4)...)
		}
		time.Sleep(time.Second)
		matched := 0
		for _, b := range s.sent(wire.EventUpdate) {
			var u wire.Update
			decodeStub(t, b, &u)
			if u.Matched != nil {
				matched = *u.Matched
			}
		}
		if matched != 4 {
			t.Errorf("the page was told last that %d match, want 4", matched)
		}
	})
}
