package ingest

import (
	"fmt"
	"net/http"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
)

// These constants bound how far the number of a source may be ahead of the newest number in the log: by
// the jump of a spool that has lost its end, and by a thousand batches for each second of silence,
// which is fifty times what a collector can measure. A number beyond the bound cannot come from the
// source. If it were accepted, readers would take the next batches of the real source for duplicates,
// and would no longer see which batches are missing.
const (
	jumpAtOnce    = 100_000
	jumpPerSecond = 1_000
)

// judgeSequence returns the answer for a number that cannot be its source's, and the zero answer for
// any other. The refusal is temporary: after a clock was set back, the numbers of a real source are in
// bounds again later.
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
