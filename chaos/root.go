package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"stripchart/internal/socketio/siotest"
	"stripchart/internal/wire"
)

// The series of namespace /.
const (
	rootSource = 1
	rootFlag   = `chaos{k="0",source="1"}`
	rootWindow = 100 * time.Second // of the servers, unless they are told another
)

// rootViewer is a page of namespace /, as in the recipe that /plotly comes from. It is owed every
// acknowledged sample that is newer than all before it. One that is restless comes anew all the time,
// so that it joins in the moment of a flush.
type rootViewer struct {
	name      string
	addresses []string
	restless  bool

	mu     sync.Mutex // guards what follows
	held   map[int64]float64
	joined int64 // when its bootstrap came, Unix ms; 0: it has none
	last   int64
	gaps   []gap
	wrong  verdict // what was found on the way
	// judged and judgedOrder are how many of its notes, and of what came out of order, the
	// check under way has counted.
	judged, judgedOrder int
	broken              error
	counts              counts
}

func newRootViewer(name string, restless bool, addresses ...string) *rootViewer {
	return &rootViewer{name: name, restless: restless, addresses: addresses, counts: counts{}}
}

func (v *rootViewer) watch(ctx context.Context) {
	for ctx.Err() == nil {
		_ = v.visit(ctx, v.addresses[rand.IntN(len(v.addresses))]) // it comes again
		v.mu.Lock()
		v.joined, v.held = 0, nil
		v.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(rand.N(500 * time.Millisecond)):
		}
	}
}

func (v *rootViewer) visit(ctx context.Context, address string) error {
	if v.restless {
		var leave context.CancelFunc
		ctx, leave = context.WithTimeout(ctx, 200*time.Millisecond+rand.N(20*time.Second))
		defer leave()
	}
	s, err := dial(ctx, address, root)
	if err != nil {
		return err
	}
	defer s.Close()
	defer context.AfterFunc(ctx, s.Close)()
	for {
		p, err := s.Next()
		if err != nil {
			return err
		}
		v.mu.Lock()
		if err := v.take(p); err != nil && v.broken == nil {
			v.broken = fmt.Errorf("%s at %s: %w", v.name, address, err)
		}
		v.mu.Unlock()
	}
}

// rootTime reads a time of the wire, which is in the server's zone: ours.
func rootTime(text string) (int64, error) {
	t, err := time.ParseInLocation("2006-01-02 15:04:05", text, time.Local) // takes a fraction, too
	return t.UnixMilli(), err
}

// take handles one packet. The caller holds mu.
func (v *rootViewer) take(p siotest.Packet) error {
	switch p.Event {
	case wire.EventBootstrap, wire.EventUpdate:
	case wire.EventGap:
		var m struct{ From, To, Reason string }
		if err := json.Unmarshal(p.Arg, &m); err != nil {
			return fmt.Errorf("gap %.200s: %w", p.Arg, err)
		}
		from, err := rootTime(m.From)
		if err != nil {
			return err
		}
		to, err := rootTime(m.To)
		v.gaps = append(v.gaps, gap{"", from, to, m.Reason})
		return err
	default:
		return nil
	}
	var m struct {
		X []string
		Y []*float64
	}
	if err := json.Unmarshal(p.Arg, &m); err != nil || len(m.X) != len(m.Y) {
		return fmt.Errorf("%s %.200s: %w", p.Event, p.Arg, err)
	}
	if p.Event == wire.EventBootstrap {
		v.held, v.joined, v.last, v.gaps = map[int64]float64{}, time.Now().UnixMilli(), math.MinInt64, nil
		v.counts["joins of /"]++
	} else if v.held == nil {
		return fmt.Errorf("an update before the bootstrap: %.200s", p.Arg)
	}
	for i, x := range m.X {
		t, err := rootTime(x)
		if err != nil || m.Y[i] == nil {
			return fmt.Errorf("%s of %q without time or value: %w", p.Event, x, err)
		}
		if t <= v.last {
			v.wrong.Order++
			v.wrong.note("%s: %d came after %d", v.name, t, v.last)
		}
		v.last = max(v.last, t)
		v.held[t] = *m.Y[i]
	}
	return nil
}

// judge compares what the page holds with what it is owed of the times from to to.
func (v *rootViewer) judge(a *account, from, to int64) (found verdict) {
	v.mu.Lock()
	defer v.mu.Unlock()
	found, v.judged = v.wrong, len(v.wrong.Notes)
	found.Notes = slices.Clone(found.Notes)
	v.judgedOrder = found.Order
	if v.held == nil {
		return found // on its way
	}
	from = max(from, v.joined-rootWindow.Milliseconds()+1000)
	of := a.truths(rootSource, 1)[seriesName(seriesOf(rootSource, 0))]
	details := 0
	var missing []int64
	owed := a.records(of.refusable)
	for _, t := range owed {
		_, there := v.held[t]
		inGap := slices.ContainsFunc(v.gaps, func(g gap) bool { return g.holds("", t) })
		if !there && from <= t && t <= to && !inGap {
			missing = append(missing, t)
		}
	}
	if found.Lost = len(missing); found.Lost > 0 {
		found.notice(&details, "%s: lacks %d samples that were newer than all before, such as %v; it joined at %d", v.name, found.Lost, missing[:min(3, len(missing))], v.joined)
	}
	for t, x := range v.held {
		if t > to {
			continue // the journal was read before
		}
		if want, _ := of.value(t); !of.possible(t) {
			found.Foreign++
			found.notice(&details, "%s: the sample of %d was never published", v.name, t)
		} else if !same(want, x) {
			found.Wrong++
			found.notice(&details, "%s: the sample of %d is %v, not %v", v.name, t, x, want)
		}
	}
	return found
}

// forget takes back what judge has counted last.
func (v *rootViewer) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.wrong.Order, v.wrong.Notes = v.wrong.Order-v.judgedOrder, v.wrong.Notes[v.judged:]
	v.judgedOrder, v.judged = 0, 0
}

// records returns the times, in the order of their batches, that are newer than all before them. A time
// that servers may refuse is left out of the result, and so are the later times that are not newer than
// it.
func (a *account) records(refusable func(t int64) bool) (out []int64) {
	times := make([]int64, 0, len(a.sent))
	for t := range a.sent {
		times = append(times, t)
	}
	// By when they were published; those that were never acknowledged too: they may have come.
	slices.SortFunc(times, func(s, t int64) int {
		if d := a.sent[s] - a.sent[t]; d != 0 {
			return int(d)
		}
		return int(s - t)
	})
	newest := int64(math.MinInt64)
	for _, t := range times {
		if t <= newest {
			continue
		}
		newest = t
		if _, acknowledged := a.spooled[t]; acknowledged && !refusable(t) {
			out = append(out, t)
		}
	}
	return out
}
