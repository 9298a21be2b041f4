package ingest

import (
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
}

// send writes a in the form that all errors of the server have.
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
	if a.code == "" {
		w.WriteHeader(a.status)
		return
	}
	httperr.Error{Code: a.code, Message: a.message}.Write(w, a.status)
}
