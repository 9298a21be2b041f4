package apply

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/recent"
)

// savedGaps is the form of store.Gaps.
type savedGaps struct {
	Version int        `json:"version"` // 2
	Series  []string   `json:"series"`  // sets of series, see recent.Concern.Text
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

func encodeGaps(gs []*recent.Gap) []byte {
	s := savedGaps{Version: 2, Series: []string{}, Gaps: make([]savedGap, 0, len(gs))}
	at := map[*recent.Concern]int{}
	for _, g := range gs {
		of, there := at[g.Series]
		switch {
		case there:
		case g.Series.Every:
			of = everySaved
		default:
			of = len(s.Series)
			s.Series = append(s.Series, g.Series.Text())
		}
		at[g.Series] = of
		s.Gaps = append(s.Gaps, savedGap{From: g.From, To: g.To, Reason: g.Reason, Source: g.Source, Of: of})
	}
	b, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("apply: gaps: %v", err)) // our own types always have a JSON form
	}
	return b
}

// decodeGaps reads what encodeGaps wrote, now or in a version before.
func decodeGaps(b []byte) ([]*recent.Gap, error) {
	var s savedGaps
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("[")) {
		if err := json.Unmarshal(b, &s.Gaps); err != nil {
			return nil, err
		}
		var gs []*recent.Gap
		for _, g := range s.Gaps {
			hashes := make([]uint64, 0, len(g.Series))
			for _, ls := range g.Series {
				hashes = append(hashes, recent.Hash(ls))
			}
			slices.Sort(hashes)
			gs = append(gs, &recent.Gap{From: g.From, To: g.To, Reason: g.Reason, Series: recent.NewConcern(slices.Compact(hashes))})
		}
		return gs, nil
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, err
	}
	if s.Version != 2 {
		return nil, fmt.Errorf("version %d of the declared gaps is not known", s.Version)
	}
	sets := make([]*recent.Concern, len(s.Series))
	for i, text := range s.Series {
		var err error
		if sets[i], err = recent.ParseConcern(text); err != nil {
			return nil, err
		}
	}
	var gs []*recent.Gap
	for _, g := range s.Gaps {
		series := recent.EverySeries
		if g.Of != everySaved {
			if g.Of < 0 || g.Of >= len(sets) {
				return nil, recent.ErrConcern
			}
			series = sets[g.Of]
		}
		gs = append(gs, &recent.Gap{From: g.From, To: g.To, Reason: g.Reason, Source: g.Source, Series: series})
	}
	return gs, nil
}
