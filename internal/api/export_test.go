package api

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"

	"stripchart/internal/bus"
	"stripchart/internal/export"
	"stripchart/internal/store"
	"stripchart/internal/testkit"
)

// exported asks for an export and decodes it.
func exported(t testing.TB, client *http.Client, address string, f export.Format, v url.Values) (map[string][]bus.Sample, *http.Response) {
	t.Helper()
	v.Set("format", string(f))
	res, err := client.Get(address + "/api/v1/export?" + v.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(res.Body)
		t.Fatalf("%s: %d %s", f, res.StatusCode, text)
	}
	all := map[string][]bus.Sample{}
	d := export.NewDecoder(f, res.Body)
	for {
		run, err := d.Next()
		if err == io.EOF {
			return all, res
		}
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		all[run.Labels.String()] = append(all[run.Labels.String()], run.Samples...)
	}
}

// fill writes series whose labels, values and times are odd, and one that needs several
// pieces, and returns them.
func fill(t testing.TB, v *served) map[string][]bus.Sample {
	all := map[string][]bus.Sample{}
	write := func(ls labels.Labels, samples ...bus.Sample) {
		v.append(t, ls, samples...)
		all[ls.String()] = append(all[ls.String()], samples...)
	}
	for i := range int64(50) {
		ls := labels.FromStrings("__name__", fmt.Sprintf("m%d", i%5), "n", fmt.Sprint(i), "Upper", "=1+1")
		write(ls, bus.Sample{T: base + i, V: float64(i) / 3}, bus.Sample{T: base + i + 1000, V: math.Float64frombits(value.StaleNaN)}, bus.Sample{T: base + i + 2000, V: math.Inf(-1)})
	}
	write(labels.FromStrings("__name__", "odd.name", "l.x", "a\r\n\"b\",\t"), bus.Sample{T: base + 3001, V: math.Float64frombits(value.NormalNaN)})
	var long []bus.Sample
	for i := range int64(20_000) {
		long = append(long, bus.Sample{T: base + i, V: float64(i) * math.Pi})
	}
	write(labels.FromStrings("__name__", "long", "n", "1"), long...)
	write(labels.FromStrings("__name__", "long", "n", "2"), long...)
	return all
}

func TestAnExportHasEverySampleBitByBit(t *testing.T) {
	v := serve(t, store.Options{}, Options{})
	all := fill(t, v)
	s := httptest.NewServer(v)
	defer s.Close()
	for _, f := range export.Formats() {
		for _, gzip := range []bool{true, false} {
			client := &http.Client{Transport: &http.Transport{DisableCompression: !gzip, DisableKeepAlives: true}}
			got, res := exported(t, client, s.URL, f, form("match[]", `{__name__!=""}`))
			testkit.SameSamples(t, string(f), got, all)
			if res.Uncompressed != gzip || res.Header.Get("Content-Type") != f.ContentType() {
				t.Errorf("%s: %v", f, res.Header)
			}
			if len(res.Trailer.Values(warningTrailer)) > 0 {
				t.Errorf("%s: %v", f, res.Trailer)
			}
		}
	}
	// Selectors are joined, and both ends of the time are in it.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	got, _ := exported(t, client, s.URL, export.JSONLines, form("match[]", `m1{n="1"}`, "match[]", `{n=~"1|6"}`, "start", ms(base+1), "end", ms(base+1001)))
	n := 0
	for _, samples := range got {
		n += len(samples)
	}
	if len(got) != 3 || n != 2+1+1001 { // of m1{n="1"}, m1{n="6"} and long{n="1"}
		t.Errorf("%d series with %d samples", len(got), n)
	}
}

// However often the querier is closed in between, nothing is left out and nothing is there twice.
func TestAnExportGoesOnWhereATurnHasEnded(t *testing.T) {
	v := serve(t, store.Options{}, Options{})
	all := fill(t, v)
	piece := make([]byte, exportPiece, 3*exportPiece)
	for _, every := range []int{1, 2, 7} {
		x, err := v.api.newExport(httptest.NewRecorder(), get("export", form("match[]", `{__name__!=""}`, "format", "jsonl")))
		if err != nil {
			t.Fatal(err)
		}
		if err := x.prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		var text []byte
		turns := 0
		for len(x.names) > 0 {
			if turns++; turns > 10_000 {
				t.Fatal("it does not end")
			}
			from := x.from
			if x.inside {
				from = x.lastTime + 1
			}
			// A stream without room, and with a piece that is full from the beginning: a turn is
			// over after one run of samples.
			out := &stream{failed: make(chan struct{})}
			close(out.failed)
			before := 0
			if turns%every == 0 {
				before = exportPiece
			}
			out.buf = piece[:before]
			if err := x.turn(t.Context(), from, func(ctx context.Context, q storage.Querier) error { return x.read(ctx, q, out) }); err != nil {
				t.Fatal(err)
			}
			text = append(text, out.buf[before:]...)
		}
		got := map[string][]bus.Sample{}
		for d := export.NewDecoder(export.JSONLines, bytes.NewReader(text)); ; {
			run, err := d.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got[run.Labels.String()] = append(got[run.Labels.String()], run.Samples...)
		}
		testkit.SameSamples(t, fmt.Sprintf("every %d. turn is short", every), got, all)
		if every == 1 && turns < 80 {
			t.Errorf("only %d turns", turns)
		}
	}
}

func TestAnExportThatCannotBeMadeIsAnError(t *testing.T) {
	v := serve(t, store.Options{}, Options{})
	fill(t, v)
	for _, c := range []struct {
		request *http.Request
		status  int
		says    string
	}{
		{get("export", form()), 400, "no match[]"},
		{get("export", form("match[]", "m{")), 400, "match[]"},
		{get("export", form("match[]", "m1", "format", "xml")), 400, "csv, jsonl or openmetrics"},
		{get("export", form("match[]", "m1", "times", "sundial")), 400, "rfc3339 or unix_ms"},
		{get("export", form("match[]", "m1", "start", "x")), 400, `"start"`},
		{get("export", form("match[]", "m1", "start", "2", "end", "1")), 400, "before start"},
		{post("export", form("match[]", "m1")), 405, "use GET"},
	} {
		if status, a := v.answer(t, c.request); status != c.status || !strings.Contains(a.Error, c.says) {
			t.Errorf("%s: %d %s, want %d %s", c.request.URL, status, a.Error, c.status, c.says)
		}
	}
	for i := range maxColumns + 1 {
		v.append(t, labels.FromStrings("__name__", "wide", fmt.Sprintf("l%d", i), "x"), bus.Sample{T: base, V: 1})
	}
	if status, a := v.answer(t, get("export", form("match[]", "wide"))); status != 422 || !strings.Contains(a.Error, "jsonl") {
		t.Errorf("%d %s", status, a.Error)
	}
	for range maxExports {
		v.api.exporting <- struct{}{}
	}
	if status, a := v.answer(t, get("export", form("match[]", "m1"))); status != 503 || a.ErrorType != unavailable {
		t.Errorf("%d %s", status, a.Error)
	}
	for range maxExports {
		<-v.api.exporting
	}
}

// heldWriter keeps its first Write until it is released, which also says how it ends.
type heldWriter struct {
	*httptest.ResponseRecorder
	began    chan struct{}
	release  chan error
	deadline time.Time // of the first Write
}

func (w *heldWriter) SetWriteDeadline(t time.Time) error { w.deadline = t; return nil }

func (w *heldWriter) Write(b []byte) (int, error) {
	if w.began != nil {
		close(w.began)
		w.began = nil
		if err := <-w.release; err != nil {
			return 0, err
		}
	}
	return w.ResponseRecorder.Write(b)
}

// What goes wrong behind the first byte cuts the connection: no client takes a part for the
// whole. A client that reads nothing for 10 s is cut too.
func TestAnExportThatEndsEarlyIsCut(t *testing.T) {
	var samples []bus.Sample
	for i := range int64(10_000) {
		samples = append(samples, bus.Sample{T: base + i, V: 1})
	}
	for _, c := range []struct {
		why    string
		closes bool
		write  error
		cut    bool
	}{
		{"nothing", false, nil, false},
		{"the store closes", true, nil, true},
		{"the client does not read", false, os.ErrDeadlineExceeded, true},
	} {
		v := serve(t, store.Options{}, Options{})
		// 20 MB, of which 5 wait in pieces.
		v.append(t, labels.FromStrings("__name__", "large", "l", strings.Repeat("x", 2000)), samples...)
		w := &heldWriter{ResponseRecorder: httptest.NewRecorder(), began: make(chan struct{}), release: make(chan error, 1)}
		began, end := w.began, make(chan any)
		go func() {
			defer func() { end <- recover() }()
			v.ServeHTTP(w, get("export", form("match[]", "large")))
		}()
		<-began
		if left := time.Until(w.deadline); left > stallTimeout {
			t.Errorf("%s: a piece may take %v", c.why, left)
		}
		if c.closes {
			if err := v.store.Close(); err != nil {
				t.Fatal(err)
			}
		}
		w.release <- c.write
		if got := <-end; (got == http.ErrAbortHandler) != c.cut || got != nil && !c.cut {
			t.Errorf("%s: it has ended with %v", c.why, got)
		}
		if n := len(v.api.exporting); n != 0 {
			t.Errorf("%s: %d exports are under way still", c.why, n)
		}
		if lines := strings.Count(w.Body.String(), "\n"); !c.cut && lines != 10_001 {
			t.Errorf("%d lines", lines)
		}
	}
}
