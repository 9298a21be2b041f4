package live

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/store"
)

const (
	// saveInterval is how often the progress is saved while nothing asks for it sooner.
	saveInterval = 5 * time.Second
	// savePace and gapPace are the least times between two savings, the second one when
	// gaps were among what was saved: that is up to maxGapBytes.
	savePace = 250 * time.Millisecond
	gapPace  = time.Second
)

// errGapsNotKept refuses a batch that was applied, and has revealed a gap.
var errGapsNotKept = errors.New("the declared gaps could not be saved")

// receipt is the acknowledgement of a batch whose gaps are not saved yet.
type receipt struct {
	gaps uint64 // as many of the gaps that were ever declared have to be saved first
	done func(error)
}

// saver saves what was declared, and how far the log was applied. It has a goroutine of
// its own: a disk that hangs holds up neither batches nor what the watch tells.
func (h *Hub) saver() {
	ticker := time.NewTicker(saveInterval)
	defer ticker.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-h.toSave:
		case <-ticker.C:
		}
		pace := savePace
		if h.save() {
			pace = gapPace
		}
		select {
		case <-h.ctx.Done():
			return
		case <-time.After(pace):
		}
	}
}

// saveSoon has the saver save before its time. It never blocks.
func (h *Hub) saveSoon() {
	select {
	case h.toSave <- struct{}{}:
	default:
	}
}

// save keeps how far the log was applied, and the gaps that were declared on the
// way there: the gaps first, since what lies before the saved position is not
// judged again. It reports whether there were gaps to save.
func (h *Hub) save() (gaps bool) {
	h.saving <- struct{}{}
	defer func() { <-h.saving }()
	h.mu.Lock()
	told := h.lossesTold
	h.mu.Unlock()
	b := h.progressToSave()
	gaps, kept := h.keepGaps()
	if !kept || b == nil && h.o.Replica {
		return gaps
	}
	if b != nil {
		if err := h.store.Keep(store.Progress, b); err != nil {
			// The one before is still there: only more is read again after a start.
			h.log.Warn("how far the log was applied could not be saved", "err", err)
			return gaps
		}
	}
	if len(told) > 0 {
		_ = h.store.LossesDeclared(told) // a failure is logged; they are declared again at the next start
	}
	return gaps
}

// acknowledge tells the bus that a batch of s was applied, once the gaps that were
// declared for s are saved: s says once what it has dropped, in a batch that is
// acknowledged. The log goes on meanwhile.
func (h *Hub) acknowledge(s *source, done func(error)) {
	h.mu.Lock()
	wait := s.gapsDeclared > h.gapsSaved
	if wait {
		h.receipts = append(h.receipts, receipt{s.gapsDeclared, done})
	}
	h.mu.Unlock()
	if wait {
		h.saveSoon()
	} else {
		done(nil)
	}
}

// keepGaps keeps the declared gaps when some are not saved, without those that no
// window reaches any more, and acknowledges the batches that have waited for it. It
// reports whether there were any, and whether all that were declared are kept. The
// caller holds h.saving.
func (h *Hub) keepGaps() (some, kept bool) {
	h.mu.Lock()
	declared := h.gapsDeclared
	if h.gapsSaved == declared {
		h.mu.Unlock()
		return false, true
	}
	oldest := h.now() - h.o.Limits.Window*int64(time.Second/time.Millisecond)
	h.gaps = slices.DeleteFunc(h.gaps, func(g *gap) bool { return g.to < oldest })
	gs := slices.Clone(h.gaps)
	h.mu.Unlock()

	err := h.store.Keep(store.Gaps, encodeGaps(gs))
	if err != nil {
		h.log.Warn("the declared gaps could not be saved", "err", err)
		err = errGapsNotKept
	}

	h.mu.Lock()
	if err == nil {
		h.gapsSaved = declared
	}
	n := 0
	for n < len(h.receipts) && h.receipts[n].gaps <= declared { // they ascend but for those of copies
		n++
	}
	due := h.receipts[:n:n]
	h.receipts = h.receipts[n:]
	h.mu.Unlock()
	for _, r := range due {
		r.done(err)
	}
	return true, err == nil
}

// savedGaps is the form of store.Gaps.
type savedGaps struct {
	Version int        `json:"version"` // 2
	Series  []string   `json:"series"`  // sets of series, see concern.text
	Gaps    []savedGap `json:"gaps"`
}

// savedGap is one of savedGaps. Version 1 was a list of them with the labels of their
// series.
type savedGap struct {
	From   int64           `json:"from"` // Unix ms, as To
	To     int64           `json:"to"`
	Reason string          `json:"reason"`
	Source string          `json:"source,omitempty"`
	Of     int             `json:"of"`               // index in Series; everySaved
	Series []labels.Labels `json:"series,omitempty"` // of version 1
}

// everySaved stands for every series in savedGap.Of.
const everySaved = -1

func encodeGaps(gs []*gap) []byte {
	s := savedGaps{Version: 2, Series: []string{}, Gaps: make([]savedGap, 0, len(gs))}
	at := map[*concern]int{}
	for _, g := range gs {
		of, there := at[g.series]
		switch {
		case there:
		case g.series.every:
			of = everySaved
		default:
			of = len(s.Series)
			s.Series = append(s.Series, g.series.text())
		}
		at[g.series] = of
		s.Gaps = append(s.Gaps, savedGap{From: g.from, To: g.to, Reason: g.reason, Source: g.source, Of: of})
	}
	b, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("live: gaps: %v", err)) // our own types always have a JSON form
	}
	return b
}

// decodeGaps reads what encodeGaps wrote, now or in a version before.
func decodeGaps(b []byte) ([]*gap, error) {
	var s savedGaps
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("[")) {
		if err := json.Unmarshal(b, &s.Gaps); err != nil {
			return nil, err
		}
		var gs []*gap
		for _, g := range s.Gaps {
			hashes := make([]uint64, 0, len(g.Series))
			for _, ls := range g.Series {
				hashes = append(hashes, hashOf(ls))
			}
			slices.Sort(hashes)
			gs = append(gs, &gap{from: g.From, to: g.To, reason: g.Reason, series: newConcern(slices.Compact(hashes))})
		}
		return gs, nil
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, err
	}
	if s.Version != 2 {
		return nil, fmt.Errorf("version %d of the declared gaps is not known", s.Version)
	}
	sets := make([]*concern, len(s.Series))
	for i, text := range s.Series {
		var err error
		if sets[i], err = parseConcern(text); err != nil {
			return nil, err
		}
	}
	var gs []*gap
	for _, g := range s.Gaps {
		series := everySeries
		if g.Of != everySaved {
			if g.Of < 0 || g.Of >= len(sets) {
				return nil, errConcern
			}
			series = sets[g.Of]
		}
		gs = append(gs, &gap{from: g.From, to: g.To, reason: g.Reason, source: g.Source, series: series})
	}
	return gs, nil
}

// restoreGaps takes up the gaps that were declared before. The caller holds h.mu.
func (h *Hub) restoreGaps() error {
	b, err := h.store.Kept(store.Gaps)
	if err != nil {
		return fmt.Errorf("read the declared gaps: %w", err)
	}
	if b == nil {
		return nil
	}
	if h.gaps, err = decodeGaps(b); err != nil {
		h.log.Warn("the declared gaps are not legible; everything before now is declared a gap", "file", store.Gaps, "err", err)
		h.declare([]*gap{gapOf(store.Loss{To: h.now()})}) // they may have been any
	}
	h.boundGaps()
	return nil
}
