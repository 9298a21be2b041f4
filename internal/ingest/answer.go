package ingest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"stripchart/internal/httperr"
)

// answer is what a writer is told. The zero value is no answer yet.
type answer struct {
	status  int
	code    string        // stable, for programs; empty with a success
	message string        // what to do, for people
	retry   time.Duration // Retry-After in whole seconds; 0: none
	allow   string        // Allow
	closing bool          // the connection cannot be used any more
	body    any           // JSON in place of the usual error; nil: none
	raw     []byte        // a whole body of type media, in place of the fields above; nil: none
	media   string
}

// error returns what a reports, and nil for a success.
func (a answer) error() *httperr.Error {
	if a.code == "" {
		return nil
	}
	e := httperr.Error{Code: a.code, Message: a.message}.Bounded()
	return &e
}

// send writes a, in the form that all errors of the server have unless it has a body.
func (a answer) send(w http.ResponseWriter) {
	h := w.Header()
	if a.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int(a.retry/time.Second)))
	}
	if a.allow != "" {
		h.Set("Allow", a.allow)
	}
	if a.closing {
		h.Set("Connection", "close")
	}
	switch {
	case a.raw != nil:
		h.Set("Content-Type", a.media)
		w.WriteHeader(a.status)
		_, _ = w.Write(a.raw) // if it fails, the client is gone
	case a.body != nil:
		h.Set("Content-Type", "application/json")
		w.WriteHeader(a.status)
		out := json.NewEncoder(w)
		out.SetEscapeHTML(false) // links stay readable
		_ = out.Encode(a.body)   // if it fails, the client is gone
	case a.code != "":
		httperr.Error{Code: a.code, Message: a.message}.Write(w, a.status)
	default:
		w.WriteHeader(a.status)
	}
}
