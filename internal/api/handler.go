package api

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/annotations"

	"stripchart/internal/httperr"
	"stripchart/internal/store"
)

const (
	// maxForm bounds the bytes of a request's parameters.
	maxForm = 64 << 10
	// maxAnswer bounds the bytes of an answer, before compression; half of all answers may
	// be less.
	maxAnswer = 64 << 20
)

// endpoint is a path below /api/v1/ and what it does.
type endpoint struct {
	path   string
	form   bool // whether POST with a form is taken beside GET
	answer func(*request) (result, error)
}

// request is a request whose form was read.
type request struct {
	*http.Request
	ctx context.Context // ends when the caller does not wait any more
}

// result is what an endpoint answers.
type result struct {
	// append appends the JSON of the data. Nothing that it needs is open any more.
	append func([]byte) ([]byte, error)
	size   int // the bytes that it keeps for that, if they are many
	notes  annotations.Annotations
	query  string // that notes may name places in
}

// Error types of Prometheus's API.
const (
	badData     = "bad_data"
	execution   = "execution"
	timedOut    = "timeout"
	canceled    = "canceled"
	internal    = "internal"
	unavailable = "unavailable"
	notAllowed  = "method_not_allowed" // not Prometheus's, which answers 405 without a body
)

var statuses = map[string]int{
	badData:     http.StatusBadRequest,
	execution:   http.StatusUnprocessableEntity,
	timedOut:    http.StatusServiceUnavailable,
	canceled:    499, // as nginx has it; nobody reads it
	internal:    http.StatusInternalServerError,
	unavailable: http.StatusServiceUnavailable,
	notAllowed:  http.StatusMethodNotAllowed,
}

// apiError is an error with its type.
type apiError struct {
	kind string
	err  error
}

func (e *apiError) Error() string { return e.err.Error() }
func (e *apiError) Unwrap() error { return e.err }

func bad(err error) error { return &apiError{badData, err} }

func badParameter(name string, err error) error {
	return bad(fmt.Errorf("invalid parameter %q: %w", name, err))
}

// handler answers the requests of an endpoint.
func (a *API) handler(e endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		kind := a.serve(w, r, e)
		a.metrics.answered(e.path, kind, time.Since(start))
	})
}

// serve answers r. It returns the type of the error that was answered, or "success".
func (a *API) serve(w http.ResponseWriter, r *http.Request, e endpoint) string {
	var b []byte
	req, err := a.read(w, r, e)
	if err == nil {
		var res result
		if res, err = e.answer(req); err == nil {
			b, err = a.encode(res)
		}
	}
	if err == nil {
		if done, ok := a.waiting.take(len(b)); ok {
			defer done()
			send(w, r, http.StatusOK, b)
			return success
		}
		err = errTooMany
	}
	return a.fail(w, r, err)
}

// fail answers with an error, and returns its type.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) string {
	ae := typed(err, a.share)
	if statuses[ae.kind] == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	send(w, r, statuses[ae.kind], failure(ae))
	return ae.kind
}

// read checks the method and reads the form.
func (a *API) read(w http.ResponseWriter, r *http.Request, e endpoint) (*request, error) {
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		httperr.LeaveBody(w, r, httperr.Linger)
	case r.Method == http.MethodPost && e.form:
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if r.ContentLength != 0 && (err != nil || kind != "application/x-www-form-urlencoded") {
			httperr.LeaveBody(w, r, httperr.Linger)
			return nil, bad(errors.New("send the parameters as application/x-www-form-urlencoded, or in the URL of a GET"))
		}
	default:
		allowed := "GET, HEAD"
		if e.form {
			allowed += ", POST"
		}
		w.Header().Set("Allow", allowed)
		httperr.LeaveBody(w, r, httperr.Linger)
		return nil, &apiError{notAllowed, errors.New("use GET")}
	}
	if err := r.ParseForm(); err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			err = fmt.Errorf("the parameters have more than %d bytes", maxForm)
		}
		return nil, bad(fmt.Errorf("error parsing form values: %w", err))
	}
	if a.o.Short() {
		return nil, &apiError{unavailable, errors.New("the server is short of memory; try again in a moment")}
	}
	if !a.o.Ready() {
		return nil, &apiError{unavailable, errors.New("the log has not been read to its end yet; try again in a moment")}
	}
	return &request{r, r.Context()}, nil
}

// typed returns err with its type.
func typed(err error, share *store.Share) *apiError {
	if ae, is := errors.AsType[*apiError](err); is {
		return ae
	}
	if _, is := errors.AsType[promql.ErrQueryTimeout](err); is {
		return &apiError{timedOut, err}
	}
	if _, is := errors.AsType[promql.ErrQueryCanceled](err); is {
		return &apiError{canceled, err}
	}
	if errors.Is(err, store.ErrClosed) || errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrSnapshotClosed) {
		return &apiError{unavailable, err}
	}
	if _, is := errors.AsType[promql.ErrStorage](err); is {
		return &apiError{internal, err}
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &apiError{timedOut, fmt.Errorf("the query took longer than it may: the server's bound is %v, the wait for one of %d queries at once included",
			share.Timeout(), share.Reads())}
	case errors.Is(err, context.Canceled):
		return &apiError{canceled, err}
	}
	return &apiError{execution, err}
}

// damaged returns warnings about what the store could not read.
func damaged(ls []store.Loss) (notes annotations.Annotations) {
	if len(ls) == 0 {
		return nil
	}
	from, to := ls[0].From, ls[0].To
	for _, l := range ls {
		from, to = min(from, l.From), max(to, l.To)
	}
	notes.Add(fmt.Errorf("history between %s and %s is damaged on disk; samples there may be missing", rfc3339(from), rfc3339(to)))
	return notes
}

// recorded returns a warning while what arrives is not recorded.
func (a *API) recorded() (notes annotations.Annotations) {
	if err := a.store.Writable(); errors.Is(err, store.ErrDiskFull) {
		notes.Add(errors.New("the server's disk is full; samples that have arrived since are shown live and are missing here"))
	}
	return notes
}

func rfc3339(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }

// constant answers always the same.
func constant(data any) func(*request) (result, error) {
	return func(*request) (result, error) { return jsonOf(data), nil }
}

// acceptsGzip reports whether r's client reads gzip.
func acceptsGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(coding), ";")
		weight = strings.ReplaceAll(weight, " ", "")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			return weight != "q=0" && weight != "q=0.0" && weight != "q=0.00" && weight != "q=0.000"
		}
	}
	return false
}
