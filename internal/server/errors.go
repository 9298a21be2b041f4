package server

import (
	"io"
	"net/http"
	"time"

	"stripchart/internal/httperr"
)

// lingerProbe takes the place of httperr.Linger on the connections of spareForProbes, which
// are few.
const lingerProbe = 50 * time.Millisecond

// leaveBody makes the response to r go out without r's body being read.
func leaveBody(w http.ResponseWriter, r *http.Request) {
	linger := httperr.Linger
	if connOf(r).probesOnly {
		linger = lingerProbe
	}
	httperr.LeaveBody(w, r, linger)
}

// fail answers with a stable code and a sentence that says what to do.
func fail(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	leaveBody(w, r)
	httperr.Error{Code: code, Message: message}.Write(w, status)
}

// refuse is fail for a request that is refused before anything was done for it, because of
// its headers or the server's state. Refused requests are counted.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	s.refused.WithLabelValues(code).Inc()
	fail(w, r, status, code, message)
}

func sayOK(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "ok\n")
}
