package live

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/wire"
)

// What batches of a source with several series tell of a hole in its numbers; see holes. A series may lag, may have
// batches of its own, and may be seen for the first time behind the hole.

// putOf publishes a batch of another source.
func putOf(t *testing.T, l *fakeLog, source string, seq uint64, times map[int][]int64) {
	t.Helper()
	b := &bus.Batch{Sequence: bus.Sequence{Source: source, Seq: seq}}
	for n := range 10 {
		if of := times[n]; len(of) > 0 {
			y := bus.Series{Labels: seriesLabels(0, n)}
			for _, at := range of {
				y.Samples = append(y.Samples, bus.Sample{T: at, V: 1})
			}
			b.Series = append(b.Series, y)
		}
	}
	if err := l.Publish(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

// A batch of which nothing is accepted tells nothing, and ends no hole: a series that is seen behind it has its gap.
func TestABatchOfWhichNothingIsAcceptedForgetsNoHole(t *testing.T) {
	for name, ahead := range map[string]int64{"refused": 400_000, "empty": 0} {
		t.Run(name, func(t *testing.T) {
			holes(t, func(t *testing.T, l *fakeLog, restart func()) map[int][]int64 {
				for seq := range uint64(10) {
					putSeries(t, l, seq+1, map[int][]int64{0: {ms()}})
					time.Sleep(time.Second)
				}
				lost := ms() // batch 11, in which series 1 begins
				restart()
				time.Sleep(3 * time.Second)
				putSeries(t, l, 12, map[int][]int64{0: {ms()}})
				time.Sleep(time.Second)
				between := map[int][]int64{}
				if ahead > 0 {
					between[0] = []int64{ms() + ahead}
				}
				putSeries(t, l, 13, between)
				time.Sleep(time.Second)
				putSeries(t, l, 14, map[int][]int64{0: {ms()}, 1: {ms()}})
				return map[int][]int64{0: {lost}, 1: {lost}}
			})
		})
	}
}

// A slow target of a collector has batches of its own, with the time at which it was asked. Where such a batch is the
// first behind a hole, the hole of the other series ends later than its time.
func TestABatchOfASlowTargetDoesNotEndALongHole(t *testing.T) {
	holes(t, func(t *testing.T, l *fakeLog, restart func()) map[int][]int64 {
		seq, lost := uint64(0), map[int][]int64{}
		tick := func(i int, arrives bool) {
			seq++
			if arrives {
				putSeries(t, l, seq, map[int][]int64{0: {ms()}})
			} else {
				lost[0] = append(lost[0], ms())
			}
			time.Sleep(500 * time.Millisecond)
			if i%10 == 4 { // the answer to what was asked 4.5 s ago
				seq++
				if at := ms() - 4500; arrives || i == 74 {
					putSeries(t, l, seq, map[int][]int64{1: {at}})
				} else {
					lost[1] = append(lost[1], at)
				}
			}
			time.Sleep(500 * time.Millisecond)
		}
		for i := range 60 {
			tick(i, true)
		}
		restart()
		for i := 60; i < 75; i++ {
			tick(i, false)
		}
		for i := 75; i < 100; i++ {
			tick(i, true)
		}
		return lost
	})
}

// A series of another source may have been in a missing batch too, though its source is known.
func TestASeriesOfAnotherSourceIsInTheHole(t *testing.T) {
	holes(t, func(t *testing.T, l *fakeLog, restart func()) map[int][]int64 {
		others := uint64(0)
		other := func() {
			others++
			putOf(t, l, "other", others, map[int][]int64{1: {ms()}})
			time.Sleep(time.Second)
		}
		for seq := range uint64(10) {
			putSeries(t, l, seq+1, map[int][]int64{0: {ms()}})
			other()
		}
		lost := ms() + 1 // batch 11
		other()
		restart()
		time.Sleep(time.Second)
		putSeries(t, l, 12, map[int][]int64{0: {ms()}})
		other()
		putSeries(t, l, 13, map[int][]int64{0: {ms()}, 1: {ms() + 1}})
		return map[int][]int64{0: {lost}, 1: {lost}}
	})
}

// A series that is written in blocks lacks the whole block.
func TestTheFirstBlockOfASeriesIsInTheHole(t *testing.T) {
	holes(t, func(t *testing.T, l *fakeLog, restart func()) map[int][]int64 {
		block := func() (times []int64) {
			for i := range int64(10) {
				times = append(times, ms()-9000+i*1000)
			}
			return times
		}
		for seq := range uint64(20) {
			putSeries(t, l, seq+1, map[int][]int64{0: {ms()}})
			time.Sleep(time.Second)
		}
		lost := map[int][]int64{0: {ms()}, 1: block()} // batch 21
		restart()
		time.Sleep(time.Second)
		putSeries(t, l, 22, map[int][]int64{0: {ms()}})
		time.Sleep(9 * time.Second)
		putSeries(t, l, 23, map[int][]int64{0: {ms()}, 1: block()})
		return lost
	})
}

// A source that was away for five minutes has dropped the first two of them. Its gap is as long as that, also of a
// series that begins in what it delivers late, of one that lags, and beside one whose time stands still.
func TestAGapIsNoLongerThanWhatWasDropped(t *testing.T) {
	const lag = 3000
	for _, stands := range []bool{false, true} {
		t.Run(fmt.Sprint("a time stands still: ", stands), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFakeLog()
				r := newReplica(t, l)
				began := ms()
				batch := func(at int64, more ...int) map[int][]int64 {
					x := map[int][]int64{0: {at}, 1: {at - lag}}
					if stands {
						x[5] = []int64{began}
					}
					for _, n := range more {
						x[n] = []int64{at}
					}
					return x
				}
				for i := range uint64(900) {
					putSeries(t, l, i+1, batch(ms()))
					time.Sleep(time.Second)
				}
				from := ms()
				time.Sleep(5 * time.Minute)
				putDropped(t, l, 1021, 120, from-1000, batch(from+120_000))
				for i := uint64(121); i < 300; i++ {
					more := []int{3}[:min(1, i/200)]
					putSeries(t, l, 901+i, batch(from+int64(i)*1000, more...))
					time.Sleep(10 * time.Millisecond)
				}
				for i := range uint64(60) {
					more := []int{3, 4}[:1+min(1, i/20)]
					putSeries(t, l, 1201+i, batch(ms(), more...))
					time.Sleep(time.Second)
				}
				told := toldOf(t, r.hub)
				r.stop()
				for n := range 5 {
					gs := told[seriesLabels(0, n).String()]
					if n != 2 && len(gs) == 0 {
						t.Errorf("series %d has no gap", n)
					}
					for _, g := range gs {
						if g.From < from-1000-lag-1 || g.To > from+120_000+1000 {
							t.Errorf("series %d has a gap from %d to %d s of the 120 s that were dropped", n, (g.From-from)/1000, (g.To-from)/1000)
						}
					}
				}
			})
		})
	}
}

// Random holes of a source whose series each lag by a time of their own, and of which one is in every batch.
func TestRandomHolesOfLaggingSeriesAreGaps(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			const series, steps = 6, 100
			rng := rand.New(rand.NewPCG(seed, 7))
			l := newFakeLog()
			r := newReplica(t, l)
			var lag [series]int64
			var born, every [series]int
			for n := range series {
				every[n] = 1
				if n > 0 {
					lag[n], born[n], every[n] = int64(rng.IntN(5000)), rng.IntN(steps), 1+rng.IntN(4)
				}
			}
			lost := map[int][]int64{}
			seq, hole := uint64(0), 0
			for step := range steps {
				times := map[int][]int64{}
				for n := range series {
					if step >= born[n] && rng.IntN(every[n]) == 0 {
						times[n] = []int64{ms() - lag[n]}
					}
				}
				if hole == 0 && step > 2 && rng.IntN(15) == 0 {
					hole = 1 + rng.IntN(12)
					if rng.IntN(3) == 0 {
						time.Sleep(6 * time.Second)
						r.restart(rng.IntN(2) == 0, 0, time.Second)
					}
				}
				seq++
				if hole == 0 || step == steps-1 {
					putSeries(t, l, seq, times)
				} else {
					for n := range times {
						lost[n] = append(lost[n], times[n]...)
					}
					hole--
				}
				time.Sleep(time.Duration(200+rng.IntN(1500)) * time.Millisecond)
			}
			seq++
			last := map[int][]int64{}
			for n := range series {
				last[n] = []int64{ms() - lag[n]}
			}
			putSeries(t, l, seq, last)
			time.Sleep(time.Second)
			told := toldOf(t, r.hub)
			r.stop()
			for n, times := range lost {
				for _, at := range times {
					if !told.hold(seriesLabels(0, n), at) {
						t.Errorf("seed %d: series %d, which lags by %d ms, lacks %d in no gap of %+v", seed, n, lag[n], at, told[seriesLabels(0, n).String()])
					}
				}
			}
		})
	}
}

// The number of matching series that an answer tells is the one that counts as told.
func TestASeriesThatIsBornWhileAPageIsAnsweredIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		r.put(nil, seriesLabels(0, 0), bus.Sample{T: ms(), V: 1})
		p := newPage(t, r.hub, 1<<20)
		a := p.ask(`{"query":"m","window":900}`)
		away := p.held(a.Room)
		p.close()
		stays := newPage(t, r.hub, 1<<20)
		defer stays.close()
		stays.ask(`{"query":"m","window":900}`)
		s := &stub{}
		c := r.hub.NewClient(s)
		defer c.Close()
		arg, _ := json.Marshal(map[string]any{"query": "m", "window": 900, "since": away.position})
		told := 0
		c.Subscribe(arg, func(b []byte) {
			var m wire.Subscribed
			if err := json.Unmarshal(b, &m); err != nil {
				t.Errorf("%s: %v", b, err)
			}
			told = m.Matched
			r.put(nil, seriesLabels(0, 1), bus.Sample{T: ms(), V: 1})
			time.Sleep(5 * time.Millisecond) // writing the answer takes time
		})
		time.Sleep(time.Second)
		for _, b := range s.sent(wire.EventUpdate) {
			var u wire.Update
			if err := json.Unmarshal(b, &u); err != nil {
				t.Fatal(err)
			}
			if u.Matched != nil {
				told = *u.Matched
			}
		}
		if told != 2 {
			t.Errorf("the page was told last that %d match, want 2", told)
		}
	})
}

// A history in the middle of a long gap names it, though the nearest samples are hours away.
func TestAHistoryInTheMiddleOfALongGapNamesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := &replica{t: t, log: l, store: newMemStore(), change: func(o *Options) { o.Limits.Window = 24 * 3600 }}
		r.start()
		defer func() { r.stop() }()
		putSeries(t, l, 1, map[int][]int64{0: {ms()}})
		time.Sleep(3 * time.Hour)
		inside := ms()
		time.Sleep(3 * time.Hour)
		putSeries(t, l, 3, map[int][]int64{0: {ms()}})
		time.Sleep(time.Second)
		c := r.hub.NewClient(&stub{})
		defer c.Close()
		answer := make(chan []byte, 1)
		c.History(fmt.Appendf(nil, `{"query":"m","from":%d,"to":%d}`, inside-60_000, inside+60_000), func(b []byte) { answer <- b })
		var m wire.HistoryAnswer
		if b := <-answer; json.Unmarshal(b, &m) != nil || !m.OK || len(m.Gaps) != 1 || len(m.Series) != 1 {
			t.Errorf("the history is %s", b)
		}
	})
}
