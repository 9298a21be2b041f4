package api

import (
	"compress/gzip"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	// maxAnswers bounds the bytes of all answers that wait to be read.
	maxAnswers = 256 << 20
	// compressFrom is the size of the smallest answer that is compressed: smaller ones fit
	// into one packet.
	compressFrom = 1400
	// sendTimeout is how long a client may take to read its answer.
	sendTimeout = time.Minute
)

// answers counts the bytes of answers that wait to be read.
type answers struct{ bytes atomic.Int64 }

// take reports whether there is room for n more; then done gives it back.
func (a *answers) take(n int) (done func(), ok bool) {
	if a.bytes.Add(int64(n)) > maxAnswers {
		a.bytes.Add(int64(-n))
		return nil, false
	}
	return func() { a.bytes.Add(int64(-n)) }, true
}

// send writes an answer. A failure means that the client is gone; nobody is left to be told.
func send(w http.ResponseWriter, r *http.Request, status int, b []byte) {
	// What the query took of the server's time for an answer is given back.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(sendTimeout)) // tests' writers have none
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Add("Vary", "Accept-Encoding")
	if len(b) < compressFrom || !acceptsGzip(r) {
		h.Set("Content-Length", strconv.Itoa(len(b)))
		w.WriteHeader(status)
		_, _ = w.Write(b)
		return
	}
	h.Set("Content-Encoding", "gzip")
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is right
	}
	_, _ = z.Write(b)
	_ = z.Close()
}
