package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/recent"
)

// catchUpLog is how often progress is logged while the server catches up.
const catchUpLog = 5 * time.Second

// Follower reads the log: from where the life before this one has saved, and on from wherever the
// log or the store ask for.
type Follower struct {
	applier
	bus   bus.Bus
	saver saver
	ready readiness
	watch storeWatch
}

// New returns a follower that run starts. The pages take what it adds to what is shared.
func New(o Options, shared *recent.Log, p Pages) *Follower {
	m := newMetrics(o.Registry)
	f := &Follower{bus: o.Bus, ready: newReadiness(m)}
	s := f.watch.of(o.Store)
	x := &f.applier
	*x = applier{
		recent: shared, o: o, store: s, log: o.Log, metrics: m, pages: p, turn: make(chan struct{}, 1),
		sources: sources{}, shown: shown{most: cmp.Or(o.MaxShown, maxShown)}, doubts: doubts{times: map[*series]map[int64]struct{}{}},
	}
	window, accept := o.Window.Milliseconds(), o.Accept.Milliseconds()
	x.judge = judge{
		recent: shared, store: s, progress: &x.progress, sources: x.sources, ledger: &x.ledger, log: o.Log, metrics: m,
		window: window, accept: accept,
	}
	x.accept = acceptor{recent: shared, store: s, metrics: m, doubts: &x.doubts, shown: &x.shown, age: accept}
	x.record = recorder{recent: shared, store: s, log: o.Log, metrics: m, pages: p}
	f.saver = newSaver(f)
	x.ledger = declaredGaps{metrics: m, saveSoon: f.saver.soon}
	return f
}

// Prepare takes up what a life before this one has saved, and returns where to read the log from.
func (f *Follower) Prepare(ctx context.Context) (from bus.Position, err error) {
	if from, err = f.saver.restore(); err != nil {
		return from, err
	}
	ls := f.store.Losses()
	f.recent.Mu.Lock()
	f.ledger.declare(f.damage.take(ls))
	f.recent.Mu.Unlock()
	return from, f.loadIndex(ctx)
}

// loadIndex fills the index with the series that were written to lately, so that
// a catalogue asked for right after a restart is whole.
func (f *Follower) loadIndex(ctx context.Context) error {
	now := f.recent.Now()
	every := []*labels.Matcher{labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+")}
	found, err := f.store.Series(ctx, every, now-recent.IndexAge.Milliseconds(), max(now, f.recent.Index.NewestT))
	if err != nil {
		return fmt.Errorf("list the series in the store: %w", err)
	}
	for piece := range slices.Chunk(found, recent.PieceOf) {
		f.recent.Mu.Lock()
		for _, ls := range piece {
			if f.recent.Index.Get(ls) == nil {
				f.recent.Index.Welcome(&newSeries(ls, f.recent.Index.NewestT, now).Series, f.recent.Ring.End())
			}
		}
		f.recent.PublishSeries()
		f.recent.Mu.Did(len(piece))
		f.recent.Mu.Unlock()
	}
	return nil
}

// Run tails the log after from until ctx ends (then it returns nil) or the bus fails for good.
func (f *Follower) Run(ctx context.Context, from bus.Position) error {
	defer f.saver.save()
	for {
		out, err := f.tail(ctx, from)
		switch {
		case ctx.Err() != nil || errors.Is(err, bus.ErrClosed):
			return nil
		case out == again:
			from = f.readAgain()
		case out == askPlace:
			// Asked for the place itself, the bus finds that it is gone, and begins a new
			// epoch, which every server and page notices.
			from = f.knownPosition()
		case errors.Is(err, bus.ErrPositionLost):
			known := f.knownPosition()
			from = f.leftToRead(err)
			f.log.Warn("the log no longer holds the position of this server; reading what is left of the log", "position", known.String(), "after", from.String(), "err", err)
		default:
			return fmt.Errorf("tail the log: %w", err)
		}
	}
}

// errEnough ends a Tail whose outcome is another one than to read on.
var errEnough = errors.New("the log is to be read from elsewhere")

// tail reads the log after from, until something stops it: out says what, or else err.
func (f *Follower) tail(ctx context.Context, from bus.Position) (out outcome, err error) {
	end, err := f.logEnd(ctx)
	if err != nil {
		return readOn, err
	}
	if !f.begin(from, end) {
		return askPlace, nil
	}
	if !f.ready.is() && !from.IsZero() {
		f.ready.setBehind(end, from)
	}
	told := time.Now()
	if from == end || from.IsZero() && end.Offset == (bus.Offset{}) {
		f.ready.passed(end, end)
	}
	err = f.bus.Tail(ctx, from, func(d bus.Delivery) error {
		var err error
		out, err = f.apply(ctx, d)
		if out == readOn && err == nil {
			f.saver.begun()
		}
		if !f.ready.is() {
			f.ready.passed(d.Position, end)
			if behind, _ := f.ready.behindBy(); time.Since(told) > catchUpLog {
				told = time.Now()
				f.log.Info("catching up with the log", "behind", behind.Round(time.Second))
			}
		}
		if out != readOn {
			return errEnough
		}
		return err
	})
	if out != readOn {
		err = nil
	}
	return out, err
}

// begin notes that a Tail begins. It reports false when the log ends before what is known: it has
// lost its end.
func (f *Follower) begin(from, end bus.Position) bool {
	f.recent.Mu.Lock()
	defer f.recent.Mu.Unlock()
	p := &f.progress
	if p.endsEarly(from, end) {
		return false
	}
	if !from.IsZero() && p.applied.IsZero() {
		f.recent.Ring.Restart(from)
	} else if f.recent.Ring.StartsAfter().Epoch == "" {
		f.recent.Ring.Restart(bus.Position{Epoch: end.Epoch})
	}
	p.begin(from, end, f.recent.Now())
	return true
}

// readAgain returns where the log is to be read again from.
func (f *Follower) readAgain() bus.Position {
	f.recent.Mu.Lock()
	defer f.recent.Mu.Unlock()
	if f.progress.debt.isOfAll() {
		f.log.Warn("the history was repaired: applying all that the log retains again")
	} else {
		f.log.Info("recording what was only shown while the disk was full")
	}
	return f.progress.debt.from()
}

// knownPosition returns how far the log is known.
func (f *Follower) knownPosition() bus.Position {
	f.recent.Mu.Lock()
	defer f.recent.Mu.Unlock()
	return f.progress.known()
}

// JudgeWhileIdle judges a loss of the log by the clock, while nothing is written, until ctx ends.
func (f *Follower) JudgeWhileIdle(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		select {
		case <-ctx.Done():
			return
		case f.turn <- struct{}{}:
		}
		if f.ready.is() { // before, what was retained is still being read
			f.judgeIdle(ctx)
		}
		<-f.turn
	}
}

// Heard returns the highest sequence number of a source that was applied, and the log
// time of its newest batch; false where the source is not known.
func (f *Follower) Heard(name string) (seq uint64, at time.Time, known bool) {
	f.recent.Mu.Lock()
	defer f.recent.Mu.Unlock()
	s := f.sources[name]
	if s == nil || !s.known() {
		return 0, time.Time{}, false
	}
	return s.seq, time.UnixMilli(s.heardAt), true
}

// Standing returns how the log stands. The caller holds recent.Log.Mu.
func (f *Follower) Standing() Standing {
	d := &f.progress.debt
	return Standing{
		Full: f.record.full, Judging: f.judge.losses.isOpen(), Rereading: f.progress.isRereading(),
		Unrecorded: d.isShown(), Since: d.index, Partial: d.isShown() && !f.recent.Ring.Covers(d.index),
	}
}

// GapsIn returns the declared gaps that reach into a span of time, Unix ms; both ends are excluded.
// The caller holds recent.Log.Mu.
func (f *Follower) GapsIn(from, to int64) []*recent.Gap { return f.ledger.in(from, to) }

// NotInRing returns the gap of what the ring lacks up to a position, while Standing.Partial. The
// caller holds recent.Log.Mu.
func (f *Follower) NotInRing(to bus.Position) *recent.Gap { return f.judge.notInRing(to) }

// Left takes a series out of what its source has written: it leaves the index. The caller holds
// recent.Log.Mu.
func (f *Follower) Left(s *recent.Series) { (*source)(nil).has(seriesOf(s)) }

// SaveNotes saves what was declared, and how far the log was applied, until ctx ends.
func (f *Follower) SaveNotes(ctx context.Context) { f.saver.run(ctx) }

// Ready is closed once viewers may join.
func (f *Follower) Ready() <-chan struct{} { return f.ready.done }

// Behind returns how much of the log, in its own time, is still to be applied before
// viewers may join. It is false while that is not known, because the bus is away or
// nothing was read yet.
func (f *Follower) Behind() (time.Duration, bool) { return f.ready.behindBy() }

// IsReady reports whether viewers may join.
func (f *Follower) IsReady() bool { return f.ready.is() }
