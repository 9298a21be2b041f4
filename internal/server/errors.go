package server

import (
	"io"
	"net/http"
	"time"

	"stripchart/internal/httperr"
)

// lingering is how long a client may go on sending a body that nobody reads. It is let
// go on at all so that it reads the answer: closing at once would reset the connection.
const lingering = time.Second

// lingeringProbe is the same where there is no room: the place is needed.
const lingeringProbe = 50 * time.Millisecond

// leaveBody says that nobody reads r's body, if it has one: the answer goes out at once,
// not when the body has come, and the connection ends behind it.
func leaveBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		w.Header().Set("Connection", "close")
		wait := lingering
		if connOf(r).probesOnly {
			wait = lingeringProbe
		}
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(wait)) // tests' writers have none
	}
}

// fail answers with a stable code and a sentence that says what to do.
func fail(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	leaveBody(w, r)
	httperr.Error{Code: code, Message: message}.Write(w, status)
}

// refuse is fail for a request that is refused for what it is or when it comes,
// before anything was done for it. Such are counted.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	s.refused.WithLabelValues(code).Inc()
	fail(w, r, status, code, message)
}

func sayOK(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "ok\n")
}
