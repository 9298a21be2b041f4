package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
)

// memory is a server's series: what was published is in it after a while.
type memory struct {
	after time.Duration

	counted func() // called once, when Count is about to return

	mu      sync.Mutex
	held    map[string]bool
	lookups int
}

func newMemory(after time.Duration) *memory { return &memory{after: after, held: map[string]bool{}} }

func (m *memory) publish(_ context.Context, b *bus.Batch) error {
	take := func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, s := range b.Series {
			m.held[s.Labels.String()] = true
		}
	}
	if m.after == 0 {
		take()
	} else {
		time.AfterFunc(m.after, take)
	}
	return nil
}

func (m *memory) Count() int {
	m.mu.Lock()
	n, counted := len(m.held), m.counted
	m.counted = nil
	m.mu.Unlock()
	if counted != nil {
		counted()
	}
	return n
}

func (m *memory) Known(ls []labels.Labels) []bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lookups++
	known := make([]bool, len(ls))
	for i, l := range ls {
		known[i] = m.held[l.String()]
	}
	return known
}

// numbered returns a batch with a sample of each of the series from to to.
func numbered(from, to int) *bus.Batch {
	b := &bus.Batch{}
	for n := from; n <= to; n++ {
		b.Series = append(b.Series, bus.Series{
			Labels:  labels.FromStrings("__name__", "m", "n", fmt.Sprint(n)),
			Samples: []bus.Sample{{T: time.Now().UnixMilli(), V: 1}},
		})
	}
	return b
}

func TestNewSeriesBeyondTheBoundAreRefusedAndOldOnesGoOn(t *testing.T) {
	m := newMemory(0)
	registry := prometheus.NewRegistry()
	h := handler(t, Options{Publish: m.publish, Series: m, MaxSeries: 100, Registerer: registry})
	write := func(from, to int, want string) {
		t.Helper()
		w := ask(h, post(encode(numbered(from, to))))
		got := fmt.Sprint(w.Code, " ", w.Header().Get(httpbus.HeaderSamplesWritten))
		if w.Code != 204 {
			code, message := said(t, w)
			got += " " + code + ": " + message
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("series %d to %d: %s, want %s", from, to, got, want)
		}
	}
	write(1, 40, "204 40")
	write(1, 60, "204 60")
	if m.lookups != 0 {
		t.Errorf("%d look-ups far below the bound", m.lookups)
	}
	write(1, 90, "204 90")
	write(81, 120, `400 20 not_all_written: samples written: 20; not written: 20 max_series (the first: {__name__="m", n="101"} is a new series, and the server has as many as it may, 100 (--max-series))`)
	write(1, 100, "204 100")
	write(500, 500, "400 0 not_all_written")
	write(1, 100, "204 100")
	if n := m.Count(); n != 100 {
		t.Errorf("%d series are held", n)
	}
	m.mu.Lock()
	for n := 1; n <= 50; n++ { // these have ended
		delete(m.held, labels.FromStrings("__name__", "m", "n", fmt.Sprint(n)).String())
	}
	m.mu.Unlock()
	write(501, 550, "204 50")
	write(551, 551, "400 0")
	if err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP stripchart_write_refused_total What write requests held and was not written, by reason; their writers were told.
# TYPE stripchart_write_refused_total counter
stripchart_write_refused_total{reason="max_series"} 22
stripchart_write_refused_total{reason="memory"} 0
stripchart_write_refused_total{reason="new_series"} 0
# HELP stripchart_write_series Series in memory, as write_series_limit counts them.
# TYPE stripchart_write_series gauge
stripchart_write_series 100
# HELP stripchart_write_series_limit The most series that may be in memory (--max-series); samples of new ones are refused.
# TYPE stripchart_write_series_limit gauge
stripchart_write_series_limit 100
`), "stripchart_write_refused_total", "stripchart_write_series", "stripchart_write_series_limit"); err != nil {
		t.Error(err)
	}
}

// Where memory is short, what is known goes on, whatever the bound still leaves room for.
func TestWhileMemoryIsShortNewSeriesAreRefusedAndOldOnesGoOn(t *testing.T) {
	for _, late := range []bool{false, true} {
		m := newMemory(0)
		short := false
		h := handler(t, Options{Publish: m.publish, Series: m, CountsLate: late, Short: func() bool { return short }})
		write := func(from, to, status int) string {
			t.Helper()
			w := ask(h, post(encode(numbered(from, to))))
			if w.Code != status {
				t.Errorf("series %d to %d: %d, want %d", from, to, w.Code, status)
			}
			if w.Code == 204 {
				return ""
			}
			_, message := said(t, w)
			return message
		}
		write(1, 10, 204)
		short = true
		write(1, 10, 204)
		if says := write(6, 12, 503); !strings.Contains(says, "--memory-limit") {
			t.Error(says)
		}
		if n := m.Count(); n != 10 {
			t.Errorf("%d series are held", n)
		}
		short = false
		write(6, 12, 204)
	}
}

// One after the other, new series come in at the pace of the bound; known ones always.
func TestNewSeriesBeyondAMinutesBoundComeInLaterAndOldOnesGoOn(t *testing.T) {
	for _, late := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory(0)
			registry := prometheus.NewRegistry()
			h := handler(t, Options{Publish: m.publish, Series: m, MaxNewSeries: 50, CountsLate: late, Registerer: registry})
			write := func(b *bus.Batch, status, held int) {
				t.Helper()
				r := post(encode(b))
				if b.Seq > 0 {
					r = post(encode(b), httpbus.HeaderSource, b.Source, httpbus.HeaderSeq, fmt.Sprint(b.Seq), httpbus.HeaderMerged, "0")
				}
				w := ask(h, r)
				if w.Code != status || m.Count() != held {
					t.Errorf("late %v: %d, %d series are held; want %d, %d", late, w.Code, m.Count(), status, held)
				}
				if w.Code == 503 {
					if code, message := said(t, w); code != "too_many_new_series" || !strings.Contains(message, "--max-new-series") || w.Header().Get("Retry-After") == "" {
						t.Errorf("%s: %s", code, message)
					}
				}
			}
			with := func(seq uint64, b *bus.Batch) *bus.Batch {
				b.Sequence = bus.Sequence{Source: "s", Seq: seq}
				return b
			}
			write(numbered(1, 40), 204, 40) // growth from nothing does not count
			write(numbered(21, 80), 204, 80)
			write(numbered(61, 100), 503, 90)
			write(numbered(61, 90), 204, 90)
			write(with(1, numbered(61, 95)), 503, 90)
			write(with(1, numbered(61, 90)), 204, 90)
			if err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP stripchart_write_new_series Series that are new in the present minute.
# TYPE stripchart_write_new_series gauge
stripchart_write_new_series 50
# HELP stripchart_write_new_series_limit The most series that may be new in a minute (--max-new-series); others are told to come again.
# TYPE stripchart_write_new_series_limit gauge
stripchart_write_new_series_limit 50
`), "stripchart_write_new_series", "stripchart_write_new_series_limit"); err != nil {
				t.Error(err)
			}
			if n := testutil.CollectAndCount(registry, "stripchart_write_refused_total"); n != 3 {
				t.Errorf("%d reasons", n)
			}
			time.Sleep(time.Minute)
			write(numbered(61, 100), 204, 100)
			write(with(2, numbered(101, 180)), 503, 100) // it would fit into no minute
			time.Sleep(time.Minute)
			write(with(2, numbered(101, 180)), 204, 180)
			write(numbered(181, 181), 503, 180)
		})
	}
}

// After a start the series of the database are counted all at once, and none of them is new.
func TestSeriesOfTheDatabaseAreNotNewAfterAStart(t *testing.T) {
	p := pace{max: 10}
	now := time.Unix(1_800_000_000, 0)
	for i, c := range []struct{ count, grown int }{{0, 0}, {1000, 0}, {1003, 3}, {900, 0}, {905, 5}} {
		if got := p.grown(c.count, now); got != c.grown {
			t.Errorf("%d: %d, want %d", i, got, c.grown)
		}
	}
	if got := p.grown(950, now.Add(time.Minute)); got != 0 {
		t.Errorf("%d in a minute that begins", got)
	}
}

// On Redis a server reads what it has acknowledged a moment later. Whoever writes
// faster than that must not get past the bound.
func TestManyWritersAtOnceDoNotPassTheBound(t *testing.T) {
	for _, after := range []time.Duration{0, 2 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory(after)
			h := handler(t, Options{Publish: m.publish, Series: m, MaxSeries: 1000, CountsLate: after > 0, MaxWrites: 100})
			refused := 0
			var mu sync.Mutex
			var wg sync.WaitGroup
			for n := range 40 {
				wg.Go(func() {
					for try := 0; ; try++ {
						w := ask(h, post(encode(numbered(100*n, 100*n+99))))
						switch w.Code {
						case 429: // it depends on what is under way
							if try == 100 {
								t.Error("a writer is told to try again for ever")
								return
							}
							time.Sleep(time.Second)
							continue
						case 400:
							mu.Lock()
							refused++
							mu.Unlock()
						}
						return
					}
				})
			}
			wg.Wait()
			time.Sleep(3 * after)
			h.series.mu.Lock()
			defer h.series.mu.Unlock()
			if n := m.Count(); n != 1000 || refused != 30 {
				t.Errorf("counted after %v: %d series are held, %d writers were refused", after, n, refused)
			}
			if n := h.series.reserved; n > 1000 || after == 0 && n != 0 {
				t.Errorf("%d series are still reserved", n)
			}
		})
	}
}

// A write that is counted and released between a request's count and its reservation
// is in neither number.
func TestAWriteThatEndsDuringACountDoesNotPassTheBound(t *testing.T) {
	for _, late := range []bool{false, true} {
		m := newMemory(0)
		h := handler(t, Options{Publish: m.publish, Series: m, MaxSeries: 100, CountsLate: late})
		write := func(from, to int) int { return ask(h, post(encode(numbered(from, to)))).Code }
		write(1, 60)
		m.counted = func() {
			if code := write(101, 140); code != 204 {
				t.Errorf("the other write: %d", code)
			}
		}
		if code := write(61, 100); code != 429 && code != 400 {
			t.Errorf("40 new series beside the other 40: %d", code)
		}
		if n := m.Count(); n != 100 {
			t.Errorf("%d series are held", n)
		}
		if code := write(61, 100); code != 400 {
			t.Errorf("the same once more: %d", code)
		}
	}
}

// What is sure of its room is not refused for those who may not need theirs.
func TestNoSeriesIsRefusedForRequestsUnderWayThatHoldKnownOnes(t *testing.T) {
	for _, o := range []Options{{MaxSeries: 100}, {MaxNewSeries: 60}} {
		m := newMemory(0)
		entered, release := make(chan struct{}), make(chan struct{})
		slow := false
		o.Series, o.Publish = m, func(ctx context.Context, b *bus.Batch) error {
			if slow && b.Series[0].Labels.Get("n") == "1" {
				entered <- struct{}{}
				<-release
			}
			return m.publish(ctx, b)
		}
		h := handler(t, o)
		ask(h, post(encode(numbered(1, 40))))
		slow = true
		done := make(chan int)
		go func() { done <- ask(h, post(encode(numbered(1, 40)))).Code }()
		<-entered
		if w := ask(h, post(encode(numbered(41, 90)))); w.Code != 429 || w.Header().Get("Retry-After") == "" {
			t.Errorf("50 new ones beside 40 of which nobody knows: %d %s", w.Code, w.Body)
		}
		if w := ask(h, post(encode(numbered(2, 40)))); w.Code != 204 {
			t.Errorf("known ones: %d %s", w.Code, w.Body)
		}
		release <- struct{}{}
		if code := <-done; code != 204 {
			t.Error(code)
		}
		if w := ask(h, post(encode(numbered(41, 90)))); w.Code != 204 {
			t.Errorf("when they are done: %d %s", w.Code, w.Body)
		}
	}
}

// Readers take the second batch with a number for a copy of the first, which lacked
// what was refused. So it must not be acknowledged whole.
func TestWhatWasRefusedOfANumberStaysRefused(t *testing.T) {
	m := newMemory(0)
	h := handler(t, Options{Publish: m.publish, Series: m, MaxSeries: 3})
	write := func(b *bus.Batch, seq, merged int) int {
		return ask(h, post(encode(b), httpbus.HeaderSource, "s", httpbus.HeaderSeq, fmt.Sprint(seq), httpbus.HeaderMerged, fmt.Sprint(merged))).Code
	}
	if code := write(numbered(1, 2), 1, 0); code != 204 {
		t.Error(code)
	}
	if code := write(numbered(1, 4), 2, 0); code != 400 {
		t.Error(code)
	}
	clear(m.held) // now there is room
	for _, c := range []struct{ seq, merged, want int }{{2, 0, 400}, {3, 2, 400}, {3, 0, 204}, {1, 0, 204}, {4, 0, 204}} {
		if code := write(numbered(1, 2), c.seq, c.merged); code != c.want {
			t.Errorf("number %d (%d merged): %d, want %d", c.seq, c.merged, code, c.want)
		}
	}
	for n := range maxCut + 10 {
		ask(h, post(encode(numbered(100, 110)), httpbus.HeaderSource, fmt.Sprint("s", n), httpbus.HeaderSeq, "1", httpbus.HeaderMerged, "0"))
	}
	if n := len(h.series.cut); n > maxCut {
		t.Errorf("%d sources are remembered", n)
	}
}

func TestABusThatIsAwayKeepsNoSeriesReserved(t *testing.T) {
	m := newMemory(0)
	h := handler(t, Options{Publish: func(context.Context, *bus.Batch) error { return errors.New("away") }, Series: m, MaxSeries: 10})
	for range 5 {
		if w := ask(h, post(encode(numbered(1, 9)))); w.Code != 503 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}
