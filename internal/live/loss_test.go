package live

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/recent"
)

// seriesOfSource selects what a publisher of the tests writes.
const seriesOfSource = `{"query":"m{source=\"0\"}","window":3600}`

// resumeOn closes p and returns a page on a server that continues where p was.
func (p *page) resumeOn(t *testing.T, h *Hub) *page {
	t.Helper()
	return p.resumeWith(t, h, `m{source=\"0\"}`)
}

func (p *page) resumeWith(t *testing.T, h *Hub, query string) *page {
	t.Helper()
	since := ""
	for _, room := range p.rooms {
		since = room.position
	}
	p.close()
	q := newPage(t, h, 1<<20)
	q.rooms = p.rooms
	q.ask(`{"query":"` + query + `","window":3600,"since":"` + since + `"}`)
	return q
}

// A log that loses its end while no server looks (the machine that all run on is
// started again) has the same epoch afterwards. A server that begins to read it
// before the place that it knows must notice all the same: the copies that the
// source resends are known to it, but not to a page that was away meanwhile.
func TestAServerThatStartsNoticesWhatTheLogHasLostMeanwhile(t *testing.T) {
	for _, order := range []string{"start\nresend 10", "resend 10\nstart"} {
		play(t, `publish 100
page joins
page is away
publish 8
stop
lose 8 unseen
`+order+`
publish 3
page resumes
page holds all
expect no gaps`)
	}
}

func TestALossIsDeclaredByTheNextLifeOfAServer(t *testing.T) {
	for _, restart := range []string{"restart 0s", "restart 0s kill"} {
		play(t, `publish 20 0 1
lose 3
publish 8
`+restart+`
publish 40
expect gap S=1 reason=log_lost`)
	}
}

func TestTwoLossesAreDeclaredFromTheFirst(t *testing.T) {
	play(t, `
		publish 20 0 1
		mark first
		lose 3
		publish 8
		lose 1
		publish 40
		expect gap S=1 from<=first-1s
	`)
}

// What a server reads late it has still read: patience is counted in log time.
func TestAServerThatCatchesUpSlowlyDeclaresNoGapOfWhoIsStillThere(t *testing.T) {
	play(t, `
		publish 60 0 1
		lose 3
		slow 300ms
		resend 10 0 1
		publish 90 0 1
		wait 1m
		expect no gaps
	`)
}

func TestTheSavedPositionDoesNotOvertakeAGapThatCannotBeSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		one := &publisher{log: l, source: 0, want: &sharedTruth{truth: truth{}}}
		rng := rand.New(rand.NewPCG(1, 1))
		tick := func(n int) { one.tick(rng, n) }
		tick(100)
		r.store.mu.Lock()
		r.store.noGaps = true
		r.store.mu.Unlock()
		one.next(rng) // dropped
		tick(20)
		r.store.mu.Lock()
		r.store.noGaps = false
		notes := maps.Clone(r.store.notes)
		r.store.mu.Unlock()
		r.stop()
		r.store.notes = notes // killed
		r.start()
		tick(1)
		r.stop()
		if n := len(declared(r.hub)); n != 1 {
			t.Errorf("%d gaps after a kill, want the one that was declared before", n)
		}
	})
}

// What the power loss cost is applied again, also when the start that does it is
// interrupted and the next one finds nothing wrong.
func TestAnInterruptedRepairGoesOnAtTheNextStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		want := &sharedTruth{truth: truth{}}
		one := &publisher{log: l, source: 0, want: want}
		rng := rand.New(rand.NewPCG(1, 1))
		for range 200 {
			one.publish(one.next(rng))
			time.Sleep(time.Second)
		}
		r.stop()
		r.store.forget(150)
		r.store.damaged = true
		h, err := New(Options{Bus: l, Store: r.store, Transport: fakeTransport{}, DefaultSeries: "m", Replica: true})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		r.store.fail = func() error { cancel(); return errCommit } // killed before anything is done
		_ = h.Run(ctx)
		h.Close()
		r.store.fail, r.store.damaged = nil, false
		r.start()
		p := newPage(t, r.hub, 1<<20)
		p.ask(seriesOfSource)
		settleReplicas(t, 0, []*page{p}, want)
		p.close()
		r.stop()
	})
}

// A batch without samples that comes after a loss does not hide it.
func TestAnEmptyBatchDoesNotHideAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		one := &publisher{log: l, source: 0, want: &sharedTruth{truth: truth{}}}
		rng := rand.New(rand.NewPCG(1, 1))
		one.publish(one.next(rng))
		time.Sleep(time.Second)
		one.next(rng) // dropped
		empty := one.next(rng)
		empty.Series = nil
		_ = l.Publish(t.Context(), empty)
		time.Sleep(time.Second)
		one.publish(one.next(rng))
		time.Sleep(time.Second)
		r.stop()
		if n := len(declared(r.hub)); n != 1 {
			t.Errorf("%d gaps, want one", n)
		}
	})
}

// Two servers find out about one loss at different entries. A page that goes from
// the later one to the earlier one between them is told.
func TestAPageThatResumesIsToldOfGapsThatItsServerDidNotKnowYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		one := &publisher{log: l, source: 0, want: &sharedTruth{truth: truth{}}}
		rng := rand.New(rand.NewPCG(1, 1))
		for n := range 20 {
			b := one.next(rng)
			if n != 10 { // dropped
				one.publish(b)
			}
			time.Sleep(time.Second)
		}
		end, _ := l.End(t.Context())
		s := &stub{}
		c := r.hub.NewClient(s)
		defer c.Close()
		arg, _ := json.Marshal(map[string]any{"query": "m", "window": 3600, "since": end.String()})
		c.Subscribe(arg, nil)
		time.Sleep(time.Second)
		if gs := told(t, s); len(gs) != 1 {
			t.Errorf("told %+v, want the gap that reaches into the window", gs)
		}
		r.stop()
	})
}

// What was shown while the disk was full, and left the log before there was room,
// is in no history.
func TestADiskThatIsFullForLongerThanTheLogIsKeptLeavesAGap(t *testing.T) {
	play(t, `
		publish 30
		mark full
		disk full
		publish 60
		trim 20
		mark trimmed
		disk empty
		publish 5
		expect gap S=0 series=3 from<=full-1s to>=trimmed-21s
	`)
}

// A spool that was restored from a backup uses numbers again.
func TestASourceWhoseNumbersWentBackIsHeard(t *testing.T) {
	play(t, `
		page joins
		publish 20
		number 5
		publish 10
		page holds all
	`)
}

// A server that was killed does not know its last seconds. A source that is heard in
// what is left of them, and then never again, may have lost what came after.
func TestASourceThatDiedIsDeclaredByAServerThatWasAway(t *testing.T) {
	play(t, `
		publish 20 0 1
		restart 1s kill
			wait 1ms
			lose 3
		publish 40
		expect gap S=1
	`)
}

// Losses that come soon one after the other are judged together. What a source lacks
// is still the log's fault when it was heard between them.
func TestWhatASecondLossHasTakenIsNotItsSourcesFault(t *testing.T) {
	play(t, `
		publish 20
		lose 1
		publish 5
		drop 4
		lose 1
		publish 25
		expect gap reason=log_lost
	`)
}

// A server that is killed in the first seconds of its life has samples, and so has to
// know what it missed.
func TestAServerThatIsKilledSoonAfterItsFirstStartKnowsWhatItMissed(t *testing.T) {
	play(t, `
		wait 1s
		publish 3
		restart 20s kill
			wait 1s
			publish 10
			trim 2
		publish 3
		expect gap reason=log_trimmed
	`)
}

// What a source that dies has measured is in the log a moment later, and another's
// batch in between. Lost with the log's end, it is in the gap all the same.
func TestWhatWasMeasuredBeforeTheLossIsInTheGap(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		t.Run(fmt.Sprint("the server was restarted: ", restarted), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFakeLog()
				r := newReplica(t, l)
				rng := rand.New(rand.NewPCG(1, 1))
				want := &sharedTruth{truth: truth{}}
				lives, dies := &publisher{log: l, source: 0, want: want}, &publisher{log: l, source: 1, want: want}
				for range 100 {
					dies.publish(dies.next(rng))
					lives.tick(rng, 1)
				}
				lost := ms()
				dies.next(rng) // acknowledged behind the next one, and lost before anybody read it
				time.Sleep(20 * time.Millisecond)
				lives.publish(lives.next(rng))
				if time.Sleep(20 * time.Millisecond); restarted {
					r.stop()
				}
				l.lose(0)
				if restarted {
					r.start()
				}
				lives.tick(rng, 60)
				r.stop()
				if !slices.ContainsFunc(declared(r.hub), func(g *recent.Gap) bool {
					return g.Series.Has(recent.Hash(seriesLabels(1, 0))) && g.From < lost && lost < g.To
				}) {
					t.Errorf("what was measured at %d and lost is in no gap", lost)
				}
			})
		})
	}
}

// A page is told what the log has lost also where nobody writes any more.
func TestALossIsDeclaredWhileNothingIsWritten(t *testing.T) {
	play(t, `
		write 10
		restart 30s kill
			wait 500ms
			write 20
			trim 1
		expect gap after=1m reason=log_trimmed
	`)
}

func TestAServerThatWasAwayForTooLongSaysSo(t *testing.T) {
	play(t, `
		publish 90
		mark away
		restart 61s
			publish 60
			trim 5
		publish 30
		expect gap reason=log_trimmed from<=away to>=away+49s
	`)
}

// Nothing tells of a source that published into what the log lost and then died,
// except that it is not heard of any more.
func TestASourceThatDiedWithTheLogsEndIsInAGap(t *testing.T) {
	play(t, `
		publish 20 0 1
		lose 3
		publish 40
		expect gap series=3 reason=log_lost
	`)
}

// A server that is killed right after its very first start knows all the same what
// it has missed when it comes back.
func TestAServerKilledAtOnceKnowsWhatItMissed(t *testing.T) {
	play(t, `
		publish 1
		restart 25s kill
			publish 20
			trim 3
		publish 30
		expect gap reason=log_trimmed
	`)
}

// Losses that follow quickly are judged together, but a source that was heard of
// between them misses nothing, and a start in that time does not begin anew.
func TestLossesThatFollowQuicklyDeclareNothingThatIsThere(t *testing.T) {
	play(t, strings.Repeat("publish 4\nlose 2\nresend 10\n", 20)+`
wait 6s
restart 1s kill
publish 30
page joins
page holds all
expect no gaps`)
}

// The log went on for five minutes while a server was away, and then lost that: the gap
// reaches to there, whether somebody writes after it or not.
func TestALossWhileAServerWasAwayIsInTheGap(t *testing.T) {
	for _, after := range []string{
		"wait 2s\n" + strings.Repeat("write 1\nwait 9s\n", 3),
		"wait 60s\nwrite 1\nwait 29s\n",
	} {
		play(t, `write 30
restart 300s
	wait 500ms
	write 297
	mark newest
	write 1
	lose 300
`+after+`
expect gap S=0 reason=log_lost from<=newest-1s to>=newest+1ms`) // two of them this server has seen
	}
}
