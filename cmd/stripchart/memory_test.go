package main

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
	"stripchart/internal/bus/rw"
	"stripchart/internal/wire"
)

// Where memory is short, what is there goes on, and nobody joins.
func TestAServerShortOfMemoryGoesOnForThoseWhoAreThere(t *testing.T) {
	p := limited(t, "memory_bytes", "6.7108864e+07", "--memory-limit", "64M", "--interval", "100ms")
	viewer := dial(t, p.url)
	var a wire.Subscribed
	if viewer.ask(wire.EventSubscribe, wire.Subscribe{Query: `cpu_usage_percent{cpu="total"}`}, &a); !a.OK {
		t.Fatalf("%+v", a)
	}
	short := func() bool { return metric(t, p, "stripchart_memory_short") == 1 }
	for n := 0; !short(); n++ {
		if n == 90 {
			t.Fatalf("90,000 series fit into 64 MB: %v are in use", metric(t, p, "stripchart_memory_in_use_bytes"))
		}
		write(t, p, n, 1000)
		// Its answer comes behind updates and pings, which are read so: a page that answers
		// no ping for 45 s is gone, and on a busy machine this takes as long.
		viewer.ask(wire.EventUnsubscribe, wire.Unsubscribe{Room: "r-0"}, &struct{}{})
	}
	if status := write(t, p, 0, 1000); status != http.StatusNoContent {
		t.Errorf("samples of series that are known: %d", status)
	}
	if status := write(t, p, 1000, 10); status != http.StatusServiceUnavailable || metric(t, p, `stripchart_write_refused_total{reason="memory"}`) < 10 {
		t.Errorf("samples of series that are new: %d", status)
	}
	status, text := get(t, p.url+"/socket.io/?EIO=4&transport=polling")
	if status != http.StatusServiceUnavailable || !strings.Contains(text, wire.CodeOverloaded) {
		t.Errorf("a page that joins: %d %s", status, text)
	}
	if _, err := openSocket(p, "127.0.0.1"); err == nil {
		t.Error("a WebSocket was let in")
	}
	if viewer.ask(wire.EventSubscribe, wire.Subscribe{Query: "load1"}, &a); a.OK {
		t.Error("a page that is there joins another room")
	}
	for range 10 {
		viewer.next(wire.EventUpdate)
	}
	for path, want := range map[string]int{"/": 200, "/readyz": 200, "/healthz": 200} {
		if status, _ := get(t, p.url+path); status != want {
			t.Errorf("%s: %d", path, status)
		}
	}
	if n := metric(t, p, `stripchart_requests_refused_total{code="overloaded"}`); n < 2 {
		t.Errorf("%v are counted", n)
	}
	if l := p.log.String(); strings.Count(l, "memory is short") != 1 {
		t.Errorf("it says:\n%s", l)
	}
}

// write writes a sample of each of so many series of a group.
func write(t *testing.T, p *process, group, series int) (status int) {
	t.Helper()
	b := &bus.Batch{}
	for i := range series {
		b.Series = append(b.Series, bus.Series{
			Labels:  labels.FromStrings("__name__", "filler", "group", fmt.Sprint(group), "n", fmt.Sprint(i)),
			Samples: []bus.Sample{{T: time.Now().UnixMilli(), V: 1}},
		})
	}
	r, err := http.NewRequest("POST", p.url+httpbus.WritePath, bytes.NewReader(rw.Encode(b)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", httpbus.ContentType)
	r.Header.Set("Content-Encoding", httpbus.ContentEncoding)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}
