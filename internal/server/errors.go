package server

import (
	"io"
	"net/http"
	"time"

	"stripchart/internal/httperr"
)

// lingering is how long a client may go on sending a body that is not read. Closing at once
// would reset the connection, and the client would not read the response.
const lingering = time.Second

// lingeringProbe is lingering for the connections of spareForProbes, whose places are scarce.
const lingeringProbe = 50 * time.Millisecond

// leaveBody says that r's body, if it has one, will not be read. The response is sent at
// once, without waiting for the body, and the connection ends after it.
func leaveBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		w.Header().Set("Connection", "close")
		wait := lingering
		if connOf(r).probesOnly {
			wait = lingeringProbe
		}
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(wait)) // httptest's writers have none
	}
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
