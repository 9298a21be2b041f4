package live

import (
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/wire"
)

// A new series with more samples than one piece takes reaches the pages that are there
// whole.
func TestALongNewSeriesReachesPagesThatAreThere(t *testing.T) {
	lost := 0
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			l := newFakeLog()
			r := newReplica(t, l)
			say(t, l, wideLabels(-2), ms(), 1)
			p := newPage(t, r.hub, 1<<26)
			a := p.ask(`{"query":"wide","window":3600,"points":20000}`)
			time.Sleep(time.Second)
			at := ms()
			long := bus.Series{Labels: wideLabels(-1)}
			for k := range int64(3*commitSamples - 10) {
				long.Samples = append(long.Samples, bus.Sample{T: at - 3*commitSamples + k, V: float64(k)})
			}
			_ = l.Publish(t.Context(), &bus.Batch{Series: []bus.Series{long}})
			time.Sleep(5 * time.Second)
			got := p.held(a.Room)
			if have := len(got.samples[wideLabels(-1).String()]); have != len(long.Samples) {
				lost++
			}
			p.close()
			r.stop()
		})
	}
	if lost > 0 {
		t.Errorf("lost in %d of 20 runs", lost)
	}
}

// A series without a place that is silent while places are given away gets one when it
// is written again.
func TestASeriesThatWasSilentGetsAFreePlace(t *testing.T) {
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
		tick(300, 2, 3) // 0, 1 and 4 end; 3 takes a place
		in := p.held(a.Room)
		tick(30, 2, 3, 4) // 4 is back, there is a place
		in = p.held(a.Room)
		if got := len(in.samples[crowdLabels(4).String()]); got != 30 {
			t.Errorf("series 4: %d samples of 30; position %s", got, in.position)
		}
		tick(300, 2, 3, 4)
		in = p.held(a.Room)
	})
}

// A page that lacks what the disk had no room for does not resume: it is bootstrapped
// anew when that has been recorded, or told of a gap.
func TestAPageThatLacksWhatWasNotStoredDoesNotResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := &replica{t: t, log: l, store: newMemStore(), change: func(o *Options) { o.RingAge = 20 * time.Second }}
		r.start()
		var full atomic.Bool
		r.fill(&full)
		want := truth{}
		ls := seriesLabels(1, 1)
		tick := func(n int) {
			for range n {
				now := ms()
				say(t, l, ls, now, float64(now%1000))
				want.add(ls, now, float64(now%1000))
				time.Sleep(time.Second)
			}
		}
		tick(10)
		full.Store(true)
		tick(60)
		p := newPage(t, r.hub, 1<<20)
		gaps := 0
		p.other = func(f *fakePacket) {
			if f.event == wire.EventGap {
				gaps++
			}
		}
		a := p.ask(fmt.Sprintf(`{"query":%q,"window":3600,"points":20000}`, `m{source="1"}`))
		tick(5)
		in := p.held(a.Room)
		p.close()
		q := newPage(t, r.hub, 1<<20)
		q.other = p.other
		q.rooms = p.rooms
		q.ask(fmt.Sprintf(`{"query":%q,"window":3600,"points":20000,"since":%q}`, `m{source="1"}`, in.position))
		tick(5)
		full.Store(false)
		tick(30)
		in = q.held(a.Room)
		if got := len(in.samples[ls.String()]); got != len(want[ls.String()]) && gaps == 0 {
			t.Errorf("page has %d of %d, and no gap", got, len(want[ls.String()]))
		}
		q.close()
		r.stop()
	})
}

// What was only shown and is trimmed from the log is in a gap, late samples too.
func TestALateSampleThatWasNotRecordedIsInAGap(t *testing.T) {
	for _, numbered := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l := newFakeLog()
			r := newReplica(t, l)
			var full atomic.Bool
			r.fill(&full)
			seq := uint64(0)
			ls := seriesLabels(0, 0)
			say := func(at ...int64) {
				seq++
				b := &bus.Batch{Series: []bus.Series{{Labels: ls}}}
				if numbered {
					b.Source, b.Seq = "0", seq
				}
				for _, x := range at {
					b.Series[0].Samples = append(b.Series[0].Samples, bus.Sample{T: x, V: 1})
				}
				_ = l.Publish(t.Context(), b)
				time.Sleep(time.Second)
			}
			say(ms())
			say(ms() - 600_500) // it has been late before
			for range 30 {
				say(ms())
			}
			full.Store(true)
			say(ms())
			late := ms() - 600_777
			say(late) // late, only shown
			for range 60 {
				say(ms())
			}
			l.trim(20)
			full.Store(false)
			for range 5 {
				say(ms())
			}
			time.Sleep(20 * time.Second)
			s := &stub{}
			c := r.hub.NewClient(s)
			defer c.Close()
			c.Subscribe(json.RawMessage(seriesOfSource), nil)
			time.Sleep(time.Second)
			_, there := r.store.value(ls, late)
			in := false
			gs := told(t, s)
			for _, g := range gs {
				in = in || g.From < late && late < g.To
			}
			if !there && !in {
				t.Errorf("numbered %v: the sample at %d is not in the history, and the gaps are %+v", numbered, late, gs)
			}
			r.stop()
		})
	}
}

// The same for a page that is away in the moment when everything is recorded.
func TestAPageThatIsAwayWhileItIsRecordedLacksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := &replica{t: t, log: l, store: newMemStore(), change: func(o *Options) { o.RingAge = 20 * time.Second }}
		r.start()
		var full atomic.Bool
		r.fill(&full)
		want := truth{}
		ls := seriesLabels(1, 1)
		tick := func(n int) {
			for range n {
				now := ms()
				say(t, l, ls, now, float64(now%1000))
				want.add(ls, now, float64(now%1000))
				time.Sleep(time.Second)
			}
		}
		tick(10)
		full.Store(true)
		tick(60)
		p := newPage(t, r.hub, 1<<20)
		a := p.ask(fmt.Sprintf(`{"query":%q,"window":3600,"points":20000}`, `m{source="1"}`))
		tick(5)
		in := p.held(a.Room)
		p.close()
		full.Store(false)
		tick(5)
		q := newPage(t, r.hub, 1<<20)
		gaps := 0
		q.other = func(f *fakePacket) {
			if f.event == wire.EventGap {
				gaps++
			}
		}
		q.rooms = p.rooms
		q.ask(fmt.Sprintf(`{"query":%q,"window":3600,"points":20000,"since":%q}`, `m{source="1"}`, in.position))
		tick(30)
		in = q.held(a.Room)
		if got := len(in.samples[ls.String()]); got != len(want[ls.String()]) && gaps == 0 {
			t.Errorf("page has %d of %d, and no gap; stats %+v", got, len(want[ls.String()]), q.stats)
		}
		q.close()
		r.stop()
	})
}

// A late sample of a numbered source that was trimmed while a server was away is in a gap,
// however the source comes back, or not.
func TestALateSampleOfANumberedSourceThatWasTrimmedIsInAGap(t *testing.T) {
	for _, how := range []string{"together", "second batch", "gone"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFakeLog()
				r := newReplica(t, l)
				seq := uint64(0)
				a, b := seriesLabels(0, 0), seriesLabels(0, 1)
				put := func(x ...bus.Series) {
					seq++
					_ = l.Publish(t.Context(), &bus.Batch{Sequence: bus.Sequence{Source: "0", Seq: seq}, Series: x})
					time.Sleep(time.Second)
				}
				sa := func(at int64) bus.Series { return bus.Series{Labels: a, Samples: []bus.Sample{{T: at, V: 1}}} }
				sb := func(at int64) bus.Series { return bus.Series{Labels: b, Samples: []bus.Sample{{T: at, V: 1}}} }
				put(sa(ms()), sb(ms()))
				put(sb(ms() - 600_500)) // it has been late before
				for range 30 {
					put(sa(ms()), sb(ms()))
				}
				late := int64(0)
				go func() {
					time.Sleep(500 * time.Millisecond)
					for n := range 60 {
						if n == 20 {
							late = ms() - 600_777
							put(sb(late))
							continue
						}
						put(sa(ms()), sb(ms()))
					}
					say(t, l, seriesLabels(7, 7), ms(), 1)
					l.trim(1)
				}()
				r.restart(false, 0, 65*time.Second)
				for n := range 40 {
					switch {
					case how == "gone":
						say(t, l, seriesLabels(7, 7), ms(), 1)
						time.Sleep(time.Second)
					case how == "second batch" && n == 0:
						put(sa(ms()))
					default:
						put(sa(ms()), sb(ms()))
					}
				}
				s := &stub{}
				c := r.hub.NewClient(s)
				defer c.Close()
				c.Subscribe(json.RawMessage(`{"query":"m{source=\"0\",n=\"1\"}","window":86400}`), nil)
				time.Sleep(time.Second)
				_, there := r.store.value(b, late)
				in := false
				gs := told(t, s)
				for _, g := range gs {
					in = in || g.From < late && late < g.To
				}
				if !there && !in {
					t.Errorf("the sample at %d is not in the history, and the gaps are %+v (%s)", late, gs, b)
				}
				r.stop()
			})
		})
	}
}

// A page that was bootstrapped on a server that has lost something, and has not declared
// it yet, lacks nothing on the next server.
func TestAPageThatMovesBeforeAGapIsDeclaredLacksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		a, b := newReplica(t, l), newReplica(t, l)
		want := truth{}
		ls := seriesLabels(1, 1)
		tick := func(n int) {
			for range n {
				now := ms()
				say(t, l, ls, now, float64(now%1000))
				want.add(ls, now, float64(now%1000))
				time.Sleep(time.Second)
			}
		}
		tick(10)
		go func() {
			tick(60)
			l.trim(5)
		}()
		a.restart(false, 0, 61*time.Second)
		go tick(60)
		p := newPage(t, a.hub, 1<<20)
		gaps := 0
		p.other = func(f *fakePacket) {
			if f.event == wire.EventGap {
				gaps++
			}
		}
		room := p.ask(`{"query":"m{source=\"1\"}","window":3600,"points":20000}`)
		time.Sleep(2 * time.Second)
		position := p.held(room.Room).position
		p.close()
		q := newPage(t, b.hub, 1<<20)
		q.rooms, q.other = p.rooms, p.other
		q.ask(`{"query":"m{source=\"1\"}","window":3600,"points":20000,"since":"` + position + `"}`)
		time.Sleep(2 * time.Minute)
		in := q.held(room.Room)
		if got := len(in.samples[ls.String()]); got != 130 && gaps == 0 {
			t.Errorf("the page has %d of 130 samples, and no gap; %+v", got, q.stats)
		}
		q.close()
		a.stop()
		b.stop()
	})
}
