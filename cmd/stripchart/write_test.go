package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang/snappy"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"stripchart/internal/bus/httpbus"
	"stripchart/internal/bus/redisbus/redistest"
	"stripchart/internal/testkit"
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

// numbered returns a request with a sample of each of the series from to to.
func numbered(at int64, from, to int) writev2.Request {
	r := writev2.Request{Symbols: []string{"", "__name__", "m", "n"}}
	for n := from; n <= to; n++ {
		r.Timeseries = append(r.Timeseries, writev2.TimeSeries{
			LabelsRefs: []uint32{1, 2, 3, uint32(len(r.Symbols))}, Samples: []writev2.Sample{{Timestamp: at, Value: 1}},
		})
		r.Symbols = append(r.Symbols, strconv.Itoa(n))
	}
	return r
}

func TestSeriesAreLimitedByAFlag(t *testing.T) {
	redis := redistest.Start(t, redistest.Options{})
	for _, busURL := range []string{"memory", redis.URL} {
		p := startServer(t, t.TempDir(), busURL, "--max-series", "50")
		p.untilReady()
		at := time.Now().UnixMilli()
		write := func(from, to int, want int, says string) {
			t.Helper()
			at++
			status, answer := post(t, p.url, numbered(at, from, to))
			if status != want || !strings.Contains(answer, says) {
				t.Errorf("%s, series %d to %d: %d %s, want %d %s", busURL, from, to, status, answer, want, says)
			}
		}
		write(1, 40, 204, "")
		testkit.Eventually(t, "the series are counted", func() bool { return metric(t, p, "stripchart_write_series") == 40 })
		write(31, 60, 400, `samples written: 20; not written: 10 max_series (the first: {__name__=\"m\", n=\"51\"} is a new series`)
		testkit.Eventually(t, "the series are counted", func() bool { return metric(t, p, "stripchart_write_series") == 50 })
		write(1, 50, 204, "")
		write(100, 100, 400, "samples written: 0")
		write(1, 50, 204, "")
		if got, want := metric(t, p, `stripchart_write_refused_total{reason="max_series"}`), 11.0; got != want {
			t.Errorf("%s: %v samples were refused, want %v", busURL, got, want)
		}
		c := dial(t, p.url)
		var list struct{ Series []map[string]string }
		c.ask(wire.EventCatalogue, wire.Catalogue{Match: []string{"m"}}, &list)
		if len(list.Series) != 50 {
			t.Errorf("%s: %d series in the catalogue", busURL, len(list.Series))
		}
		p.stop()
	}
}

// One request with a number that was made up must not silence a source.
func TestASourceCannotBeSilencedByANumber(t *testing.T) {
	p := start(t, "program", "serve", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0")
	p.untilReady()
	at := time.Now().UnixMilli()
	write := func(seq string, at int64, v float64) (int, string) {
		return post(t, p.url, one(at, v, "__name__", "m"), httpbus.HeaderSource, "s", httpbus.HeaderSeq, seq, httpbus.HeaderMerged, "0")
	}
	if status, answer := write("1", at, 1); status != 204 {
		t.Fatal(status, answer)
	}
	for seq, want := range map[string]int{"9223372036854775808": 400, "9007199254740991": 429, "10000000": 429} {
		if status, answer := write(seq, at+59_000, 99); status != want {
			t.Errorf("number %s: %d %s, want %d", seq, status, answer, want)
		}
	}
	for n := int64(2); n <= 5; n++ {
		if status, answer := write(fmt.Sprint(n), at+n, float64(n)); status != 204 {
			t.Error(status, answer)
		}
	}
	got := p.historyOf("m")
	got.mustHold(t, "the server", samples{at: 1, at + 2: 2, at + 3: 3, at + 4: 4, at + 5: 5})
	if len(got) != 5 {
		t.Errorf("history: %v", got)
	}
}
