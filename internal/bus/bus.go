package bus

import (
	"context"
	"errors"
)

var (
	// ErrPositionLost means that batches after the asked position are gone from
	// the log, or that the position is of another epoch. The reader declares a
	// gap and tails again: from LostError.Since, if there is one, otherwise from the
	// zero Position.
	ErrPositionLost = errors.New("position is no longer in the log")
	// ErrClosed means that the bus was closed.
	ErrClosed = errors.New("bus is closed")
	// ErrUnusable means that what is at the other end will not do, whenever it is
	// asked: a Redis that is too old, say. The error says what to do.
	ErrUnusable = errors.New("the bus cannot be used")
	// ErrNotStored means that the batch went to the pages that watch it, but is
	// not recorded, because the disk is full. Sources do not publish it again.
	ErrNotStored = errors.New("shown but not recorded: the disk is full")
	// ErrNotAllWritten means that the batch is in the log under its number, but without
	// some of its samples, which were refused for good. Sources do not publish it
	// again, and nothing of the sequence is missing.
	ErrNotAllWritten = errors.New("samples of the batch were refused; the rest was written")
	// ErrTooLarge means that one batch exceeds the bound of the whole queue; it
	// must be split.
	ErrTooLarge = errors.New("batch is larger than the bus's queue")
)

// LostError is an ErrPositionLost of a bus that may know how much of the log is still
// the one that was read.
type LostError struct {
	Reason string // for a log of errors
	// Since is a place in the present epoch: up to there the log holds nothing that
	// was not before the lost position too. Zero: not known, or nothing is left of that.
	Since Position
}

func (e *LostError) Error() string { return ErrPositionLost.Error() + ": " + e.Reason }

// Is makes every LostError an ErrPositionLost.
func (e *LostError) Is(target error) bool { return target == ErrPositionLost }

// Bus is the contract that package bustest checks; see the package comment.
type Bus interface {
	// Publish appends b to the log. The bus and its readers own b from the call
	// on, also after an error: nobody may change it any more. A nil error is the
	// acknowledgement; any other error says nothing about whether the batch
	// arrived, so a source publishes the same batch (same Seq) again.
	Publish(ctx context.Context, b *Batch) error

	// Tail calls handle for every retained batch after from, in log order, one
	// call at a time, and waits for new ones until ctx ends. The zero Position
	// is the beginning of what is retained. d.Done must be called exactly once, by
	// handle or later by another goroutine; the log goes on meanwhile. An error of
	// handle ends Tail, which returns it.
	Tail(ctx context.Context, from Position, handle func(d Delivery) error) error

	// End returns the position of the newest batch in the log: the zero Offset
	// with the log's epoch while the log is empty.
	End(ctx context.Context) (Position, error)

	// Close ends every Publish and Tail with ErrClosed and waits for them.
	// Calls after the first return nil.
	Close() error
}

// Delivery is a batch at its place in the log.
type Delivery struct {
	Batch    *Batch
	Position Position
	// Done tells the bus that the batch was committed (nil) or why not. In
	// memory, Publish returns this error; on Redis it has no effect, because
	// the log keeps the batch.
	Done func(error)
	// Kept says that the log keeps the batch whatever Done is told, and that its
	// source was told so: a reader that cannot commit it tries again, itself.
	Kept bool
}
