package spool

import (
	"errors"
	"fmt"
	"time"
)

// While the disk takes nothing, batches are held in the tail, from where they are
// sent as always. Why this is safe:
//
//   - A held batch gets its number only when source.json, or the spare, says
//     durably that the number is in use. What begins after a kill therefore goes on
//     behind it, and right behind it: where the bus had taken everything, servers see
//     no jump and declare no gap.
//   - What the disk takes later is written in order. Of what the bus has taken
//     meanwhile only the last 10 s are, those that would be sent again; the log then
//     has a hole, and no batch is merged across one.
//   - What the bus has not taken is bounded. When there is no room, or the spare
//     cannot be overwritten, Append refuses, as if there were no memory.

// calm is how long the disk must have taken everything before that is news: one
// that is filled to the brim takes a little now and then.
const calm = 5 * time.Second

// hold takes e into memory because the disk did not take it, for the reason given.
// It needs logMu.
func (s *Spool) hold(e entry, reason error) error {
	refused := fmt.Errorf("%w: %w", ErrNotWritten, reason)
	s.mu.Lock()
	room := maxTailBytes - e.size
	held := s.tail.after(max(s.written, s.sent))
	for i := range held {
		room -= held[i].size
	}
	s.mu.Unlock()
	if room < 0 && len(held) > 0 {
		return refused
	}
	if err := s.save(e.seq, e.seq+reserveBlock, false); err != nil {
		return errors.Join(refused, err)
	}
	s.mu.Lock()
	begins := s.heldFrom.IsZero()
	if begins {
		s.heldFrom = time.Now()
	}
	s.mu.Unlock()
	if begins {
		s.log.Error("the disk of the spool takes nothing; what is measured is sent from memory, and what is not sent yet ends with this process. Make room, and it goes on by itself",
			"dir", s.o.Dir, "from", e.seq, "memory_bytes", maxTailBytes, "err", reason)
	}
	s.take(e)
	return fmt.Errorf("%w: %w", ErrHeld, reason)
}

// catchUp mends the log after a failed write, and writes what is held in memory, in
// order. The error says that the disk still takes nothing. It needs logMu.
func (s *Spool) catchUp() error {
	if s.bad {
		if err := s.mendLog(); err != nil {
			return err
		}
	}
	for {
		s.mu.Lock()
		var e entry
		if held := s.tail.after(s.written); len(held) > 0 {
			e = held[0]
		}
		s.mu.Unlock()
		if e.batch == nil {
			return nil
		}
		if err := s.put(e.header, appendRecord(nil, e.header, s.o.Encode(e.batch)), false); err != nil {
			return err
		}
	}
}

// held returns how many batches neither the bus nor the disk has taken.
func (s *Spool) held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.countHeld()
}

// countHeld is held with mu.
func (s *Spool) countHeld() int { return len(s.tail.after(max(s.written, s.sent))) }

// takesAgain ends an episode in which the disk took nothing.
func (s *Spool) takesAgain() {
	s.mu.Lock()
	since := s.heldFrom
	over := !since.IsZero() && !s.takes.IsZero() && time.Since(s.takes) >= calm
	if over {
		s.heldFrom = time.Time{}
	}
	s.mu.Unlock()
	if over {
		s.log.Info("the spool can be written again", "dir", s.o.Dir, "after", time.Since(since).Round(time.Second))
	}
}
