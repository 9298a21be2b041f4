package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/golang/snappy"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"stripchart/internal/bus/httpbus"
	"stripchart/internal/wire"
)

// post sends a request of Remote-Write 2.0; header is pairs of names and values.
func post(t testing.TB, url string, r writev2.Request, header ...string) (status int, answer string) {
	t.Helper()
	raw, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return postRaw(t, url, snappy.Encode(nil, raw), header...)
}

func postRaw(t testing.TB, url string, body []byte, header ...string) (status int, answer string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+httpbus.WritePath, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Content-Type", httpbus.ContentType)
	q.Header.Set("Content-Encoding", httpbus.ContentEncoding)
	for i := 0; i < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	got, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return got.StatusCode, string(text)
}

// one returns a request of one sample.
func one(at int64, v float64, namesAndValues ...string) writev2.Request {
	r := writev2.Request{Symbols: []string{""}}
	var refs []uint32
	for _, s := range namesAndValues {
		if i := slices.Index(r.Symbols, s); i >= 0 {
			refs = append(refs, uint32(i))
			continue
		}
		refs = append(refs, uint32(len(r.Symbols)))
		r.Symbols = append(r.Symbols, s)
	}
	r.Timeseries = []writev2.TimeSeries{{LabelsRefs: refs, Samples: []writev2.Sample{{Timestamp: at, Value: v}}}}
	return r
}

// The database knows no empty label. Whoever kept one elsewhere would have two
// series, and take a second value for the first one of the other.
func TestAnEmptyLabelIsNoLabelEverywhere(t *testing.T) {
	p := start(t, "program", "serve", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0")
	p.untilReady()
	at := time.Now().UnixMilli() - 5000
	write := func(at int64, v float64) {
		t.Helper()
		if status, answer := post(t, p.url, one(at, v, "__name__", "m", "a", "", "b", "1")); status != 204 {
			t.Fatalf("%d %s", status, answer)
		}
	}
	write(at, 2)
	write(at+1000, 3)

	c := dial(t, p.url)
	var answer wire.Subscribed
	c.ask(wire.EventSubscribe, wire.Subscribe{Query: "m"}, &answer)
	if answer.Matched != 1 || answer.Sent != 1 {
		t.Errorf("%d series matched, %d sent", answer.Matched, answer.Sent)
	}
	var boot, update struct {
		Series []struct{ Labels map[string]string }
	}
	parse := func(message json.RawMessage, into any) {
		t.Helper()
		if err := json.Unmarshal(message, into); err != nil {
			t.Fatalf("%s: %v", message, err)
		}
	}
	parse(c.next(wire.EventBootstrap), &boot)
	write(at, 99)
	write(at+2000, 4)
	arg := c.next(wire.EventUpdate)
	parse(arg, &update)
	want := map[string]string{"__name__": "m", "b": "1"}
	if len(boot.Series) != 1 || fmt.Sprint(boot.Series[0].Labels) != fmt.Sprint(want) {
		t.Errorf("bootstrap: %+v", boot)
	}
	for _, s := range update.Series {
		if fmt.Sprint(s.Labels) != fmt.Sprint(want) {
			t.Errorf("the update has another series than the bootstrap: %s", arg)
		}
	}
	var list struct{ Series []map[string]string }
	c.ask(wire.EventCatalogue, wire.Catalogue{}, &list)
	if fmt.Sprint(list.Series) != fmt.Sprint([]map[string]string{want}) {
		t.Errorf("catalogue: %v", list.Series)
	}
	got := p.historyOf("m")
	if v := got[at]; v != 2 || len(got) != 3 {
		t.Errorf("history: %v; the acknowledged value at %d is 2", got, at)
	}
}
