package ingest

import (
	"fmt"
	"net/http"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
)

// How far the number of a source may be ahead of the newest that was heard of it:
// what a spool that lost its end jumps over, and a thousand batches for each second of
// silence, fifty times what a collector can measure. A number beyond is not the
// source's: it was made up, and readers would take what the source really sends next for
// copies, and no longer see what is missing of it.
const (
	jumpAtOnce    = 100_000
	jumpPerSecond = 1_000
)

// judgeSequence returns the answer for a number that cannot be its source's, and the
// zero answer for any other. It is not for good: what a clock that was set back makes
// of a real source is right again later.
func (e *Endpoint) judgeSequence(s bus.Sequence, now time.Time) answer {
	if s.Seq == 0 || e.o.Heard == nil {
		return answer{}
	}
	seq, at, known := e.o.Heard(s.Source)
	if !known {
		return answer{}
	}
	silent := max(now.Sub(at), 0)
	if most := seq + jumpAtOnce + jumpPerSecond*uint64(silent/time.Second); s.Seq > most {
		return answer{status: http.StatusTooManyRequests, code: "sequence_jump", retry: 10 * retrySoon, message: fmt.Sprintf(
			"nothing was written: %s %d cannot be next, because %d was the newest of %s, %v ago; a source counts its batches 1, 2, 3, ..., and one that has forgotten its numbers needs a new name",
			httpbus.HeaderSeq, s.Seq, seq, s.Source, silent.Round(time.Second))}
	}
	return answer{}
}
