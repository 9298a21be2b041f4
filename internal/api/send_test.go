package api

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// slowWriter takes some time for each write, and none after its deadline.
type slowWriter struct {
	*httptest.ResponseRecorder
	pause    time.Duration
	deadline time.Time
}

func (w *slowWriter) SetWriteDeadline(t time.Time) error { w.deadline = t; return nil }

func (w *slowWriter) Write(b []byte) (int, error) {
	time.Sleep(w.pause)
	if !time.Now().Before(w.deadline) {
		return 0, http.ErrHandlerTimeout
	}
	return w.ResponseRecorder.Write(b)
}

// A client that reads nothing holds its answer's memory for 10 s, and a slow one for a minute.
func TestAnAnswerIsSentWhileItsClientReads(t *testing.T) {
	for _, c := range []struct {
		pause time.Duration
		want  int // pieces that are sent
	}{
		{0, 20},
		{2 * time.Second, 20},
		{9 * time.Second, 6},
		{11 * time.Second, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &slowWriter{ResponseRecorder: httptest.NewRecorder(), pause: c.pause}
			send(w, httptest.NewRequest("GET", "/", nil), 200, bytes.Repeat([]byte("x"), 20*sendPiece))
			if got := w.Body.Len(); got != c.want*sendPiece {
				t.Errorf("%v for each piece: %d bytes, want %d pieces", c.pause, got, c.want)
			}
		})
	}
}
