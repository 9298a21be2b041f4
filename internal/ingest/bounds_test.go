package ingest

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A body of garbage is not read to its end: it would hold a place among those that are decoded.
func TestReadingStopsAfterManyUnreadableLines(t *testing.T) {
	for path, line := range map[string]string{PushPath + "m": "x\n", influx1Path: "x\n"} {
		var p taken
		h := handler(t, Options{Publish: p.publish})
		body := strings.Repeat(line, maxUnreadable+150_000) + "m value=1"
		w := ask(h, httptest.NewRequest("POST", path, strings.NewReader(body)))
		for _, want := range []string{"100000 unreadable", "150001 too_many (the first: line 100001: after 100000 errors the rest of the body was not read)"} {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: %d %.600s; want %s", path, w.Code, w.Body, want)
			}
		}
		if w.Code != 400 || len(p.batches) != 0 {
			t.Errorf("%s: %d, %d batches", path, w.Code, len(p.batches))
		}
	}
}

func TestARefusalIsWordedOnlyWhileItIsListed(t *testing.T) {
	var r Report
	worded := 0
	for n := range 3 * maxLines {
		r.lineError(n+1, refusedUnreadable, func() string { worded++; return "x" })
	}
	if worded > maxLines+1 || len(r.Lines) != maxLines || r.Refused[0].Samples != 3*maxLines || r.Refused[0].First != "line 1: x" {
		t.Errorf("worded %d times; %d lines, %+v", worded, len(r.Lines), r.Refused)
	}
}

// Who has gone does not wait until others have been decoded.
func TestARequestThatIsGoneDoesNotWaitToBeDecoded(t *testing.T) {
	var p taken
	h := handler(t, Options{Publish: p.publish})
	for range cap(h.decoding) {
		h.decoding <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	ended := make(chan int, 1)
	go func() {
		ended <- ask(h, httptest.NewRequestWithContext(ctx, "POST", PushPath+"m", strings.NewReader("1"))).Code
	}()
	select {
	case code := <-ended:
		if code != 429 || len(p.batches) != 0 {
			t.Errorf("%d, %d batches", code, len(p.batches))
		}
	case <-time.After(5 * time.Second):
		t.Error("it waits")
		<-h.decoding
		<-ended
	}
	if writes, bytes := h.load.held(); writes != 0 || bytes != 0 {
		t.Errorf("%d writes and %d bytes have not been given back", writes, bytes)
	}
}
