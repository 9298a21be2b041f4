package api

import (
	"compress/gzip"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	// maxAnswers bounds the bytes of all answers that wait to be read, and so does the eighth
	// part of the memory.
	maxAnswers = 256 << 20
	// compressFrom is the size of the smallest answer that is compressed: smaller ones fit
	// into one packet.
	compressFrom = 1400
	// sendTimeout is how long a client may take to read its answer, and stallTimeout how long
	// to read a piece of sendPiece bytes of what is sent.
	sendTimeout  = time.Minute
	stallTimeout = 10 * time.Second
	sendPiece    = 64 << 10
)

// answers counts the bytes of answers that wait to be read.
type answers struct {
	max   int64
	bytes atomic.Int64
}

// take reports whether there is room for n more; then done gives it back.
func (a *answers) take(n int) (done func(), ok bool) {
	if a.bytes.Add(int64(n)) > a.max {
		a.bytes.Add(int64(-n))
		return nil, false
	}
	return func() { a.bytes.Add(int64(-n)) }, true
}

// send writes an answer. A failure means that the client is gone; nobody is left to be told.
func send(w http.ResponseWriter, r *http.Request, status int, b []byte) {
	out := &sender{w, http.NewResponseController(w), time.Now().Add(sendTimeout)}
	out.extend() // for what is small enough to be sent when the handler has returned
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Add("Vary", "Accept-Encoding")
	if len(b) < compressFrom || !acceptsGzip(r) {
		h.Set("Content-Length", strconv.Itoa(len(b)))
		w.WriteHeader(status)
		_, _ = out.Write(b)
		return
	}
	h.Set("Content-Encoding", "gzip")
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	z, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is right
	}
	_, _ = z.Write(b)
	_ = z.Close()
}

// sender writes piece by piece, each with a deadline of its own.
type sender struct {
	w    io.Writer
	c    *http.ResponseController
	last time.Time // no deadline is later; the zero Time: any
}

// extend sets the deadline of the next piece. What the query took of the server's time for an
// answer is given back.
func (s *sender) extend() {
	d := time.Now().Add(stallTimeout)
	if !s.last.IsZero() && d.After(s.last) {
		d = s.last
	}
	_ = s.c.SetWriteDeadline(d) // tests' writers have none
}

func (s *sender) Write(b []byte) (n int, err error) {
	for piece := range slices.Chunk(b, sendPiece) {
		s.extend()
		m, err := s.w.Write(piece)
		if n += m; err != nil {
			return n, err
		}
	}
	return n, nil
}
