package ingest

import (
	"cmp"
	"fmt"
	"time"
)

// acceptance is the span of time in which samples are accepted at one moment.
type acceptance struct {
	now           time.Time
	behind, ahead time.Duration
	from, to      int64 // Unix ms
}

func (e *Endpoint) acceptance(now time.Time) acceptance {
	return acceptance{
		now: now, behind: e.o.Behind, ahead: e.o.Ahead,
		from: now.Add(-e.o.Behind).UnixMilli(), to: now.Add(e.o.Ahead).UnixMilli(),
	}
}

// refusal returns the reason for which a sample at t is refused, and says it; "" for a
// sample that is accepted.
func (a *acceptance) refusal(t int64) (reason, says string) {
	switch {
	case t < a.from:
		return refusedTooOld, "lies more than " + a.behind.String() + " back"
	case t > a.to:
		return refusedTooNew, "lies more than " + a.ahead.String() + " ahead of this server's clock"
	}
	return "", ""
}

// instant writes a time as answers do.
func instant(t int64) string {
	return time.UnixMilli(t).UTC().Format("2006-01-02T15:04:05.000Z")
}

// lineError counts one refusal on a line, by its reason. It calls says only while Report.Lines has room
// for the text.
func (r *Report) lineError(line int, reason string, says func() string) {
	r.linesError(line, 1, reason, says)
}

// linesError is lineError for n things, the first of which stands on the line.
func (r *Report) linesError(line, n int, reason string, says func() string) {
	r.refuse(reason, n, func() string { return fmt.Sprintf("%s %d: %s", cmp.Or(r.Unit, "line"), line, says()) })
	if len(r.Lines) < maxLines {
		r.Lines = append(r.Lines, LineError{Line: line, Reason: reason, Message: says()})
	}
}
