package api

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/store"
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

// All answers together fit into an eighth of the memory, and each into half of that.
func TestAnswersAreBoundedByTheMemory(t *testing.T) {
	v := serve(t, store.Options{}, Options{MemoryLimit: 80 << 10})
	for i := range 100 {
		v.append(t, labels.FromStrings("__name__", "m", "n", fmt.Sprintf("%0100d", i)), bus.Sample{T: base, V: 1})
	}
	for _, all := range []bool{false, true} {
		limit, want := "20", 200
		if all {
			limit, want = "100", 422
		}
		for _, r := range []*http.Request{
			get("query", form("query", "m", "time", ms(base), "limit", limit)),
			get("series", form("match[]", "m", "limit", limit)),
			get("label/n/values", form("limit", limit)),
			get("query_range", form("query", "m", "start", ms(base), "end", ms(base), "step", "1", "limit", limit)),
		} {
			if status, a := v.answer(t, r); status != want || all && !strings.Contains(a.Error, "more than 5120 bytes") {
				t.Errorf("%s: %d %s, want %d", r.URL, status, a.Error, want)
			}
		}
	}
	if l := v.api.Limits(); l["answer_bytes"] != 5<<10 || l["answers_total_bytes"] != 10<<10 {
		t.Errorf("%v", l)
	}
	// Others that wait to be read leave no room for the copy.
	done, ok := v.api.waiting.take(7 << 10)
	if !ok {
		t.Fatal("no room")
	}
	r := get("series", form("match[]", "m", "limit", "20"))
	if status, a := v.answer(t, r); status != 503 || a.ErrorType != unavailable {
		t.Errorf("with 7 of 10 KiB taken: %d %s", status, a.Error)
	}
	done()
	if status, a := v.answer(t, r); status != 200 {
		t.Errorf("later: %d %s", status, a.Error)
	}
	if n := v.api.waiting.bytes.Load(); n != 0 {
		t.Errorf("%d bytes are still taken", n)
	}
}
