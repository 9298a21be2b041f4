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
}

// maxMessage bounds the bytes of a message: decoders and labels have a say in it.
const maxMessage = 1000

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
	var body struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	body.Error.Code, body.Error.Message = a.code, strings.ToValidUTF8(a.message[:min(len(a.message), maxMessage)], "")
	h.Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone; nothing is left to tell
}
