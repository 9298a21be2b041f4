package chaos

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/bus/rw"
)

// crowdQuery is that of a room with more series than a server sends, and crowdWindow
// the window of its viewers.
const (
	crowdQuery  = "crowd"
	crowdWindow = 30 * time.Second
	crowdAlive  = 215 // series at a time; 200 are sent
)

// crowdSeries are the labels of a series of the crowd.
func crowdSeries(n int) labels.Labels {
	return labels.FromStrings("__name__", crowdQuery, "n", strconv.Itoa(n))
}

// crowd is the writer of very many series, each of which lives for a while. It has its own
// way to the first server, and publishes without numbers.
type crowd struct {
	*writer
	order []int                        // the series that are alive
	until map[int]int                  // ticks that a series has left
	acked map[string]map[int64]float64 // by series; guarded by writer.mu
	sent  map[string]map[int64]float64
}

func newCrowd(l *link, random *rand.Rand) *crowd {
	return &crowd{writer: newWriter(l, 0, random), until: map[int]int{}, acked: map[string]map[int64]float64{}, sent: map[string]map[int64]float64{}}
}

// next returns what is measured now.
func (c *crowd) next(now int64) *bus.Batch {
	c.order = slices.DeleteFunc(c.order, func(n int) bool { c.until[n]--; return c.until[n] <= 0 })
	for len(c.order) < crowdAlive {
		// A name comes at a random place in the order of labels.
		n := c.rand.IntN(100_000)
		if c.until[n] != 0 {
			continue
		}
		c.until[n] = 20 + c.rand.IntN(600)
		c.order = append(c.order, n)
	}
	b := &bus.Batch{}
	for _, n := range c.order {
		b.Series = append(b.Series, bus.Series{Labels: crowdSeries(n), Samples: []bus.Sample{{T: now, V: valueAt(91, n, now)}}})
	}
	return b
}

func (c *crowd) note(in map[string]map[int64]float64, b *bus.Batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range b.Series {
		name := seriesName(s.Labels)
		if in[name] == nil {
			in[name] = map[int64]float64{}
		}
		in[name][s.Samples[0].T] = s.Samples[0].V
	}
}

// write writes until ctx ends.
func (c *crowd) write(ctx context.Context) {
	defer c.client.CloseIdleConnections()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
		b := c.next(time.Now().UnixMilli())
		c.note(c.sent, b)
		if c.insist(ctx, rw.Encode(b), b.Samples(), 0) {
			c.note(c.acked, b)
			c.count("samples of crowded rooms", b.Samples())
		}
	}
}

// truths returns what is known of the series.
func (c *crowd) truths() map[string]truth {
	c.mu.Lock()
	defer c.mu.Unlock()
	out, now := map[string]truth{}, time.Now().UnixMilli()
	for name, sent := range c.sent {
		sent := maps.Clone(sent)
		out[name] = truth{
			acknowledged: slices.Sorted(maps.Keys(c.acked[name])),
			possible:     func(t int64) bool { _, ok := sent[t]; return ok || t > now },
			published:    func(t int64) int64 { return t },
			onBus:        func(int64) bool { return true },
			refusable:    func(int64) bool { return false },
			value:        func(t int64) (float64, bool) { v, ok := sent[t]; return v, ok },
		}
	}
	return out
}

// owed returns the truth of the series that a viewer of a crowded room must hold: the series that the
// room sends, and the series that the viewer still draws. The caller holds v.mu.
func (v *viewer) owed(series map[string]truth) map[string]truth {
	if !v.crowded {
		return only(series, v.labels())
	}
	out := map[string]truth{}
	for name, of := range series {
		if _, draws := v.held.samples[name]; draws || v.sent[name] {
			out[name] = of
		}
	}
	return out
}
