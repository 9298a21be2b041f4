package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/recent"
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

// saver saves what was declared, and how far the log was applied. It has a goroutine of
// its own: a disk that hangs holds up neither batches nor what pages are told of states.
type saver struct {
	*applier
	wake chan struct{} // buffered, capacity 1: save before the time
	// notes is buffered, capacity 1. Its holder writes the store's notes, so that an older version
	// never replaces a newer one. See recent.Log.Mu for the order of locks.
	notes chan struct{}
	// saves says that progress was saved once, by this life or one before. The goroutine that
	// applies uses it alone.
	saves bool
}

func newSaver(f *Follower) saver {
	return saver{applier: &f.applier, wake: make(chan struct{}, 1), notes: make(chan struct{}, 1)}
}

// run saves until ctx ends.
func (s *saver) run(ctx context.Context) {
	ticker := time.NewTicker(saveInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-ticker.C:
		}
		pace := savePace
		if s.save() {
			pace = gapPace
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pace):
		}
	}
}

// soon has the saver save before its time. It never blocks.
func (s *saver) soon() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// begun saves at once after the very first batch. A server that was killed before its first save would
// look like one that has never seen the log, and would declare no gap.
func (s *saver) begun() {
	if !s.saves && s.o.Replica {
		s.saves = true
		s.save()
	}
}

// save keeps how far the log was applied, and the gaps that were declared on the
// way there: the gaps first, since what lies before the saved position is not
// judged again. It reports whether there were gaps to save.
func (s *saver) save() (gaps bool) {
	s.notes <- struct{}{}
	defer func() { <-s.notes }()
	s.recent.Mu.Lock()
	told := s.damage.told
	b := s.encodeProgress()
	s.recent.Mu.Unlock()
	gaps, kept := s.keepGaps()
	if !kept || b == nil && s.o.Replica {
		// Nothing of it counts as saved, so the losses stay noted in the store, and are declared again at the next start.
		return gaps
	}
	if b != nil {
		if err := s.store.Keep(store.Progress, b); err != nil {
			// The one before is still there: only more is read again after a start.
			s.log.Warn("how far the log was applied could not be saved", "err", err)
			return gaps
		}
	}
	if len(told) > 0 {
		_ = s.store.LossesDeclared(told) // a failure is logged; they are declared again at the next start
	}
	return gaps
}

// keepGaps keeps the declared gaps when some are not saved, without those that no
// window reaches any more, and acknowledges the batches that have waited for it. It
// reports whether there were any, and whether all that were declared are kept. The
// caller holds s.notes.
func (s *saver) keepGaps() (some, kept bool) {
	s.recent.Mu.Lock()
	gs, declared, some := s.ledger.toSave(s.recent.Now() - s.judge.window)
	s.recent.Mu.Unlock()
	if !some {
		return false, true
	}
	err := s.store.Keep(store.Gaps, encodeGaps(gs))
	if err != nil {
		s.log.Warn("the declared gaps could not be saved", "err", err)
		err = errGapsNotKept
	}
	s.recent.Mu.Lock()
	due := s.ledger.keptUpTo(declared, err == nil)
	s.recent.Mu.Unlock()
	for _, r := range due {
		r.done(err)
	}
	return true, err == nil
}

// savedProgress is the form of store.Progress.
type savedProgress struct {
	Version  int                    `json:"version"` // 1
	Position string                 `json:"position,omitempty"`
	Replay   string                 `json:"replay,omitempty"`
	Sources  map[string]savedSource `json:"sources"`
	Loss     *savedLoss             `json:"loss,omitempty"` // the newest, while it is judged or recent
	Late     reach                  `json:"late"`           // judge.late
}

// encodeProgress returns nil for a log that does not outlive this process, and while
// the saved position has to stand still. The caller holds recent.Log.Mu.
func (s *saver) encodeProgress() []byte {
	s.sources.forget(s.recent.Now() - sourceMemory)
	position, replay, ok := s.progress.toSave()
	if !ok || !s.o.Replica {
		return nil
	}
	b, err := json.Marshal(savedProgress{
		Version: 1, Position: position.String(), Replay: replay.String(),
		Sources: s.sources.save(), Loss: s.judge.losses.save(s.progress.applied.LogTime()), Late: s.judge.late,
	})
	if err != nil {
		panic(fmt.Sprintf("apply: progress: %v", err)) // our own types always have a JSON form
	}
	return b
}

// restore takes up what a life before this one has saved, and returns where to
// read the log from.
func (s *saver) restore() (from bus.Position, err error) {
	s.recent.Mu.Lock()
	defer s.recent.Mu.Unlock()
	if err := s.restoreGaps(); err != nil {
		return from, err
	}
	if !s.o.Replica {
		// A log in memory begins anew with every process. Saved progress lags behind the applied
		// batches, so after a kill the saved sequence numbers would lead to false gaps; sources that
		// have dropped something say so (source.recall).
		return from, nil
	}
	b, err := s.store.Kept(store.Progress)
	if err != nil {
		return from, fmt.Errorf("read how far the log was applied: %w", err)
	}
	if len(b) == 0 {
		return from, nil
	}
	var p savedProgress
	if err := json.Unmarshal(b, &p); err != nil || p.Version != 1 {
		// Only more is read than is needed: all that the log retains.
		s.log.Warn("the file with the applied position cannot be read; reading the whole log", "file", store.Progress)
		return from, nil
	}
	s.sources.restore(p.Sources)
	s.judge.late = p.Late
	saved, err := bus.ParsePosition(p.Position)
	if err != nil {
		return from, nil
	}
	s.saves = true
	s.judge.losses.restore(p.Loss, s.sources)
	// A loss that is not declared yet may come from an earlier run that ended before it had read the
	// log again.
	intact := s.store.Intact() && len(s.store.Losses()) == 0
	if from, err = bus.ParsePosition(p.Replay); err != nil {
		from = bus.Position{}
	}
	s.progress.restore(saved, from, intact)
	if intact {
		return from, nil
	}
	s.log.Warn("the machine was restarted, or the history repaired: applying all that the log retains again")
	// The next start must not take the history for whole because this one was
	// interrupted.
	p.Replay = ""
	if b, err = json.Marshal(p); err == nil {
		err = s.store.Keep(store.Progress, b)
	}
	return bus.Position{}, err
}

// restoreGaps takes up the gaps that were declared before. The caller holds recent.Log.Mu.
func (s *saver) restoreGaps() error {
	b, err := s.store.Kept(store.Gaps)
	if err != nil {
		return fmt.Errorf("read the declared gaps: %w", err)
	}
	if b == nil {
		return nil
	}
	gs, err := decodeGaps(b)
	s.ledger.restore(gs)
	if err != nil {
		s.log.Warn("the declared gaps are not legible; everything before now is declared a gap", "file", store.Gaps, "err", err)
		s.ledger.declare([]*recent.Gap{DamageGap(store.Loss{To: s.recent.Now()})}) // they may have been any
	}
	return nil
}
