package ingest

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Series do not push each other ahead of the clock.
func TestEachSeriesHasTimesOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p taken
		h := handler(t, Options{Publish: p.publish})
		fields := make([]string, 5000)
		for i := range fields {
			fields[i] = fmt.Sprintf("f%d=1", i)
		}
		for range 2 {
			p.batches = nil
			if w := ask(h, httptest.NewRequest("POST", PushPath+"m", strings.NewReader(strings.Join(fields, " ")))); w.Code != 200 {
				t.Fatalf("%d %.300s", w.Code, w.Body)
			}
			first := p.batches[0].Series[0].Samples[0].T
			for _, s := range p.batches[0].Series {
				if s.Samples[0].T != first {
					t.Fatalf("%v is at %d, others of its line at %d", s.Labels, s.Samples[0].T, first)
				}
			}
		}
		w := ask(h, httptest.NewRequest("POST", PushPath+"other", strings.NewReader(strings.Repeat(strings.Join(fields[:100], " ")+"\n", 1500))))
		if w.Code != 200 {
			t.Errorf("%d %.300s", w.Code, w.Body)
		}
	})
}

func TestTheTimesOfOldSeriesAreForgotten(t *testing.T) {
	s := newStamps()
	now := time.Now().UnixMilli()
	for i := range maxStamped / 2 {
		s.take(uint64(i), now, 1)
	}
	later := now + 2*time.Minute.Milliseconds()
	for i := range maxStamped / 2 {
		s.take(uint64(1+i)<<32, later, 1)
	}
	s.take(1<<63, later, 1)
	if n := len(s.last); n != maxStamped/2+1 {
		t.Errorf("%d series are remembered, want those of the last minute, %d", n, maxStamped/2+1)
	}
	if from, _ := s.take(1<<32, later, 1); from != later+1 {
		t.Errorf("a series of the last minute was forgotten: %d", from-later)
	}
	for i := range 3 * maxStamped {
		s.take(uint64(1+i)<<20|1, later, 1)
		if len(s.last) > maxStamped {
			t.Fatalf("%d series are remembered", len(s.last))
		}
	}
}
