package bus

import (
	"errors"
	"fmt"
	"time"
)

// MaxSeq bounds sequence numbers: 2^53 - 1, exact in every language. A source that
// publishes a thousand batches a second reaches it after 285,000 years.
const MaxSeq = 1<<53 - 1

// ResendSpan is how far back acknowledged batches are sent again after a reconnect: a
// Redis that restarts or fails over may have lost them. Each batch is sent again in one
// of two places: package spool does it for collectors and other sources with a spool, and
// the resend window of package redisbus for the batches that a server publishes for its
// HTTP writers.
const ResendSpan = 10 * time.Second

// Sequence is the place of a batch among the batches of its source. The zero value is
// that of a writer without a sequence.
type Sequence struct {
	// Source identifies the publisher for as long as its sequence continues. CheckSource
	// says how it must look.
	Source string
	// Seq counts the source's batches: 1, 2, 3, ... without holes, at most MaxSeq.
	Seq uint64
	// Merged is how many batches before Seq are in this one too: a source that could not
	// publish for a while sends the batches that gathered as one. It is less than Seq.
	Merged uint64
	// Dropped is how many batches right before First the source has dropped; no reader
	// will see them. It is less than First. Readers also find the hole in the numbers,
	// unless they have forgotten the source.
	Dropped uint64
	// DroppedAfter is the time of the newest sample before the dropped batches, Unix ms:
	// samples between it and the newest sample of this batch are missing. 0 is unknown; no
	// gap can be declared then.
	DroppedAfter int64
}

// First returns the sequence number of the first batch that is in this one.
func (s Sequence) First() uint64 { return s.Seq - s.Merged }

// Check returns what is wrong with the numbers. It does not check how Source looks: logs
// and spools may hold names that an older version accepted.
func (s Sequence) Check() error {
	switch {
	case (s.Source == "") != (s.Seq == 0):
		return errors.New("source and seq go together, and seq counts from 1")
	case s.Seq > MaxSeq:
		return fmt.Errorf("seq must be at most 2^53-1, and is %d", s.Seq)
	case s.Merged > 0 && s.Merged >= s.Seq:
		return errors.New("merged must be less than seq")
	case s.Dropped > 0 && s.Dropped >= s.First():
		return errors.New("dropped must be less than seq - merged")
	}
	return nil
}
