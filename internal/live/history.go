package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/store"
	"stripchart/internal/wire"
)

// maxAsking is how many histories a client may have asked for and not been
// answered.
const maxAsking = 32

// maxTime is the last millisecond of the year 9999, Unix ms: no sample is later.
const maxTime = 253_402_300_799_999

// History answers with samples of the past, once. The answer comes later, from
// another goroutine.
func (c *Client) History(arg json.RawMessage, ack Ack) {
	h := c.hub
	var m wire.History
	if err := readRequest(arg, &m); err != nil {
		ack.refuse(err)
		return
	}
	points, err := h.readPoints(m.Points)
	if err != nil {
		ack.refuse(err)
		return
	}
	if span := m.To - m.From; m.From < 0 || m.To > maxTime || span < 0 || span > h.o.Limits.Window*1000 {
		ack.refuse(badRequest("from and to must be Unix milliseconds, ascending, before the year 10000, and at most %d seconds apart", h.o.Limits.Window))
		return
	}
	sel, err := parseSelector(m.Query)
	if err != nil {
		ack.refuse(err)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.closed || h.closed {
		return
	}
	if c.asking >= maxAsking {
		h.start(func() {
			ack.refuse(&wire.Error{Code: wire.CodeOverloaded, Message: fmt.Sprintf("at most %d histories may be asked for at once; wait for an answer first", maxAsking)})
		})
		return
	}
	c.asking++
	h.start(func() {
		defer func() {
			h.mu.Lock()
			c.asking--
			h.mu.Unlock()
		}()
		end, ok := c.begin()
		if !ok {
			return // nobody is there to be told
		}
		defer end()
		answer, err := h.readOnce(sel, m.From, m.To, points)
		if err != nil {
			h.log.Warn("history could not be read", "query", m.Query, "err", err)
			ack.refuse(readFailed(err))
			return
		}
		if ack != nil {
			ack(answer.AppendJSON(nil))
		}
	})
}

// readOnce reads a history that is not shared and has no position.
func (h *Hub) readOnce(sel selector, from, to int64, points int) (*wire.HistoryAnswer, error) {
	ctx, cancel := context.WithTimeout(h.ctx, readTimeout)
	defer cancel()
	var hs []store.History
	var gs []*gap
	matched := 0
	err := h.limitReads(ctx, func() (err error) {
		snapshot, err := h.store.Snapshot(from, to)
		if err != nil {
			return fmt.Errorf("open history: %w", err)
		}
		defer snapshot.Close()
		return readFitting(points, func(points int) error {
			matched = 0
			snapshot.Only(func(labels.Labels) bool {
				matched++
				return matched <= h.o.Limits.Series
			})
			if hs, err = snapshot.History(ctx, sel.matchers, from, to, points); err != nil {
				return err
			}
			gs = nil
			for _, l := range snapshot.Missing() {
				gs = append(gs, gapOf(l))
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	answer := &wire.HistoryAnswer{OK: true, From: from, To: to, Now: h.now(), Matched: matched, Series: []wire.Descriptor{}}
	ids := make([]int, len(hs))
	for i := range hs {
		ids[i] = i
		answer.Series = append(answer.Series, wire.Descriptor{ID: i, Labels: hs[i].Labels, IntervalMS: hs[i].IntervalMS})
	}
	answer.Blocks = blocksOf(historyRows(hs, ids))
	h.mu.Lock()
	gs = append(gs, h.gapsIn(from, to)...)
	h.mu.Unlock()
	answer.Gaps = gapsOfHistory(gs, hs)
	return answer, nil
}

// gapsOfHistory returns what a history's reader is told of gaps.
func gapsOfHistory(gs []*gap, hs []store.History) (out []wire.Gap) {
	hashes := make([]uint64, len(hs))
	for i := range hs {
		hashes[i] = hashOf(hs[i].Labels)
	}
	for _, g := range gs {
		var ids []int
		for i, hash := range hashes {
			if g.series.has(hash) {
				ids = append(ids, i)
			}
		}
		if len(ids) > 0 {
			out = append(out, wire.Gap{IDs: ids, From: g.from, To: g.to, Reason: g.reason})
		}
	}
	return out
}

// limitReads calls read when fewer than maxReads are under way.
func (h *Hub) limitReads(ctx context.Context, read func() error) error {
	select {
	case h.reads <- struct{}{}:
		defer func() { <-h.reads }()
		return read()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// readFitting calls read with fewer and fewer points, until all series together have no
// more values than the store returns at once.
func readFitting(points int, read func(points int) error) error {
	for {
		err := read(points)
		if !errors.Is(err, store.ErrTooLarge) || points/2 < wire.MinPoints {
			return err
		}
		points /= 2
	}
}
