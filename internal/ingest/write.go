package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/access"
	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
)

// write carries out one request of a session. The checks that cost nothing come first, and the body is read only
// while there is room for it.
func (e *Endpoint) write(w http.ResponseWriter, r *http.Request, f format, x exchange, by access.Session) (out outcome) {
	refuse := func(a answer) outcome { return outcome{answer: a, report: out.report} }
	if e.o.Writable() != nil {
		return refuse(answer{status: http.StatusInsufficientStorage, code: "disk_full", message: "nothing was written, because the server's disk is full; try again later", retry: 10 * retrySoon})
	}
	sequence := x.sequence()
	if by.Source != "" && sequence.Source != "" && sequence.Source != by.Source {
		return refuse(answer{status: http.StatusForbidden, code: "source_not_allowed", message: fmt.Sprintf(
			"nothing was written: the token %s is bound to the source %s, and the request is of %s", by.Name, by.Source, sequence.Source)})
	}
	if a := e.judgeSequence(sequence, time.Now()); a.status != 0 {
		return refuse(a)
	}
	place := &place{l: &e.load}
	defer place.leave()
	body, a := e.read(w, r, place, e.bodyBound(x.encoding()))
	if a.status != 0 {
		return refuse(a)
	}
	if !place.begin() {
		return refuse(overloaded())
	}
	b, size, report, a, err := e.decode(r.Context(), x, body, by.Labels, place)
	if a.status != 0 {
		return refuse(a)
	}
	if out.report = report; errors.Is(err, bus.ErrTooLarge) {
		return refuse(answer{status: http.StatusRequestEntityTooLarge, code: "too_large", message: "nothing was written: " + err.Error() + "; send smaller requests"})
	} else if err != nil {
		return refuse(badBody(err))
	}
	// A batch may be larger than the body: series share symbols there, for example.
	if more := int64(b.Size() - size); more > 0 && !place.grow(more) {
		if place.bytes+more > e.o.MaxInFlight { // there would be no room on an idle server either
			return refuse(answer{status: http.StatusRequestEntityTooLarge, code: "too_large", message: fmt.Sprintf("nothing was written: with the labels of each series the request has %d bytes; send smaller requests", b.Size())})
		}
		return refuse(overloaded())
	}
	b.Sequence = sequence
	if b.Seq == 0 {
		e.judgeTimes(b, &out.report, time.Now())
	}
	admitted := e.series.admit(b, &out.report)
	if a := admitted.again; a.status != 0 {
		return refuse(a)
	}
	written := b.Samples() // before the bus owns b
	a, err = e.publish(r.Context(), b)
	admitted.done(err)
	if err != nil {
		return refuse(a)
	}
	e.metrics.wrote(f, written, out.report)
	out.written = written
	switch sentence := out.report.sentence(written); {
	case admitted.later.status != 0:
		out.answer = admitted.later
	case sentence != "":
		out.answer = answer{status: http.StatusBadRequest, code: httpbus.CodeNotAllWritten, message: sentence}
	default:
		out.answer = answer{status: http.StatusNoContent}
	}
	return out
}

// decode decompresses and decodes a body, whose decompressed size it returns. The answer, if not zero,
// reports a failure to decompress, and the error a failure to decode.
func (e *Endpoint) decode(ctx context.Context, x exchange, body []byte, fixed labels.Labels, p *place) (b *bus.Batch, size int, report Report, a answer, err error) {
	select {
	case e.decoding <- struct{}{}:
	case <-ctx.Done(): // nobody waits for the answer
		return nil, 0, Report{}, overloaded(), nil
	}
	defer func() { <-e.decoding }()
	raw, done, a := e.decompress(x.encoding(), body, p)
	if a.status != 0 {
		return nil, 0, Report{}, a, nil
	}
	defer done()
	b, report, err = x.decode(raw, fixed)
	return b, len(raw), report, answer{}, err
}

// publish brings b to the bus. Without an error it is there; otherwise the answer says
// what to do.
func (e *Endpoint) publish(ctx context.Context, b *bus.Batch) (answer, error) {
	// An empty batch matters only for its number: without it readers would take
	// the place in the sequence for a loss.
	if b.Seq == 0 && len(b.Series) == 0 {
		return answer{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, e.o.PublishTimeout)
	defer cancel()
	err := e.o.Publish(ctx, b)
	switch {
	case err == nil:
		if e.failing.CompareAndSwap(true, false) {
			e.o.Logger.Info("the bus takes writes again")
		}
		return answer{}, nil
	case errors.Is(err, bus.ErrTooLarge):
		return answer{status: http.StatusRequestEntityTooLarge, code: "too_large", message: "nothing was written: the bus takes no batch of this size; send smaller requests"}, err
	case errors.Is(err, bus.ErrNotStored):
		return answer{status: http.StatusInsufficientStorage, code: httpbus.CodeNotRecorded, message: "the samples are shown on open pages, but not recorded, because the server's disk is full", retry: 10 * retrySoon}, err
	}
	if ctx.Err() != context.Canceled && e.failing.CompareAndSwap(false, true) { // canceled: the client has gone
		e.o.Logger.Warn("the bus does not take writes; writers are told to try again", "err", err)
	}
	return answer{status: http.StatusServiceUnavailable, code: "unavailable", message: "the bus has not acknowledged the write; send the same again", retry: retrySoon}, err
}

func tooLarge(state string, bound int64) answer {
	return answer{status: http.StatusRequestEntityTooLarge, code: "too_large", message: fmt.Sprintf("nothing was written: a body may have %d bytes %s; send smaller requests", bound, state)}
}

func overloaded() answer {
	return answer{status: http.StatusTooManyRequests, code: "overloaded", message: "too many writes are under way; try again", retry: retrySoon}
}

// shortOfMemory answers a request with new series; written says what became of it.
func shortOfMemory(written string) answer {
	return answer{
		status: http.StatusServiceUnavailable, code: "short_of_memory", retry: 10 * retrySoon,
		message: written + ": there are new series in the request, and the server is short of memory (--memory-limit); send the same again later",
	}
}

// tooManyNewSeries answers a request with more new series than the minute takes; written says
// what became of it.
func tooManyNewSeries(written string, perMinute int) answer {
	return answer{
		status: http.StatusServiceUnavailable, code: "too_many_new_series", retry: 10 * retrySoon,
		message: fmt.Sprintf("%s: the server takes %d new series a minute (--max-new-series); send the same again later", written, perMinute),
	}
}

func badBody(err error) answer {
	return answer{status: http.StatusBadRequest, code: "bad_body", message: "nothing was written: " + err.Error()}
}
