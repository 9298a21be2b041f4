package ingest

import (
	"context"
	"fmt"
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
		body := strings.Repeat(line, maxErrors+150_000) + "m value=1"
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

// fieldsLine is a line of the line protocol with long tags and n fields.
func fieldsLine(tag, n int) string {
	var line strings.Builder
	fmt.Fprintf(&line, "m,a=%s,b=%s ", strings.Repeat("x", tag), strings.Repeat("y", tag))
	for i := range n {
		if i > 0 {
			line.WriteByte(',')
		}
		fmt.Fprintf(&line, "f%d=1", i)
	}
	return line.String()
}

// A short body that names much is taken as far as it has room, and not put off for ever.
func TestTheLabelsOfARequestAreBounded(t *testing.T) {
	var p taken
	w := ask(handler(t, Options{Publish: p.publish}), httptest.NewRequest("POST", influx1Path, strings.NewReader(fieldsLine(1900, 12_000)+"\nother value=1\n")))
	if w.Code != 400 || len(p.batches) != 1 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	series := p.batches[0].Series
	if n := len(series); n < 2000 || n > 4000 || p.batches[0].Size() > maxGatheredBytes/2 {
		t.Errorf("%d series of %d bytes were written", n, p.batches[0].Size())
	}
	if want := fmt.Sprintf("dropped=%d", 12_000+1-len(series)); !strings.Contains(w.Body.String(), want) || !strings.Contains(w.Body.String(), "too_many") {
		t.Errorf("%s does not say %s", w.Body, want)
	}
}

func TestTheFieldsOfALineAreBounded(t *testing.T) {
	pairs := strings.Repeat("a=1 ", 10_100)
	object := "{" + strings.Repeat(`"a":1,`, 10_100) + `"b":1}`
	for _, c := range []struct{ path, body, want string }{
		{influx1Path, fieldsLine(1, 10_100), "100 too_many (the first: line 1: a line may have 10000 fields"},
		{PushPath + "m", pairs + "\nb=1\n", "1 too_many (the first: line 1: a line may have 10000 numbers; the rest of the line was not read"},
		{PushPath + "m", object + "\nb=1\n", "1 too_many (the first: line 1: a line may have 10000 numbers; the rest of the line was not read"},
	} {
		var p taken
		w := ask(handler(t, Options{Publish: p.publish}), httptest.NewRequest("POST", c.path, strings.NewReader(c.body)))
		if w.Code != 400 || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s: %d %.400s; want %s", c.path, w.Code, w.Body, c.want)
		}
	}
}

// A request that would not find room on an idle server either is not told to come again.
func TestABatchLargerThanAllRoomIsTooLarge(t *testing.T) {
	var p taken
	h := handler(t, Options{Publish: p.publish, MaxBody: 1 << 10, MaxDecoded: 16 << 10, MaxInFlight: 64 << 10})
	for _, c := range []struct{ fields, status int }{{10, 204}, {100, 413}} {
		w := ask(h, httptest.NewRequest("POST", influx1Path, strings.NewReader(fieldsLine(1000, c.fields))))
		if w.Code != c.status || w.Header().Get("Retry-After") != "" {
			t.Errorf("%d fields: %d %s", c.fields, w.Code, w.Body)
		}
	}
}

// Refused series cost time too: each has its labels made.
func TestReadingStopsAfterManyRefusedSeries(t *testing.T) {
	var p taken
	w := ask(handler(t, Options{Publish: p.publish}), httptest.NewRequest("POST", PushPath+strings.Repeat("m", 2047), strings.NewReader(strings.Repeat("k=1\n", maxErrors+50_000))))
	for _, want := range []string{"100000 invalid_labels", "50000 too_many (the first: line 100001: after 100000 errors"} {
		if w.Code != 400 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%d %.600s; want %s", w.Code, w.Body, want)
		}
	}
}
