package live

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/store"
	"stripchart/internal/wire"
)

const (
	// maxGaps is how many declared gaps are kept; the oldest go first.
	maxGaps = 1000
	// lossPatience, or three intervals where that is longer, is how long sources are
	// waited for after the log has lost something, in ms of log time, so that a server
	// that has much to catch up with does not judge before it has read what they sent:
	// those that come back tell by their numbers what is missing, of the others nothing
	// is known. Nobody is waited for longer than maxLossPatience.
	lossPatience    = 15_000
	maxLossPatience = 4 * 3600 * 1000
	// lossMargin is how long before the log has a sample it may have been measured, in ms,
	// where nothing else is known of it. A source publishes within moments; what it has
	// spooled for longer it would have sent again.
	lossMargin = 10_000
	// lossPace is how often those who have not come back are looked for, in ms.
	lossPace = 5_000
)

// gap is a span of time in which samples may be missing; both ends are excluded.
// Immutable once declared, but for saved.
type gap struct {
	from, to int64 // Unix ms
	reason   string
	series   map[string]labels.Labels // by key of their labels
	saved    []byte                   // its element of store.Gaps, once there is one; guarded by Hub.saving
}

// loss is what happened to the log, until it is known whom it concerns.
type loss struct {
	reason string
	from   int64 // log time of the last entry before, Unix ms
	newest int64 // the same of the newest loss, where several are judged together
	// until is where the log ended when it was noticed, if that is later: a server that
	// was away does not know what between the two was retained and what was new.
	// Whoever is heard after it is still there.
	until int64
	to    int64 // log time of the first entry after until; 0: not seen yet
	next  int64 // log time at which to look again who has come back
	over  bool  // declared for all who did not come back
}

// savedGap is the form of an element of store.Gaps.
type savedGap struct {
	From   int64           `json:"from"`
	To     int64           `json:"to"`
	Reason string          `json:"reason"`
	Series []labels.Labels `json:"series"`
}

// lose notes that the log has lost what came after what was known. A loss before it that
// is still being judged becomes part of it. The caller holds h.mu.
func (h *Hub) lose(reason string, known bus.Position) {
	p := &h.progress
	l := &loss{reason: reason, from: known.LogTime(), newest: known.LogTime(), until: max(known.LogTime(), p.end.LogTime())}
	if known == p.saved && !p.intact {
		l.from -= replaySpan // what the machine had not written when its power failed
	}
	if old := h.loss; old != nil && !old.over {
		l.from, l.newest, l.until = min(l.from, old.from), max(l.newest, old.newest), max(l.until, old.until)
	}
	h.loss = l
}

// watchLoss returns the gap of those who were not heard of since the log lost
// something, once they have had time: series without numbered batches, and of
// sources that are gone. The caller holds h.mu.
func (h *Hub) watchLoss(logTime int64) *gap {
	l := h.loss
	if l == nil || l.over {
		return nil
	}
	if l.to == 0 && logTime > l.until {
		l.to = logTime
	}
	waited := logTime - l.to
	if l.to == 0 || waited < lossPatience || logTime < l.next {
		return nil
	}
	l.over, l.next = true, logTime+lossPace
	g := &gap{from: l.from, to: l.to, reason: l.reason, series: map[string]labels.Labels{}}
	declared := h.declaredFor(l)
	for key, s := range h.index.byKey {
		switch {
		case s.source != nil && s.source.heardAt > l.until, declared[key]:
		case s.source != nil && waited < min(staleIntervals*s.interval, maxLossPatience):
			l.over = false
		default:
			g.series[key] = s.labels
			// What was lost was measured after what came last, but perhaps before the log had that.
			g.from = min(g.from, max(s.lastT, l.from-lossMargin))
		}
	}
	if len(g.series) == 0 {
		return nil
	}
	return g
}

// declaredFor returns the keys of the series for which a gap was declared because of l.
// The caller holds h.mu.
func (h *Hub) declaredFor(l *loss) map[string]bool {
	keys := map[string]bool{}
	for _, x := range h.gaps {
		if x.from <= l.from && x.to == l.to && x.reason == l.reason {
			for key := range x.series {
				keys[key] = true
			}
		}
	}
	return keys
}

// declare adds gaps to the entry that revealed them, which puts them into the
// order of the log: whoever is sent the ring from before it is told. The caller
// holds h.mu and has not yet added e to the ring.
func (h *Hub) declare(e *entry, gs ...*gap) {
	for _, g := range gs {
		if g == nil {
			continue
		}
		e.gaps = append(e.gaps, g)
		h.gaps = append(h.gaps, g)
		h.gapsChanged = true
	}
	if n := len(h.gaps) - maxGaps; n > 0 {
		h.gaps = slices.Delete(h.gaps, 0, n)
	}
}

// declareNotRecorded declares that what was only shown while the disk was full is
// gone from the log before it could be recorded, up to a position. The caller holds
// h.mu.
func (h *Hub) declareNotRecorded(reason string, to bus.Position) {
	g := &gap{from: h.progress.unstored.LogTime() - lossMargin, to: to.LogTime(), reason: reason, series: map[string]labels.Labels{}}
	for key, s := range h.index.byKey {
		g.series[key] = s.labels
	}
	h.log.Warn("what was only shown while the disk was full is gone from the log, and not recorded", "from", h.progress.unstored.String(), "to", to.String())
	var e entry
	h.declare(&e, g)
	h.tellGaps(e)
}

// undeclare takes back what was declared with an entry that could not be applied:
// it will be tried again. The caller holds h.mu.
func (h *Hub) undeclare(e entry) {
	h.gaps = h.gaps[:max(0, len(h.gaps)-len(e.gaps))]
}

// tellGaps has the rooms that e's gaps concern tell them. The caller holds h.mu
// and has added e to the ring.
func (h *Hub) tellGaps(e entry) {
	for _, g := range e.gaps {
		h.metrics.gaps.WithLabelValues(g.reason).Inc()
		for _, r := range h.rooms {
			if len(g.members(r)) == 0 {
				continue
			}
			r.fromHere(h)
			r.gaps = append(r.gaps, g)
			g.introduce(r)
			h.markDirty(r)
		}
	}
}

// members returns the ids of r's members that g concerns, ascending. The caller
// holds Hub.mu.
func (g *gap) members(r *Room) []int {
	var ids []int
	for key, m := range r.members {
		if _, concerned := g.series[key]; concerned {
			ids = append(ids, m.id)
		}
	}
	slices.Sort(ids)
	return ids
}

// idsOf returns the ids that the gaps name.
func idsOf(gaps []wire.Gap) map[int]bool {
	ids := map[int]bool{}
	for i := range gaps {
		for _, id := range gaps[i].IDs {
			ids[id] = true
		}
	}
	return ids
}

// introduce has the next broadcast describe the members that g concerns and that the
// current viewers do not know: who hears of a gap has to know whose it is. The caller
// holds Hub.mu.
func (g *gap) introduce(r *Room) {
	for key, m := range r.members {
		if _, concerned := g.series[key]; concerned && !m.announced {
			m.announced = true
			r.descriptors = append(r.descriptors, m)
		}
	}
}

// messages returns what a room is told of gaps. The caller holds Hub.mu.
func (r *Room) messages(gs []*gap) []wire.Gap {
	var out []wire.Gap
	for _, g := range gs {
		if ids := g.members(r); len(ids) > 0 {
			out = append(out, wire.Gap{Room: r.id, IDs: ids, From: g.from, To: g.to, Reason: g.reason})
		}
	}
	return out
}

// gapsIn returns the declared gaps that reach into a span of time. The caller
// holds h.mu.
func (h *Hub) gapsIn(from, to int64) []*gap {
	var out []*gap
	for _, g := range h.gaps {
		if g.to > from && g.from < to {
			out = append(out, g)
		}
	}
	return out
}

// gapPackets encodes what r is told of gaps.
func (h *Hub) gapPackets(r *Room, gs []wire.Gap) []Packet {
	var ps []Packet
	for i := range gs {
		if r.root {
			ps = append(ps, h.transport.Encode(NamespaceRoot, wire.EventGap, wire.AppendRootGap(nil, &gs[i], h.o.Zone)))
		} else {
			ps = append(ps, h.encode(wire.EventGap, gs[i]))
		}
	}
	return ps
}

// saveGaps reports whether all gaps that were declared are kept, after it has done so.
func (h *Hub) saveGaps() bool {
	h.saving <- struct{}{}
	defer func() { <-h.saving }()
	return h.keepGaps()
}

// keepGaps keeps the declared gaps when they have changed, without those that no
// window reaches any more. It reports whether all that were declared are kept. The
// caller holds h.saving.
func (h *Hub) keepGaps() bool {
	h.mu.Lock()
	if !h.gapsChanged {
		h.mu.Unlock()
		return true
	}
	h.gapsChanged = false
	oldest := h.now() - h.o.Limits.Window*int64(time.Second/time.Millisecond)
	h.gaps = slices.DeleteFunc(h.gaps, func(g *gap) bool { return g.to < oldest })
	gs := slices.Clone(h.gaps)
	h.mu.Unlock()
	elements := make([][]byte, len(gs))
	for i, g := range gs {
		elements[i] = g.element()
	}
	err := h.store.Keep(store.Gaps, slices.Concat([]byte("["), bytes.Join(elements, []byte(",")), []byte("]")))
	if err != nil {
		h.log.Warn("the declared gaps could not be saved", "err", err)
		h.mu.Lock()
		h.gapsChanged = true
		h.mu.Unlock()
	}
	return err == nil
}

// element returns g's element of store.Gaps. It is made once: when a thousand sources
// have each dropped something, all gaps are saved a thousand times. The caller holds
// Hub.saving.
func (g *gap) element() []byte {
	if g.saved == nil {
		x := savedGap{From: g.from, To: g.to, Reason: g.reason, Series: slices.Collect(maps.Values(g.series))}
		var err error
		if g.saved, err = json.Marshal(x); err != nil {
			panic(fmt.Sprintf("live: gap: %v", err)) // our own types always have a JSON form
		}
	}
	return g.saved
}

// restoreGaps takes up the gaps that were declared before. The caller holds h.mu.
func (h *Hub) restoreGaps() error {
	b, err := h.store.Kept(store.Gaps)
	if err != nil {
		return fmt.Errorf("read the declared gaps: %w", err)
	}
	var saved []savedGap
	if b != nil {
		if err := json.Unmarshal(b, &saved); err != nil {
			h.log.Warn("the declared gaps are not legible", "file", store.Gaps, "err", err)
		}
	}
	for _, s := range saved {
		g := &gap{from: s.From, to: s.To, reason: s.Reason, series: make(map[string]labels.Labels, len(s.Series))}
		for _, ls := range s.Series {
			g.series[string(h.index.key(ls))] = ls
		}
		h.gaps = append(h.gaps, g)
	}
	return nil
}
