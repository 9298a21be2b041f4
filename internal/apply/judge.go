package apply

import (
	"log/slog"

	"stripchart/internal/recent"
)

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

// judgeBatch finds out what is missing before a batch. It reports whether the store may lack what
// was only shown before.
func (x *applier) judgeBatch(a *application) (lacksShown bool) {
	x.recent.Mu.Lock()
	defer x.recent.Mu.Unlock()
	if a.stage.again() {
		return false
	}
	x.judge.goOn(a.delivery.Position.Offset)
	if a.stage != replaying {
		x.judge.judgeSource(a)
	}
	x.judge.judgeLoss(a)
	return x.progress.debt.isShown()
}
