package bus

import (
	"context"
	"errors"
)

var (
	// ErrPositionLost means that batches after the given position are gone from the
	// log, or that the position is of another epoch. The reader declares a gap and calls
	// Tail again: from LostError.Since if that is set, otherwise from the zero Position.
	ErrPositionLost = errors.New("position is no longer in the log")
	// ErrClosed means that the bus was closed.
	ErrClosed = errors.New("bus is closed")
	// ErrUnusable means a permanent misconfiguration, such as a Redis that is too old.
	// Retrying does not help; the error says what to do.
	ErrUnusable = errors.New("the bus cannot be used")
	// ErrRefused means that the other end will never accept this batch as it is. The
	// source drops it. If a part of it was written, the error is ErrNotAllWritten.
	ErrRefused = errors.New("the bus refuses this batch for good")
	// ErrNotStored means that the batch went to the pages that watch it, but is
	// not recorded, because the disk is full. Sources do not publish it again.
	ErrNotStored = errors.New("shown but not recorded: the disk is full")
	// ErrNotAllWritten means that the batch is in the log under its number, but without
	// some of its samples, which were refused for good. Sources do not publish it again;
	// the sequence has no hole.
	ErrNotAllWritten = errors.New("samples of the batch were refused; the rest was written")
	// ErrTooLarge means that one batch exceeds a bound: of a bus's whole queue, of one
	// request, or of the spool. Waiting does not help; the source must split it.
	ErrTooLarge = errors.New("batch is larger than the bus's queue")
)

// LostError is an ErrPositionLost that may say how much of the log is still the same.
type LostError struct {
	Reason string // for log lines
	// Since is a position in the present epoch. Every entry up to it was also before the
	// lost position. Zero: unknown, or no such entry is left.
	Since Position
}

func (e *LostError) Error() string { return ErrPositionLost.Error() + ": " + e.Reason }

// Is makes every LostError an ErrPositionLost.
func (e *LostError) Is(target error) bool { return target == ErrPositionLost }

// Bus is the contract that package bustest checks; see the package comment.
type Bus interface {
	// Publish appends b to the log. From then on the bus and its readers own b, also
	// after an error: the caller must not change it. A nil error is the acknowledgement.
	// Other errors do not say whether the batch arrived, so the source publishes the same
	// batch (same Seq) again. The exceptions are ErrRefused, ErrNotStored, ErrNotAllWritten
	// and ErrTooLarge.
	Publish(ctx context.Context, b *Batch) error

	// Tail calls handle for every retained batch after from, in log order, one
	// call at a time, and waits for new ones until ctx ends. The zero Position is the
	// beginning of the retained log. d.Done must be called exactly once, by handle or later
	// by another goroutine; Tail does not wait for it. An error of handle ends Tail, which
	// returns it.
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
	// Done tells the bus that the batch was committed (nil) or why not. In memory,
	// Publish returns this error. On Redis it has no effect, because the log keeps the
	// batch.
	Done func(error)
	// Kept says that the batch is already acknowledged, and stays in the log whatever
	// Done is told. A reader that cannot commit it retries by itself.
	Kept bool
}
