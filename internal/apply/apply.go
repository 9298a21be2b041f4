package apply

import (
	"context"
	"log/slog"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/recent"
)

// application is one batch on its way in. The goroutine that applies uses it alone.
//
// What needs no lock is done before it is taken: the look-ups in the store, and the
// commits of late samples. What must be seen at once by everybody (the commit of samples
// in order, the ring, what rooms have pending) is done under the lock, in pieces, so that
// no hold of it lasts for longer than a few milliseconds.
type application struct {
	delivery  bus.Delivery
	batch     *bus.Batch
	logTime   int64 // Unix ms
	now       int64 // the server's clock, Unix ms
	stage     stage
	source    *source // nil: a writer without numbers
	duplicate bool    // nothing in it is new to this epoch of the log

	incoming []incoming
	newest   int64 // newest accepted time; recent.UnknownTime: nothing was accepted
	wentBack bool  // a series has a sample that is older than what its source had written of it before
	absences []absence
	gaps     []*recent.Gap // for the absences; declared with the batch's first entry

	full   bool // some of it could not be recorded: the disk is full
	shown  bool // its first entry is in the ring
	failed bool // a failure was logged
}

// lacks notes what may be missing before the batch, or shows by it.
func (a *application) lacks(m absence) { a.absences = append(a.absences, m) }

// outcome is how the log is read on after a batch.
type outcome uint8

const (
	readOn   outcome = iota
	again            // from before what the store lacks: there is room again, or the store was repaired
	askPlace         // the log has lost its end: asked for the place itself, the bus begins a new epoch
)

// applier takes batches in, in log order. Nothing else writes to the store.
type applier struct {
	recent  *recent.Log
	o       Options
	store   Store
	log     *slog.Logger
	metrics *metrics
	pages   Pages
	turn    chan struct{} // buffered, capacity 1: held while a batch is applied, or an idle log judged; the order of locks is at recent.Log.Mu

	progress progress
	sources  sources
	judge    judge
	accept   acceptor
	record   recorder
	shown    shown
	doubts   doubts
	ledger   declaredGaps
	damage   damage
}

// apply takes one batch in: it is accepted, committed, put into the ring, and
// its rooms are marked, in log order.
//
// Where the log keeps the batch whatever becomes of it here, nobody will publish it
// again: what fails is tried until it succeeds. Everything before that was judged once,
// and is not judged, counted or logged again.
func (x *applier) apply(ctx context.Context, d bus.Delivery) (outcome, error) {
	x.turn <- struct{}{}
	defer func() { <-x.turn }()
	began := time.Now()
	a := x.arrive(d)
	if a == nil {
		d.Done(nil)
		return askPlace, nil
	}
	var err error
	if !a.duplicate {
		err = x.carryOut(ctx, a)
	}
	x.metrics.apply.Observe(time.Since(began).Seconds())
	switch {
	case err == nil && x.isDueAgain(a):
		d.Done(nil)
		return again, nil
	case ctx.Err() != nil && err != nil && d.Kept:
		return readOn, ctx.Err()
	case err == nil && a.full:
		d.Done(bus.ErrNotStored)
	case err == nil && !d.Kept && a.source != nil:
		x.acknowledge(a.source, d.Done)
	default:
		d.Done(err)
	}
	return readOn, nil
}

// carryOut accepts and records a batch that arrive has let through.
func (x *applier) carryOut(ctx context.Context, a *application) error {
	a.incoming, a.newest = x.accept.resolve(a.batch, a.logTime, a.now)
	defer func() {
		x.accept.keep(a.incoming)
		x.record.keep()
	}()
	lacksShown := x.judgeBatch(a)
	err := x.try(ctx, a, func() error {
		return x.accept.reopen(func() error {
			for i := range a.absences {
				if err := x.judge.ask(ctx, &a.absences[i]); err != nil {
					return err
				}
			}
			return x.accept.lookUp(ctx, a.incoming, lacksShown)
		})
	})
	if err != nil {
		return err
	}
	for i := range a.absences {
		a.gaps = append(a.gaps, x.judge.gapsOf(&a.absences[i], a.logTime)...)
	}
	if err := x.recordLate(ctx, a); err != nil {
		x.doubt(x.record.parts(a.incoming))
		return err
	}
	parts := x.record.parts(a.incoming)
	for {
		piece := piece(parts)
		last := len(piece) == len(parts)
		err := x.try(ctx, a, func() error { return x.recordPiece(a, piece, last) })
		if err != nil {
			x.doubt(parts)
			x.abandon(a)
			return err
		}
		if last {
			return nil
		}
		parts = parts[len(piece):]
	}
}

// isDueAgain reports whether the log is to be read again after a batch, because the store lacks
// something that the log holds.
func (x *applier) isDueAgain(a *application) bool {
	x.recent.Mu.Lock()
	defer x.recent.Mu.Unlock()
	return !a.full && !a.stage.again() && x.progress.debt.isDue(!a.duplicate)
}

// acknowledge tells the bus that a batch of s was applied, once the gaps that were
// declared for s are saved: s says once what it has dropped, in a batch that is
// acknowledged. The log goes on meanwhile.
func (x *applier) acknowledge(s *source, done func(error)) {
	x.recent.Mu.Lock()
	waits := x.ledger.await(s.gapsDeclared, done)
	x.recent.Mu.Unlock()
	if waits {
		x.ledger.saveSoon()
	} else {
		done(nil)
	}
}

// maxScratch is how many series the memory is kept for that a batch needs on its way.
const maxScratch = 4 * pieceSeries

// judgeIdle judges the newest loss of the log by the clock, while nothing is written: a page
// must not wait for the next batch to be told what it lacks. The caller holds x.turn.
func (x *applier) judgeIdle(ctx context.Context) {
	x.recent.Mu.Lock()
	a := x.judge.judgeIdle()
	x.recent.Mu.Unlock()
	if a == nil {
		return
	}
	for i := range a.absences {
		m := &a.absences[i]
		if err := x.judge.ask(ctx, m); err != nil {
			return // the store is away; the loss is judged again in a second
		}
		a.gaps = append(a.gaps, x.judge.gapsOf(m, a.logTime)...)
	}
	x.recent.Mu.Lock()
	defer x.recent.Mu.Unlock()
	x.declare(a)
	x.tellAlone(a)
}
