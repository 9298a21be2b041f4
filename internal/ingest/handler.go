package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/client_golang/prometheus"

	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
)

// Options of New. Zero values mean the default given with each.
type Options struct {
	// Publish is bus.Bus's. Required.
	Publish func(ctx context.Context, b *bus.Batch) error
	// Decode reads a body of Remote-Write 2.0, still compressed. Its batch keeps
	// what bus.Batch promises, has neither source nor sequence, and may refer to
	// body. What it had to leave out is in the report; an error means that nothing
	// could be read. bus.ErrTooLarge says that a bound was exceeded. Required.
	Decode func(body []byte) (*bus.Batch, Report, error)
	// Writable returns an error while the store has no room. nil: there always is.
	Writable func() error

	// Heard returns the newest number of a source that is in the log, and when it came;
	// false where the source is not known. nil: none is.
	Heard func(source string) (seq uint64, at time.Time, known bool)

	// Series is what MaxSeries bounds: new ones beyond it are refused. nil: there is no
	// bound. CountsLate says that the bus acknowledges a batch before Series has it.
	Series     Series
	MaxSeries  int // 100,000
	CountsLate bool
	// Short reports whether memory is short; no new series is taken then. nil: never.
	Short func() bool

	MaxBody     int64 // bytes of a body as sent; 4 MiB
	MaxDecoded  int64 // bytes of it decompressed; 32 MiB
	MaxWrites   int   // requests under way whose body has arrived; 64
	MaxInFlight int64 // bytes of all requests, as they arrive, decompressed and as batches; 128 MiB

	Behind time.Duration // W, how old a sample may be; 24 h
	Ahead  time.Duration // how far in the future it may lie; 60 s

	ReadTimeout    time.Duration // for a body to arrive; 10 s
	PublishTimeout time.Duration // for the bus to acknowledge; 10 s

	Logger     *slog.Logger          // nil: none
	Registerer prometheus.Registerer // nil: none
}

// retrySoon is what writers are told to wait: long enough to calm a crowd of
// them, short beside what a source can keep.
const retrySoon = time.Second

// Handler is the door, an http.Handler for any path. It needs no Close: it has no
// goroutines, and requests end with their server.
type Handler struct {
	o       Options
	load    load
	series  admission
	metrics metrics
	failing atomic.Bool // the bus did not take the last batch; kept to log changes only
}

// New returns a Handler.
func New(o Options) (*Handler, error) {
	setDefault(&o.MaxSeries, 100_000)
	setDefault(&o.MaxBody, 4<<20)
	setDefault(&o.MaxDecoded, 32<<20)
	setDefault(&o.MaxWrites, 64)
	setDefault(&o.MaxInFlight, 128<<20)
	setDefault(&o.Behind, 24*time.Hour)
	setDefault(&o.Ahead, time.Minute)
	setDefault(&o.ReadTimeout, 10*time.Second)
	setDefault(&o.PublishTimeout, 10*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Writable == nil {
		o.Writable = func() error { return nil }
	}
	if o.Short == nil {
		o.Short = func() bool { return false }
	}
	if o.MaxInFlight < o.MaxBody+o.MaxDecoded {
		return nil, fmt.Errorf("%d bytes in flight do not hold one request of the largest size, %d", o.MaxInFlight, o.MaxBody+o.MaxDecoded)
	}
	h := &Handler{
		o: o, load: load{maxWrites: o.MaxWrites, maxBytes: o.MaxInFlight},
		series: admission{max: o.MaxSeries, series: o.Series, isShort: o.Short, late: o.CountsLate},
	}
	var err error
	h.metrics, err = newMetrics(o.Registerer, &h.load, &h.series)
	return h, err
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A body that trickles in must not keep its place, nor, where the answer comes
	// before it, the connection: net/http reads on for a while then. It lifts the
	// deadline itself when the body is complete.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(h.o.ReadTimeout)) // tests' writers have none
	a := negotiate(r)
	if a.status == 0 {
		var written int
		a, written = h.write(w, r)
		w.Header().Set(httpbus.HeaderSamplesWritten, fmt.Sprint(written))
		w.Header().Set(httpbus.HeaderHistogramsWritten, "0")
		w.Header().Set(httpbus.HeaderExemplarsWritten, "0")
	}
	h.metrics.answered(a.status)
	a.send(w)
}

// negotiate returns the answer for a request that is not Remote-Write 2.0, and
// the zero answer for one that is.
func negotiate(r *http.Request) answer {
	if r.Method != http.MethodPost {
		return answer{status: http.StatusMethodNotAllowed, code: "method_not_allowed", message: "this address takes writes: POST a Remote-Write 2.0 request", allow: http.MethodPost}
	}
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch proto := params["proto"]; {
	case err != nil || media != "application/x-protobuf":
		return answer{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type", message: "want Content-Type: " + httpbus.ContentType}
	case proto == "" || proto == "prometheus.WriteRequest":
		return answer{status: http.StatusUnsupportedMediaType, code: "remote_write_1", message: "this is Remote-Write 1.0, which is not supported yet; in Prometheus set protobuf_message: io.prometheus.write.v2.Request"}
	case proto != "io.prometheus.write.v2.Request":
		return answer{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type", message: "unknown protobuf message; want Content-Type: " + httpbus.ContentType}
	case !strings.EqualFold(r.Header.Get("Content-Encoding"), httpbus.ContentEncoding):
		return answer{status: http.StatusUnsupportedMediaType, code: "unsupported_encoding", message: "want Content-Encoding: " + httpbus.ContentEncoding + " (block format)"}
	}
	return answer{}
}

// write carries a request out and returns its answer and how many samples were
// written. What costs nothing to find out is found out first, and the body is
// read only when there is a place for it.
func (h *Handler) write(w http.ResponseWriter, r *http.Request) (a answer, written int) {
	sequence, err := httpbus.ReadSequence(r.Header)
	if err != nil {
		return answer{status: http.StatusBadRequest, code: "bad_sequence", message: err.Error()}, 0
	}
	if err := h.o.Writable(); err != nil {
		return answer{status: http.StatusInsufficientStorage, code: "disk_full", message: "nothing was written, because the server's disk is full; try again later", retry: 10 * retrySoon}, 0
	}
	if a := h.judgeSequence(sequence, time.Now()); a.status != 0 {
		return a, 0
	}
	if r.ContentLength > h.o.MaxBody {
		return tooLarge("compressed", h.o.MaxBody), 0
	}
	place := &place{l: &h.load}
	defer place.leave()
	body, a := h.read(w, r, place)
	if a.status != 0 {
		return a, 0
	}
	if !place.begin() {
		return overloaded(), 0
	}
	// The decompressed size is taken from the first bytes and judged before that
	// much memory is.
	decoded, err := snappy.DecodedLen(body)
	if err != nil {
		return badBody(err), 0
	}
	if int64(decoded) > h.o.MaxDecoded {
		return tooLarge("decompressed", h.o.MaxDecoded), 0
	}
	if !place.grow(int64(decoded)) {
		return overloaded(), 0
	}
	b, report, err := h.o.Decode(body)
	if errors.Is(err, bus.ErrTooLarge) {
		return answer{status: http.StatusRequestEntityTooLarge, code: "too_large", message: "nothing was written: " + err.Error() + "; send smaller requests"}, 0
	} else if err != nil {
		return badBody(err), 0
	}
	// Series share symbols in the body, and not in the batch.
	if more := int64(b.Size() - decoded); more > 0 && !place.grow(more) {
		return overloaded(), 0
	}
	b.Sequence = sequence
	if b.Seq == 0 {
		h.judgeTimes(b, &report, time.Now())
	}
	admitted := h.series.admit(b, &report)
	if a := admitted.again; a.status != 0 {
		return a, 0
	}
	written = b.Samples() // before the bus owns b
	a, err = h.publish(r.Context(), b)
	admitted.done(err)
	if err != nil {
		return a, 0
	}
	h.metrics.wrote(written, report)
	if a := admitted.later; a.status != 0 {
		return a, written
	}
	if sentence := report.sentence(written); sentence != "" {
		return answer{status: http.StatusBadRequest, code: httpbus.CodeNotAllWritten, message: sentence}, written
	}
	return answer{status: http.StatusNoContent}, written
}

// publish brings b to the bus. Without an error it is there; otherwise the answer says
// what to do.
func (h *Handler) publish(ctx context.Context, b *bus.Batch) (answer, error) {
	// An empty batch matters only for its number: without it readers would take
	// the place in the sequence for a loss.
	if b.Seq == 0 && len(b.Series) == 0 {
		return answer{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, h.o.PublishTimeout)
	defer cancel()
	err := h.o.Publish(ctx, b)
	switch {
	case err == nil:
		if h.failing.CompareAndSwap(true, false) {
			h.o.Logger.Info("the bus takes writes again")
		}
		return answer{}, nil
	case errors.Is(err, bus.ErrTooLarge):
		return answer{status: http.StatusRequestEntityTooLarge, code: "too_large", message: "nothing was written: the bus takes no batch of this size; send smaller requests"}, err
	case errors.Is(err, bus.ErrNotStored):
		return answer{status: http.StatusInsufficientStorage, code: httpbus.CodeNotRecorded, message: "the samples are shown on open pages, but not recorded, because the server's disk is full", retry: 10 * retrySoon}, err
	}
	if ctx.Err() != context.Canceled && h.failing.CompareAndSwap(false, true) { // canceled: the client has gone
		h.o.Logger.Warn("the bus does not take writes; writers are told to try again", "err", err)
	}
	return answer{status: http.StatusServiceUnavailable, code: "unavailable", message: "the bus has not acknowledged the write; send the same again", retry: retrySoon}, err
}

func tooLarge(state string, bound int64) answer {
	return answer{status: http.StatusRequestEntityTooLarge, code: "too_large", message: fmt.Sprintf("nothing was written: a body may have %d bytes %s; send smaller requests", bound, state)}
}

func overloaded() answer {
	return answer{status: http.StatusTooManyRequests, code: "overloaded", message: "too many writes are under way; try again", retry: retrySoon}
}

func shortOfMemory() answer {
	return answer{
		status: http.StatusServiceUnavailable, code: "short_of_memory", retry: 10 * retrySoon,
		message: "there are new series in the request, and the server is short of memory (--memory-limit); send the same again later. Without a sequence the others were written",
	}
}

func badBody(err error) answer {
	return answer{status: http.StatusBadRequest, code: "bad_body", message: "nothing was written: the body is not a Remote-Write 2.0 request: " + err.Error()}
}
