package httperr

import (
	"net/http"
	"time"
)

// Linger is how long a client may go on sending a body that is not read. Closing the
// connection at once would reset it, and the client would not read the response.
const Linger = time.Second

// LeaveBody makes the response to r go out at once, although r's body is not read. If r has
// a body, the connection ends after the response: linger later at most, so that the client
// can read the response.
func LeaveBody(w http.ResponseWriter, r *http.Request, linger time.Duration) {
	if r.ContentLength == 0 {
		return
	}
	w.Header().Set("Connection", "close")
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(linger)) // httptest's writers have none
	r.Body = http.NoBody
}
