package api

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// errClientGone means that the client has gone, or does not read.
var errClientGone = &apiError{canceled, errors.New("the client has gone, or has not read for too long")}

// stream sends an answer while it is being made: who makes it appends to buf, and a
// goroutine writes piece by piece, each with a deadline of its own. What waits is bounded by
// exportPieces.
type stream struct {
	buf    []byte // the piece that is being made
	closed bool

	pieces chan []byte
	free   chan []byte // written pieces, for their memory
	failed chan struct{}
	done   chan struct{}
}

func newStream(w http.ResponseWriter, r *http.Request) *stream {
	s := &stream{
		pieces: make(chan []byte, exportPieces), free: make(chan []byte, exportPieces+2),
		failed: make(chan struct{}), done: make(chan struct{}),
	}
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{}) // the request is here; tests' writers have none
	out := &sender{w, c, time.Time{}}
	out.extend()
	zipped := acceptsGzip(r)
	if zipped {
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.WriteHeader(http.StatusOK)
	go s.write(out, zipped)
	return s
}

// write writes the pieces until there are no more, or one cannot be written.
func (s *stream) write(out io.Writer, zipped bool) {
	defer close(s.done)
	to := out
	var z *gzip.Writer
	if zipped {
		var err error
		if z, err = gzip.NewWriterLevel(out, gzip.BestSpeed); err != nil {
			panic(err) // the level is right
		}
		to = z
	}
	for piece := range s.pieces {
		if _, err := to.Write(piece); err != nil {
			close(s.failed)
			return
		}
		select {
		case s.free <- piece[:0]:
		default:
		}
	}
	if z != nil && z.Close() != nil {
		close(s.failed)
	}
}

// offer hands buf over, and begins another. It returns false when there has been no room
// for so long; then buf stays.
func (s *stream) offer(ctx context.Context, patience time.Duration) bool {
	select {
	case s.pieces <- s.buf:
		s.another()
		return true
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case s.pieces <- s.buf:
		s.another()
		return true
	case <-timer.C:
	case <-s.failed:
	case <-ctx.Done():
	}
	return false
}

func (s *stream) another() {
	select {
	case s.buf = <-s.free:
	default:
		s.buf = make([]byte, 0, exportPiece+64<<10)
	}
}

// wait waits until buf is no whole piece.
func (s *stream) wait(ctx context.Context) error {
	if len(s.buf) < exportPiece {
		return nil
	}
	return s.hand(ctx)
}

// hand hands buf over, whenever there is room.
func (s *stream) hand(ctx context.Context) error {
	select {
	case s.pieces <- s.buf:
		s.another()
		return nil
	case <-s.failed:
		return errClientGone
	case <-ctx.Done():
		return errClientGone
	}
}

// finish sends the rest.
func (s *stream) finish(ctx context.Context) error {
	if err := s.hand(ctx); err != nil {
		return err
	}
	s.close()
	select {
	case <-s.failed:
		return errClientGone
	default:
		return nil
	}
}

// close waits for what was handed over. Further calls do nothing.
func (s *stream) close() {
	if !s.closed {
		s.closed = true
		close(s.pieces)
		<-s.done
	}
}
