package apply

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/recent"
	"stripchart/internal/store"
)

// newestWithin is how long before a gap the store is asked for the newest sample of a
// series, in ms: where it is older, the gap begins here.
const newestWithin = 24 * 3600 * 1000

// judge finds out what is missing: of a source whose number jumps (hole.go), and of everybody
// once the log has lost something (loss.go). recent.Log.Mu guards its fields.
type judge struct {
	recent   *recent.Log
	store    Store
	progress *progress
	sources  sources
	ledger   *declaredGaps
	log      *slog.Logger
	metrics  *metrics
	window   int64 // the longest that a page may ask for, ms
	accept   int64 // how old a sample may be, ms

	losses losses
	late   reach // how old samples of writers without numbers are when they come
}

// ask finds out since when the series of m lack something, as far as this process was
// not there. The caller holds applier.turn, so nothing is committed meanwhile. It does
// not hold recent.Log.Mu, because a series takes 10 to 20 µs.
func (j *judge) ask(ctx context.Context, m *absence) error {
	if m.storedBefore != 0 {
		if err := j.addStored(ctx, m); err != nil {
			return err
		}
	}
	var questions []store.Question
	var of []*missing
	for i := range m.series {
		if x := &m.series[i]; x.after == recent.UnknownTime {
			questions = append(questions, store.Question{Labels: x.labels, From: x.bound - newestWithin, To: x.bound})
			of = append(of, x)
		}
	}
	if err := j.store.LookUp(ctx, questions); err != nil {
		return fmt.Errorf("look for the newest samples before a gap: %w", err)
	}
	for i, x := range of {
		x.after = questions[i].Newest
	}
	return nil
}

// addStored adds the series that only the store knows.
func (j *judge) addStored(ctx context.Context, m *absence) error {
	every := []*labels.Matcher{labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+")}
	found, err := j.store.Series(ctx, every, m.storedBefore-recent.IndexAge.Milliseconds(), m.storedBefore)
	if err != nil {
		return fmt.Errorf("list the series before a gap: %w", err)
	}
	j.recent.Mu.Lock()
	defer j.recent.Mu.Unlock()
	for _, ls := range found {
		if j.recent.Index.Get(ls) == nil {
			m.series = append(m.series, missing{
				hash: recent.Hash(ls), labels: ls, after: recent.UnknownTime, bound: m.storedBefore - j.lateness(), early: j.earlyOf(nil), to: m.storedTo,
			})
		}
	}
	m.storedBefore = 0
	return nil
}

// gapsOf returns the gaps to declare for m at a log time.
func (j *judge) gapsOf(m *absence, logTime int64) []*recent.Gap {
	return m.gaps(logTime-j.window, logTime+FutureBound+1)
}

// lateness is how old samples may be when they come into the log, where nothing else is
// known of their writers: the greatest age that was seen of those without numbers.
// The caller holds recent.Log.Mu.
func (j *judge) lateness() int64 { return max(lossMargin, j.late.most()) }

// earlyOf returns by how much the samples of s may be older than what its writer wrote of
// it before: what its source has shown lately, or any source while the writer of s is not
// known, as after a restart. The caller holds recent.Log.Mu.
func (j *judge) earlyOf(s *series) int64 {
	if s != nil && s.source != nil {
		return s.source.back.most()
	}
	early := int64(0)
	for _, x := range j.sources {
		early = max(early, x.back.most())
	}
	return early
}

// noteTimes takes up how late the samples of a part are, and the newest of them. The
// caller holds recent.Log.Mu.
func (j *judge) noteTimes(a *application, p *writing) {
	switch s := p.of; {
	case a.source == nil:
		j.late.see(a.logTime-p.Samples[0].T, a.logTime, j.accept)
	case len(p.Fresh) > 0 && s.last != recent.UnknownTime && s.source == a.source:
		a.source.wentBack(s.last-p.Fresh[0].T, a.logTime)
	}
	p.of.wrote(p.Samples[len(p.Samples)-1].T, j.losses.count)
}
