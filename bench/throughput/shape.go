//go:build linux

package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
)

// roomOf is how many sources are watched in one room: the most series of a room.
const roomOf = 200

// shape is what a batch holds.
type shape struct {
	series, samples int // samples of each series
}

func (s shape) size() int { return s.series * s.samples }

func (s shape) String() string { return fmt.Sprintf("%d × %d", s.series, s.samples) }

// rooms are the queries under which the first series of each source is watched.
func rooms(sources int) []string {
	var out []string
	for g := 0; g*roomOf < sources; g++ {
		out = append(out, fmt.Sprintf(`bench_value{n="0",group="%d"}`, g))
	}
	return out
}

// source makes the batches of one source.
type source struct {
	name   string
	shape  shape
	series []labels.Labels
	seq    uint64
	lastT  int64 // time of its newest samples, Unix ms
}

func newSource(i int, s shape) *source {
	x := &source{name: "bench-" + strconv.Itoa(i), shape: s, series: make([]labels.Labels, s.series)}
	for n := range x.series {
		x.series[n] = labels.FromStrings("__name__", "bench_value", "group", strconv.Itoa(i/roomOf), "host", x.name, "n", strconv.Itoa(n))
	}
	return x
}

// next returns the batch of a moment. Its samples are evenly spread over the time
// since the one before. The newest value of the first series is the moment, in
// Unix microseconds; the others have one decimal, as measured ones do.
func (x *source) next(now time.Time) *bus.Batch {
	x.seq++
	k := x.shape.samples
	last, ms := x.lastT, now.UnixMilli()
	if last == 0 {
		last = ms - int64(k)
	}
	step := max(1, (ms-last)/int64(k)) // faster than the clock, times run ahead of it
	first := max(ms-step*int64(k-1), last+1)
	b := &bus.Batch{Sequence: bus.Sequence{Source: x.name, Seq: x.seq}, Series: make([]bus.Series, len(x.series))}
	samples := make([]bus.Sample, x.shape.size())
	for n := range x.series {
		own := samples[n*k : (n+1)*k : (n+1)*k]
		for i := range own {
			own[i] = bus.Sample{T: first + step*int64(i), V: float64((x.seq*31+uint64(n)*17+uint64(i)*7)%1000) / 10}
		}
		b.Series[n] = bus.Series{Labels: x.series[n], Samples: own}
	}
	x.lastT = samples[k-1].T
	samples[k-1].V = float64(now.UnixMicro())
	return b
}

// at returns a batch with one sample of each series at a time of the past. Times
// must ascend.
func (x *source) at(t int64) *bus.Batch {
	b := x.next(time.Now())
	for n := range b.Series {
		b.Series[n].Samples = b.Series[n].Samples[:1]
		b.Series[n].Samples[0] = bus.Sample{T: t, V: float64((x.seq*31+uint64(n)*17)%1000) / 10}
	}
	x.lastT = t
	return b
}
