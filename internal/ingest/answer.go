package ingest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
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
}

// maxMessage bounds the bytes of a message: decoders and labels have a say in it.
const maxMessage = 1000

// errorBody is what every error of the server says.
type errorBody struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// errorBody returns nil for a success.
func (a answer) errorBody() *errorBody {
	if a.code == "" {
		return nil
	}
	return &errorBody{a.code, strings.ToValidUTF8(a.message[:min(len(a.message), maxMessage)], "")}
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
	body := a.body
	if body == nil && a.code != "" {
		body = map[string]*errorBody{"error": a.errorBody()}
	}
	if body == nil {
		w.WriteHeader(a.status)
		return
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false) // links stay readable
	_ = out.Encode(body)     // the client is gone; nothing is left to tell
}
