package live

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/store"
	"stripchart/internal/wire"
)

// Each of these was a fault once, found by reading.

func TestPositionAheadThatTheRingHasPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		r.put(nil, seriesLabels(0, 0), bus.Sample{T: ms(), V: 1})
		end, _ := r.bus.End(t.Context())
		end.Ms += 2000
		p := newPage(t, r.hub, 1<<20)
		defer p.close()
		p.ask(`{"query":"quiet","since":"` + end.String() + `"}`)
		for range 400 {
			time.Sleep(time.Second)
			r.put(nil, seriesLabels(0, 0), bus.Sample{T: ms(), V: 1})
		}
		q := newPage(t, r.hub, 1<<20)
		defer q.close()
		q.ask(`{"query":"quiet"}`) // has the room flushed
		time.Sleep(3 * time.Second)
	})
}

func TestOneRefusalDoesNotStallAPageTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		ls := seriesLabels(0, 0)
		r.put(nil, ls, bus.Sample{T: ms(), V: 1})
		a, b := &stub{}, &stub{}
		ca, cb := r.hub.NewClient(a), r.hub.NewClient(b)
		defer ca.Close()
		defer cb.Close()
		ca.JoinRoot()
		cb.Subscribe(json.RawMessage(`{"query":"m"}`), nil)
		time.Sleep(time.Second)
		a.set(true)
		r.put(nil, ls, bus.Sample{T: ms(), V: 2}) // a refuses
		time.Sleep(40 * time.Second)
		a.set(false)
		ca.Drained() // a is bootstrapped anew
		time.Sleep(time.Second)
		b.set(true)                                        // somebody else is slow now,
		r.put(nil, ls, bus.Sample{T: ms() - 50_500, V: 3}) // in a flush that has nothing for a: the sample is late
		time.Sleep(time.Second)
		before := len(a.sent(wire.EventUpdate))
		r.put(nil, ls, bus.Sample{T: ms(), V: 4})
		time.Sleep(time.Second)
		if len(a.sent(wire.EventUpdate)) == before {
			t.Error("a page that reads, and was not refused, is sent nothing any more")
		}
	})
}

func TestSeriesWithoutAPlaceGetsTheNextThatIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), func(o *Options) { o.Limits.Series = 1 })
		defer r.stop()
		one, two := seriesLabels(0, 1), seriesLabels(0, 2)
		r.put(nil, one, bus.Sample{T: ms(), V: 1})
		r.put(nil, two, bus.Sample{T: ms(), V: 1})
		p := newPage(t, r.hub, 1<<20)
		defer p.close()
		a := p.ask(`{"query":"m","window":10}`)
		tick := func(n int) (last int64) {
			for range n {
				time.Sleep(time.Second)
				last = ms()
				r.put(nil, two, bus.Sample{T: last, V: 1})
			}
			return last
		}
		tick(30)
		if h := p.held(a.Room); len(h.samples) != 1 || h.samples[one.String()] == nil {
			t.Fatalf("the room of one series sends %v", h.names)
		}
		last := tick(int(r.hub.o.RingAge.Seconds()) + 30) // one is forgotten
		if _, ok := p.held(a.Room).samples[two.String()][last]; !ok {
			t.Error("nothing comes of the series that has the place now")
		}
	})
}

func TestStaleIsKnownAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newMemStore()
		r := newRig(t, st, nil)
		for range 5 {
			r.put(nil, seriesLabels(0, 0), bus.Sample{T: ms(), V: 1})
			time.Sleep(time.Second)
		}
		r.stop()
		time.Sleep(30 * time.Second)
		r = newRig(t, st, nil)
		defer r.stop()
		p := newPage(t, r.hub, 1<<20)
		defer p.close()
		a := p.ask(`{"query":"m"}`)
		if h := p.held(a.Room); h.state != wire.StateStale || len(h.samples) != 1 {
			t.Errorf("state %s, when the newest sample is half a minute old (%d series)", h.state, len(h.samples))
		}
	})
}

func TestPageThatWasSlowIsToldTheStateAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		ls := seriesLabels(0, 0)
		r.put(nil, ls, bus.Sample{T: ms(), V: 1})
		s := &stub{}
		c := r.hub.NewClient(s)
		defer c.Close()
		c.Subscribe(json.RawMessage(`{"query":"m"}`), nil)
		time.Sleep(10 * time.Second) // stale: it is told
		s.set(true)
		r.put(nil, ls, bus.Sample{T: ms(), V: 1})
		time.Sleep(time.Second) // live: it is not told
		s.set(false)
		c.Drained()
		for range 5 {
			r.put(nil, ls, bus.Sample{T: ms(), V: 1})
			time.Sleep(time.Second)
		}
		states := s.sent(wire.EventStatus)
		var last wire.Status
		if len(states) == 0 || json.Unmarshal(states[len(states)-1], &last) != nil || last.State != wire.StateLive {
			t.Errorf("the states that it was told: %s", states)
		}
	})
}

func TestEveryViewerIsToldTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		s := &stub{}
		c := r.hub.NewClient(s)
		defer c.Close()
		c.Subscribe(json.RawMessage(`{"query":"m"}`), nil)
		time.Sleep(time.Second)
		for i := range 10 {
			r.put(nil, seriesLabels(0, 0), bus.Sample{T: ms(), V: 1})
			time.Sleep(500 * time.Millisecond)
			if i == 1 { // its bootstrap brings the interval to light first
				q := newPage(t, r.hub, 1<<20)
				defer q.close()
				q.ask(`{"query":"m","window":7}`)
			}
			time.Sleep(500 * time.Millisecond)
		}
		told := int64(-1)
		for _, b := range s.sent(wire.EventUpdate) {
			var m wire.Update
			if err := json.Unmarshal(b, &m); err != nil {
				t.Fatal(err)
			}
			for _, d := range m.Series {
				told = d.IntervalMS
			}
		}
		if told < 900 || told > 1100 {
			t.Errorf("after ten samples a second apart the viewer was last told an interval of %d ms", told)
		}
	})
}

func TestLateSampleIsNotSentInNamespaceRoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		ls := seriesLabels(0, 0)
		now := ms()
		r.put(nil, ls, bus.Sample{T: now, V: 1})
		s := &stub{}
		c := r.hub.NewClient(s)
		defer c.Close()
		c.JoinRoot()
		time.Sleep(time.Second)
		r.put(nil, ls, bus.Sample{T: now - 5000, V: 2})
		time.Sleep(time.Second)
		if got := s.sent(wire.EventUpdate); len(got) != 0 {
			t.Errorf("a late sample was sent: %s", got)
		}
		r.put(nil, ls, bus.Sample{T: now - 4000, V: 2}, bus.Sample{T: now + 1, V: 3})
		time.Sleep(time.Second)
		if got := s.sent(wire.EventUpdate); len(got) != 1 {
			t.Errorf("updates: %s", got)
		}
	})
}

// The last column of a long window has not ended: no value may stand behind the
// newest sample, or the next update would go back in time.
func TestRootBootstrapOfALongWindowEndsAtTheNewestSample(t *testing.T) {
	hs := store.History{X0: 0, Step: 4000, M4: []float64{1, 0, 9, 2, 5, 4, 6, 5.5}, Newest: 5500}
	got := samplesOf(&hs)
	if n := len(got); n != 7 || got[n-1].T != 5500 {
		t.Errorf("samples %v", got)
	}
	for i := 1; i < len(got); i++ {
		if got[i].T <= got[i-1].T {
			t.Errorf("times do not ascend: %v", got)
		}
	}
}

// A room that forgets a series must still be able to send what the ring holds of it
// to a page that resumes.
func TestResumeBringsSamplesOfASeriesThatTheRoomHardlyKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		x, y := seriesLabels(0, 0), seriesLabels(0, 1)
		p := newPage(t, r.hub, 1<<20)
		r.put(nil, x, bus.Sample{T: ms(), V: 1})
		a := p.ask(`{"query":"m","window":3600}`)
		time.Sleep(time.Second)
		r.put(nil, x, bus.Sample{T: ms(), V: 2})
		since := p.held(a.Room).position
		p.close()
		time.Sleep(80 * time.Second) // the room is closed
		q := newPage(t, r.hub, 1<<20)
		defer q.close()
		q.ask(`{"query":"m","window":10}`)
		missed := ms()
		r.put(nil, x, bus.Sample{T: missed, V: 3})
		for range 60 {
			time.Sleep(time.Second)
			r.put(nil, y, bus.Sample{T: ms(), V: 3})
		}
		p2 := newPage(t, r.hub, 1<<20)
		defer p2.close()
		p2.rooms = p.rooms
		p2.ask(`{"query":"m","window":3600,"since":"` + since + `"}`)
		if _, ok := p2.held(a.Room).samples[x.String()][missed]; !ok || p2.stats.resumes != 1 {
			t.Errorf("resumed %d times; the sample at %d is missing", p2.stats.resumes, missed)
		}
	})
}

func TestSharedBootstrapHasTheTimeOfNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		r.put(nil, seriesLabels(0, 0), bus.Sample{T: ms(), V: 1})
		for i := range 2 {
			s := &stub{}
			c := r.hub.NewClient(s)
			defer c.Close()
			c.Subscribe(json.RawMessage(`{"query":"m"}`), nil)
			time.Sleep(400 * time.Millisecond)
			var m wire.Bootstrap
			if err := json.Unmarshal(s.sent(wire.EventBootstrap)[0], &m); err != nil {
				t.Fatal(err)
			}
			if d := ms() - m.Now; d > 1500 {
				t.Errorf("viewer %d: `now` of its bootstrap is %d ms old", i, d)
			}
			time.Sleep(28 * time.Second)
		}
	})
}

// storedButFailed commits, and says that it could not.
type storedButFailed struct {
	*memStore
	fail bool
}

func (s *storedButFailed) Append(rows []store.Row) error {
	err := s.memStore.Append(rows)
	if s.fail {
		s.fail = false
		return errCommit
	}
	return err
}

func TestFailedCommitThatWasStoredReachesThePageWithTheNextTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &storedButFailed{memStore: newMemStore()}
		r := newRig(t, st, nil)
		defer r.stop()
		ls := seriesLabels(0, 0)
		r.put(nil, ls, bus.Sample{T: ms(), V: 1})
		p := newPage(t, r.hub, 1<<20)
		defer p.close()
		a := p.ask(`{"query":"m","window":100}`)
		time.Sleep(time.Second)
		st.fail = true
		x := bus.Sample{T: ms(), V: 2}
		r.put(errCommit, ls, x)
		r.put(nil, ls, bus.Sample{T: ms() + 10, V: 3})
		r.put(nil, ls, bus.Sample{T: x.T, V: 7}) // somebody else, with another value: the stored one wins
		r.put(nil, ls, x)
		got := p.held(a.Room).samples[ls.String()]
		if v, ok := got[x.T]; !ok || v != 2 {
			t.Errorf("the page holds %v at %d (there: %v)", v, x.T, ok)
		}
	})
}

// A page that asks for another window while its first bootstrap is being written
// must not be thrown back by the first one.
func TestOldBootstrapDoesNotOvertakeANewOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newMemStore()
		st.delay = func() time.Duration { return time.Millisecond }
		r := newRig(t, st, nil)
		defer r.stop()
		ls := seriesLabels(0, 0)
		r.put(nil, ls, bus.Sample{T: ms(), V: 1})
		p := newPage(t, r.hub, 1<<20)
		defer p.close()
		p.client.Subscribe(json.RawMessage(`{"query":"m","window":100}`), func([]byte) { time.Sleep(time.Minute) }) // the goroutine is slow here
		time.Sleep(100 * time.Millisecond)
		answered := make(chan wire.Subscribed, 1)
		go func() { answered <- p.ask(`{"query":"m","window":200}`) }()
		time.Sleep(time.Second)
		want := ms()
		r.put(nil, ls, bus.Sample{T: want, V: 2})
		a := <-answered
		r.put(nil, ls, bus.Sample{T: ms(), V: 3})
		if got := p.held(a.Room).samples[ls.String()]; len(got) != 3 {
			t.Errorf("the page holds %v; one was at %d", got, want)
		}
	})
}
