package live

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/bus/rw"
)

// writer publishes until stop.
type writer interface{ write(stop <-chan struct{}) }

// send publishes the batch until it is acknowledged, in the form in which it would
// come from a wire, and notes it.
func (w *world) send(b *bus.Batch) {
	came, _, err := rw.Decode(rw.Encode(b), rw.Limits{})
	if err != nil {
		w.fault("harness", "a batch of ours is refused: %v", err)
		return
	}
	came.Source, came.Seq, came.Merged, came.Dropped, came.DroppedAfter = b.Source, b.Seq, b.Merged, b.Dropped, b.DroppedAfter
	for {
		switch err := w.publish(came); {
		case err == nil:
			w.ledger.note(b, true)
			return
		case !errors.Is(err, errCommit):
			w.fault("harness", "publish: %v", err)
			return
		}
	}
}

// spoil puts what must be refused beside good samples, and second values.
func (w *world) spoil(rng *rand.Rand, ls labels.Labels, samples []bus.Sample) []bus.Sample {
	if len(samples) == 0 {
		return samples
	}
	if w.kinds[kindSecond] && rng.IntN(20) == 0 {
		if t, v, ok := w.ledger.stored(ls, rng.IntN); ok {
			i, there := slices.BinarySearchFunc(samples, t, func(s bus.Sample, t int64) int { return int(s.T - t) })
			if !there {
				samples = slices.Insert(samples, i, bus.Sample{T: t, V: v + 0.5})
			}
		}
	}
	if w.kinds[kindRefused] && rng.IntN(30) == 0 {
		samples = append(samples, bus.Sample{T: ms() + 400_000, V: -1})
	}
	if w.kinds[kindRefused] && rng.IntN(30) == 0 {
		samples = slices.Insert(samples, 0, bus.Sample{T: ms() - 26*3600*1000, V: -1})
	}
	return samples
}

// odd returns the labels, now and then with one more that is empty.
func (w *world) odd(rng *rand.Rand, ls labels.Labels) labels.Labels {
	if !w.kinds[kindEmpty] || rng.IntN(3) > 0 {
		return ls
	}
	b := labels.NewScratchBuilder(4)
	ls.Range(func(l labels.Label) { b.Add(l.Name, l.Value) })
	b.Add("o", "")
	b.Sort()
	return b.Labels()
}

// lagger is a source with numbers, and series that lag behind each other.
type lagger struct {
	w      *world
	rng    *rand.Rand
	number int
	series []labels.Labels
	lag    []int64 // of each series, ms
	last   int64   // up to when it has measured
	seq    uint64
	value  float64
	pause  int // ms

	drops      int   // batches that are still to be given up
	given      int64 // newest time of the last batch that was not
	hasDropped uint64
}

func newLagger(w *world, number int, rng *rand.Rand) *lagger {
	x := &lagger{w: w, rng: rng, number: number, last: ms(), pause: 400}
	if w.kinds[kindRoot] && number == 0 {
		x.pause = 60
	}
	for n := range 4 {
		x.series = append(x.series, seriesLabels(number, n))
		lag := int64(0)
		if w.kinds[kindLag] && n > 0 {
			lag = []int64{0, 2000, 90_000, 400_000}[rng.IntN(4)]
		}
		x.lag = append(x.lag, lag)
	}
	return x
}

func (x *lagger) write(stop <-chan struct{}) {
	x.last = ms()
	for {
		select {
		case <-stop:
			x.drops = 0
			x.tick(true) // so that nobody is left with a hole that cannot be known yet
			return
		case <-time.After(time.Duration(20+x.rng.IntN(x.pause)) * time.Millisecond):
			x.tick(false)
		}
	}
}

func (x *lagger) tick(whole bool) {
	w, now, n := x.w, ms(), int64(1)
	if w.kinds[kindLag] {
		n += int64(x.rng.IntN(5))
	}
	x.seq++
	b := &bus.Batch{Sequence: bus.Sequence{Source: fmt.Sprint("source ", x.number), Seq: x.seq}}
	if w.kinds[kindDropped] && !whole && x.drops == 0 && x.given != 0 && x.rng.IntN(50) == 0 {
		x.drops = 1 + x.rng.IntN(8)
	}
	for k, ls := range x.series {
		if !whole && x.rng.IntN(5) == 0 {
			continue
		}
		var samples []bus.Sample
		for i := int64(1); i <= n; i++ {
			t := x.last + (now-x.last)*i/n - x.lag[k]
			if m := len(samples); m > 0 && t <= samples[m-1].T || t <= x.last-x.lag[k] {
				continue
			}
			x.value++
			samples = append(samples, bus.Sample{T: t, V: x.value})
		}
		if x.drops == 0 {
			samples = w.spoil(x.rng, ls, samples)
		}
		if len(samples) > 0 {
			b.Series = append(b.Series, bus.Series{Labels: w.odd(x.rng, ls), Samples: samples})
		}
	}
	x.last = now
	if x.drops > 0 {
		x.drops--
		x.hasDropped++
		w.ledger.note(b, false)
		return
	}
	if x.hasDropped > 0 {
		b.Dropped, b.DroppedAfter = x.hasDropped, x.given
		x.hasDropped = 0
	}
	if t := newestTime(b); len(b.Series) > 0 {
		x.given = t
	}
	w.send(b)
	if x.number == 0 {
		select {
		case w.rootWritten <- struct{}{}:
		default:
		}
	}
}

// nameless is a writer of plain remote write: without numbers, and with backlogs.
type nameless struct {
	w      *world
	rng    *rand.Rand
	series []labels.Labels
	value  float64
}

func newNameless(w *world, number int, rng *rand.Rand) *nameless {
	x := &nameless{w: w, rng: rng}
	for n := range 3 {
		x.series = append(x.series, seriesLabels(number, n))
	}
	return x
}

func (x *nameless) write(stop <-chan struct{}) {
	var backlog []*bus.Batch
	away := 0 // ticks for which nothing can be delivered
	deliver := func() {
		for len(backlog) > 0 {
			n := min(len(backlog), 1+x.rng.IntN(20))
			x.w.send(x.merge(backlog[:n]))
			backlog = backlog[n:]
			time.Sleep(time.Duration(x.rng.IntN(100)) * time.Millisecond)
		}
	}
	for {
		select {
		case <-stop:
			deliver()
			return
		case <-time.After(time.Duration(300+x.rng.IntN(400)) * time.Millisecond):
		}
		backlog = append(backlog, x.measure())
		if away--; away > 0 {
			continue
		}
		deliver()
		if x.w.kinds[kindBacklog] && x.rng.IntN(20) == 0 {
			away = 1 + x.rng.IntN(100)
		}
	}
}

func (x *nameless) measure() *bus.Batch {
	b := &bus.Batch{}
	for _, ls := range x.series {
		x.value++
		b.Series = append(b.Series, bus.Series{Labels: ls, Samples: []bus.Sample{{T: ms(), V: x.value}}})
	}
	return b
}

// merge makes one batch of several, with what else there is to send.
func (x *nameless) merge(batches []*bus.Batch) *bus.Batch {
	b := &bus.Batch{}
	for k, ls := range x.series {
		var samples []bus.Sample
		for _, y := range batches {
			samples = append(samples, y.Series[k].Samples...)
		}
		b.Series = append(b.Series, bus.Series{Labels: x.w.odd(x.rng, ls), Samples: x.w.spoil(x.rng, ls, samples)})
	}
	return b
}

// crowd writes many series, each for a while.
type crowd struct {
	w     *world
	rng   *rand.Rand
	alive map[int]int // ticks that are left; negative: until it lives again
	value float64
}

func newCrowd(w *world, rng *rand.Rand) *crowd { return &crowd{w: w, rng: rng, alive: map[int]int{}} }

func (x *crowd) write(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Second):
		}
		b := &bus.Batch{}
		for n := range 20 {
			switch left := x.alive[n]; {
			case left == 0:
				x.alive[n] = 5 + x.rng.IntN(60)
			case left == 1:
				x.alive[n] = -x.rng.IntN(100)
			case left < 0:
				x.alive[n]++
			default:
				x.alive[n]--
			}
			if x.alive[n] <= 0 {
				continue
			}
			x.value++
			ls := labels.FromStrings("__name__", "c", "n", fmt.Sprintf("%02d", n))
			b.Series = append(b.Series, bus.Series{Labels: ls, Samples: []bus.Sample{{T: ms(), V: x.value}}})
		}
		if len(b.Series) > 0 {
			x.w.send(b)
		}
	}
}

// newestTime returns the newest time in a batch that has samples, Unix ms.
func newestTime(b *bus.Batch) (newest int64) {
	for i := range b.Series {
		for _, x := range b.Series[i].Samples {
			newest = max(newest, x.T)
		}
	}
	return newest
}
