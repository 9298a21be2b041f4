package live

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/wire"
)

// spans is what a viewer is told of gaps, by the labels of their series.
type spans map[string][]wire.Gap

// toldOf returns the gaps that a new viewer of a server is told of.
func toldOf(t *testing.T, h *Hub) spans {
	t.Helper()
	s := &stub{}
	c := h.NewClient(s)
	defer c.Close()
	c.Subscribe(json.RawMessage(`{"query":"m","window":100000}`), nil)
	time.Sleep(time.Second)
	names := map[int]string{}
	for _, b := range append(s.sent(wire.EventBootstrap), s.sent(wire.EventUpdate)...) {
		var m struct{ Series []wire.Descriptor }
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		for _, d := range m.Series {
			names[d.ID] = d.Labels.String()
		}
	}
	out := spans{}
	for _, g := range told(t, s) {
		for _, id := range g.IDs {
			out[names[id]] = append(out[names[id]], g)
		}
	}
	return out
}

func (s spans) hold(ls labels.Labels, at int64) bool {
	return slices.ContainsFunc(s[ls.String()], func(g wire.Gap) bool { return g.From < at && at < g.To })
}

// put publishes samples of one series from a writer without numbers.
func put(t *testing.T, b bus.Bus, ls labels.Labels, times ...int64) {
	t.Helper()
	x := &bus.Batch{Series: []bus.Series{{Labels: ls}}}
	for _, at := range times {
		x.Series[0].Samples = append(x.Series[0].Samples, bus.Sample{T: at, V: 1})
	}
	if err := b.Publish(t.Context(), x); err != nil {
		t.Fatal(err)
	}
}

// putSeries publishes a batch of a source, with the times of each of its series.
func putSeries(t *testing.T, b bus.Bus, seq uint64, times map[int][]int64) {
	t.Helper()
	putDropped(t, b, seq, 0, 0, times)
}

func putDropped(t *testing.T, b bus.Bus, seq, dropped uint64, after int64, times map[int][]int64) {
	t.Helper()
	x := &bus.Batch{Sequence: bus.Sequence{Source: "s", Seq: seq, Dropped: dropped, DroppedAfter: after}}
	for n := range 10 {
		if of := times[n]; len(of) > 0 {
			y := bus.Series{Labels: seriesLabels(0, n)}
			for _, at := range of {
				y.Samples = append(y.Samples, bus.Sample{T: at, V: 1})
			}
			x.Series = append(x.Series, y)
		}
	}
	if err := b.Publish(t.Context(), x); err != nil {
		t.Fatal(err)
	}
}

// What the log dropped while a server was away may have been measured long before it came
// into the log, by a writer that delivers what it could not send, or a little ahead.
// All of that is in the gap.
func TestWhatATrimmedLogHeldIsInTheGapWheneverItWasMeasured(t *testing.T) {
	for _, away := range []time.Duration{5 * time.Minute, 3 * time.Hour} {
		t.Run(away.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFakeLog()
				r := newReplica(t, l)
				regular, backlog, late, ahead, dead := seriesLabels(0, 0), seriesLabels(0, 1), seriesLabels(0, 2), seriesLabels(0, 3), seriesLabels(0, 4)
				var first int64 // that the backlog's writer could not send
				for i := range 600 {
					now := ms()
					put(t, l, regular, now)
					put(t, l, ahead, now)
					put(t, l, dead, now)
					put(t, l, late, now)
					if i%60 == 30 {
						put(t, l, late, now-200_500)
					}
					if i < 100 {
						put(t, l, backlog, now)
						first = now + 1000
					}
					time.Sleep(time.Second)
				}
				var lost []struct {
					ls labels.Labels
					at int64
				}
				lose := func(ls labels.Labels, at ...int64) {
					put(t, l, ls, at...)
					for _, x := range at {
						lost = append(lost, struct {
							ls labels.Labels
							at int64
						}{ls, x})
					}
				}
				go func() {
					time.Sleep(2 * time.Second)
					now := ms()
					lose(regular, now)
					lose(backlog, first, now-60_000, now)
					lose(late, now-200_000)
					lose(dead, now)
					time.Sleep(away - 10*time.Second)
					lose(ahead, ms()+59_000)
					lose(regular, ms())
					put(t, l, regular, ms()+1)
					l.trim(1)
				}()
				r.restart(false, 0, away)
				for range 40 {
					put(t, l, regular, ms())
					put(t, l, ahead, ms())
					put(t, l, late, ms())
					time.Sleep(time.Second)
				}
				told := toldOf(t, r.hub)
				for _, x := range lost {
					if !told.hold(x.ls, x.at) {
						t.Errorf("%s at %d, %d s from now, is missing and in none of the gaps %+v", x.ls, x.at, (x.at-ms())/1000, told[x.ls.String()])
					}
				}
				r.stop()
				if n := len(declared(r.hub)); n > 6 {
					t.Errorf("%d gaps for one loss", n)
				}
			})
		})
	}
}

// A writer that was never late does not make a gap longer than what was lost.
func TestTheGapOfRegularWritersIsNotMuchLongerThanTheLoss(t *testing.T) {
	play(t, `
		write 600
		mark from
		restart 61s
			write 60
			trim 1
		mark to
		write 40
		expect gap from>=from-12s to<=to+62s
	`)
}

// A series that began in what was lost may lack its beginning.
func TestASeriesThatBeganInWhatWasLostHasAGap(t *testing.T) {
	for _, numbered := range []bool{false, true} {
		t.Run(fmt.Sprint("numbered ", numbered), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFakeLog()
				r := newReplica(t, l)
				tick := func(n int) {
					for range n {
						put(t, l, seriesLabels(0, 0), ms())
						time.Sleep(time.Second)
					}
				}
				seq := uint64(0)
				write := func() int64 {
					seq++
					if numbered {
						putSeries(t, l, seq, map[int][]int64{7: {ms()}})
					} else {
						put(t, l, seriesLabels(0, 7), ms())
					}
					return ms()
				}
				tick(60)
				var lost int64
				go func() {
					lost = write()
					tick(58)
					l.trim(1)
				}()
				r.restart(false, 0, time.Minute)
				tick(60)
				write() // it writes once in two minutes
				tick(60)
				write()
				tick(10)
				if told := toldOf(t, r.hub); !told.hold(seriesLabels(0, 7), lost) {
					t.Errorf("what began in the lost part and is missing at %d is in none of %+v", lost, told)
				}
				r.stop()
			})
		})
	}
}

// holes runs a source whose batches have several times, on a server that may be started
// anew before the hole. during publishes, and returns the times that are missing.
func holes(t *testing.T, during func(t *testing.T, l *fakeLog, restart func()) map[int][]int64) {
	t.Helper()
	for _, restarted := range []bool{false, true} {
		t.Run(fmt.Sprint("restarted ", restarted), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFakeLog()
				r := newReplica(t, l)
				missing := during(t, l, func() {
					if restarted {
						time.Sleep(6 * time.Second)
						r.restart(false, 0, time.Second)
					}
				})
				time.Sleep(time.Second)
				told := toldOf(t, r.hub)
				for n, times := range missing {
					for _, at := range times {
						if !told.hold(seriesLabels(0, n), at) {
							t.Errorf("series %d at %d (%d s ago) is missing, and in none of %+v", n, at, (ms()-at)/1000, told[seriesLabels(0, n).String()])
						}
					}
				}
				r.stop()
				if n := len(declared(r.hub)); n > 3 {
					t.Errorf("%d gaps for one hole", n)
				}
			})
		})
	}
}

func TestAHoleBeginsAtWhatWasAcceptedLast(t *testing.T) {
	holes(t, func(t *testing.T, l *fakeLog, restart func()) map[int][]int64 {
		putSeries(t, l, 1, map[int][]int64{0: {ms()}})
		time.Sleep(time.Second)
		putSeries(t, l, 2, map[int][]int64{0: {ms(), ms() + 400_000}}) // the second one is refused
		time.Sleep(time.Second)
		lost := ms() // batch 3
		restart()
		time.Sleep(5 * time.Second)
		putSeries(t, l, 4, map[int][]int64{0: {ms()}})
		return map[int][]int64{0: {lost}}
	})
}

func TestAHoleBeforeABatchOfWhichNothingIsAcceptedIsDeclared(t *testing.T) {
	holes(t, func(t *testing.T, l *fakeLog, restart func()) map[int][]int64 {
		putSeries(t, l, 1, map[int][]int64{0: {ms()}})
		time.Sleep(time.Second)
		lost := ms() // batch 2
		restart()
		time.Sleep(time.Second)
		putSeries(t, l, 3, map[int][]int64{0: {ms() + 400_000}})
		return map[int][]int64{0: {lost}}
	})
}

func TestAHoleBeforeABatchOfLateSamplesEndsWhereTheLogIs(t *testing.T) {
	holes(t, func(t *testing.T, l *fakeLog, restart func()) map[int][]int64 {
		for seq := range uint64(10) {
			putSeries(t, l, seq+1, map[int][]int64{0: {ms()}, 1: {ms()}})
			time.Sleep(time.Second)
		}
		lost := []int64{ms(), ms() + 1000}
		restart()
		time.Sleep(3 * time.Second)
		putSeries(t, l, 13, map[int][]int64{0: {lost[0] - 7500}})
		time.Sleep(time.Second)
		putSeries(t, l, 14, map[int][]int64{0: {ms()}, 1: {ms()}})
		return map[int][]int64{0: lost, 1: lost}
	})
}

func TestAHoleInWhichTheClockWasSetBackHoldsWhatWasMeasuredThen(t *testing.T) {
	holes(t, func(t *testing.T, l *fakeLog, restart func()) map[int][]int64 {
		for seq := range uint64(60) {
			putSeries(t, l, seq+1, map[int][]int64{0: {ms()}})
			time.Sleep(time.Second)
		}
		lost := []int64{ms(), ms() + 1000 - 30_000, ms() + 2000 - 30_000} // set back between the first and the second
		restart()
		time.Sleep(3 * time.Second)
		putSeries(t, l, 64, map[int][]int64{0: {ms() - 30_000}})
		return map[int][]int64{0: lost}
	})
}

func TestASeriesThatLagsHasItsOwnHole(t *testing.T) {
	holes(t, func(t *testing.T, l *fakeLog, restart func()) map[int][]int64 {
		const lag = 40_000
		for seq := range uint64(60) {
			putSeries(t, l, seq+1, map[int][]int64{0: {ms()}, 1: {ms() - lag, ms() - lag + 500}})
			time.Sleep(time.Second)
		}
		lost := ms()
		restart()
		time.Sleep(5 * time.Second)
		putSeries(t, l, 62, map[int][]int64{0: {ms()}, 1: {ms() - lag}})
		return map[int][]int64{0: {lost}, 1: {lost - lag, lost - lag + 500}}
	})
}

// A batch that holds the lagging series only does not end the hole of the others.
func TestABatchOfALaggingSeriesDoesNotEndTheHoleOfOthers(t *testing.T) {
	holes(t, func(t *testing.T, l *fakeLog, restart func()) map[int][]int64 {
		const lag = 40_000
		seq := uint64(0)
		next := func(times map[int][]int64) {
			seq++
			putSeries(t, l, seq, times)
			time.Sleep(500 * time.Millisecond)
		}
		for range 60 {
			next(map[int][]int64{0: {ms()}})
			next(map[int][]int64{1: {ms() - lag}})
		}
		lost := ms()
		seq++
		restart()
		time.Sleep(time.Second)
		next(map[int][]int64{1: {ms() - lag}})
		next(map[int][]int64{0: {ms()}})
		return map[int][]int64{0: {lost}}
	})
}

// Where the hole of a series that is seen for the first time begins, the newest series of its source shows,
// though the batches behind the hole do not hold that one.
func TestALaggingSeriesThatIsSeenAfterTheHoleHasItsOwnHole(t *testing.T) {
	const lag = 2000
	for name, before := range map[string]map[int][]int64{"the lag is known": {0: {0}, 1: {-lag}}, "the lag is not known": {0: {0}}} {
		t.Run(name, func(t *testing.T) {
			holes(t, func(t *testing.T, l *fakeLog, restart func()) map[int][]int64 {
				next := func(seq uint64, after time.Duration, times map[int][]int64) {
					time.Sleep(after)
					now := map[int][]int64{}
					for n := range times {
						now[n] = []int64{ms() + times[n][0]}
					}
					putSeries(t, l, seq, now)
				}
				next(1, time.Second, before)
				lost := ms() + 100 // batch 2
				restart()
				next(3, 600*time.Millisecond, map[int][]int64{1: {-lag}})
				next(4, 200*time.Millisecond, map[int][]int64{1: {-lag}, 2: {-lag}})
				return map[int][]int64{1: {lost - lag}, 2: {lost - lag}}
			})
		})
	}
}

// A history that lies inside a gap names the gap of a series that has no sample there.
func TestAHistoryInsideAGapNamesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		defer func() { r.stop() }()
		putSeries(t, l, 1, map[int][]int64{0: {ms()}, 1: {ms()}})
		time.Sleep(time.Minute)
		put(t, l, seriesLabels(1, 0), ms())
		inside := ms()
		time.Sleep(time.Minute)
		putSeries(t, l, 3, map[int][]int64{0: {ms()}})
		time.Sleep(time.Second)
		c := r.hub.NewClient(&stub{})
		defer c.Close()
		answer := make(chan []byte, 1)
		c.History(fmt.Appendf(nil, `{"query":"m","from":%d,"to":%d}`, inside-1000, inside+1000), func(b []byte) { answer <- b })
		var m wire.HistoryAnswer
		if b := <-answer; json.Unmarshal(b, &m) != nil || !m.OK {
			t.Fatalf("history was answered with %s", b)
		}
		named := map[string]bool{}
		for _, g := range m.Gaps {
			for _, id := range g.IDs {
				named[m.Series[id].Labels.String()] = g.From < inside && inside < g.To
			}
		}
		for _, n := range []int{0, 1} {
			if ls := seriesLabels(0, n).String(); !named[ls] {
				t.Errorf("%s lacks samples, and the history names the gaps %+v of %+v", ls, m.Gaps, m.Series)
			}
		}
		if ls := seriesLabels(1, 0).String(); named[ls] || len(m.Series) != 3 || m.Matched != 1 {
			t.Errorf("%d of the series %+v match; %s in a gap: %v", m.Matched, m.Series, ls, named[ls])
		}
	})
}

// What its source says of a hole counts for a server that knows the source too.
func TestAHoleBeginsWhereItsSourceSaysSo(t *testing.T) {
	holes(t, func(t *testing.T, l *fakeLog, restart func()) map[int][]int64 {
		for seq := range uint64(60) {
			putSeries(t, l, seq+1, map[int][]int64{0: {ms()}})
			time.Sleep(time.Second)
		}
		after := ms() - 30_000
		restart()
		time.Sleep(5 * time.Second)
		putDropped(t, l, 64, 3, after, map[int][]int64{0: {ms()}})
		return map[int][]int64{0: {after + 1}}
	})
}

// A number far beyond the one before is not its source's: taken for that, it would have the
// source's next batches skipped as copies.
func TestANumberThatIsFarAheadDoesNotSilenceItsSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		putSeries(t, l, 1, map[int][]int64{0: {ms()}})
		time.Sleep(time.Second)
		putSeries(t, l, 1<<63, map[int][]int64{0: {ms() + 59_000}})
		time.Sleep(time.Second)
		at := ms()
		putSeries(t, l, 2, map[int][]int64{0: {at}})
		time.Sleep(time.Second)
		if _, there := r.store.value(seriesLabels(0, 0), at); !there || len(declared(r.hub)) > 0 {
			t.Errorf("the source's next batch is there: %v; %d gaps", there, len(declared(r.hub)))
		}
		r.stop()
	})
}

// The saver forgets sources that were not heard of for long. One whose first batch is on
// its way is none of them.
func TestASourceWhoseFirstBatchIsOnItsWayIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		began := time.Now()
		r.store.mu.Lock()
		r.store.fail = func() error {
			if time.Since(began) < 20*time.Second {
				return errCommit
			}
			return nil
		}
		r.store.mu.Unlock()
		putSeries(t, l, 1, map[int][]int64{0: {ms()}})
		time.Sleep(30 * time.Second)
		putSeries(t, l, 3, map[int][]int64{0: {ms()}})
		time.Sleep(time.Second)
		r.stop()
		if n := len(declared(r.hub)); n != 1 {
			t.Errorf("%d gaps of a source whose numbers jump, want one", n)
		}
	})
}
