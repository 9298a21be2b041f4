package api

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/store"
)

func TestErrorsHavePrometheussForm(t *testing.T) {
	v := serve(t, store.Options{}, Options{MaxSamples: 100})
	for i := range int64(200) {
		v.append(t, labels.FromStrings("__name__", "m", "n", fmt.Sprint(i%20)), bus.Sample{T: base + i*1000, V: float64(i)})
	}
	large := strings.Repeat("x", maxForm)
	for _, c := range []struct {
		request *http.Request
		status  int
		kind    string
		says    string
	}{
		{get("query", form()), 400, badData, "unknown position"},
		{get("query", form("query", "m", "time", "x")), 400, badData, `"time"`},
		{get("query", form("query", "m", "time", "NaN")), 400, badData, `"time"`},
		{get("query", form("query", "m", "time", "1e300")), 400, badData, "too far"},
		{get("query", form("query", "m", "limit", "-1")), 400, badData, "non-negative"},
		{get("query", form("query", "m", "limit", "x")), 400, badData, `"limit"`},
		{get("query", form("query", "m", "timeout", "soon")), 400, badData, `"timeout"`},
		{get("query", form("query", "m", "lookback_delta", "soon")), 400, badData, `"lookback_delta"`},
		{get("query", form("query", "{n=~`\\p{L}{20}`}")), 400, badData, "regular expression"},
		{get("query", form("query", "label_replace(m, `a`, `b`, `c`, `\\p{L}{20}`)")), 400, badData, "regular expression"},
		{get("query", form("query", "label_replace(m, `a`, `b`, `c`, ((`\\p{L}{20}`)))")), 400, badData, "regular expression"},
		{get("query", form("query", "m + on (n) group_right m", "time", ms(base+199_000))), 200, "", ""},
		{get("query", form("query", `label_replace(m, "n", "x", "n", ".*")`, "time", ms(base+199_000))), 422, execution, "same labelset"},
		{get("query", form("query", "m[1h]", "time", ms(base+199_000))), 422, execution, "too many samples"},
		{get("query", form("query", "count_over_time(vector(1)[10000h:1ms])")), 400, badData, "steps"},
		{get("query", form("query", "max_over_time(max_over_time(vector(1)[1m:1s])[1m:1s])")), 400, badData, "180 steps"},
		{get("query", form("query", "max_over_time(vector(1)[200y:1ms]) + max_over_time(vector(1)[290y:1ms])")), 400, badData, "steps"},
		{get("query_range", form("query", "max_over_time(vector(1)[1m:1s])", "start", "0", "end", "50", "step", "1")), 400, badData, "110 steps"},
		{get("query", form("query", "m", "timeout", "0")), 503, timedOut, ""},
		{get("query_range", form("query", "m", "start", "0", "end", "10")), 400, badData, `"step"`},
		{get("query_range", form("query", "m", "start", "0", "end", "10", "step", "0")), 400, badData, "millisecond or more"},
		{get("query_range", form("query", "m", "start", "0", "end", "10", "step", "-1")), 400, badData, "millisecond or more"},
		{get("query_range", form("query", "m", "start", "0", "end", "10", "step", "0.0004")), 400, badData, "millisecond or more"},
		{get("query_range", form("query", "m", "start", "0", "end", "10", "step", "1e30")), 400, badData, "too long"},
		{get("query_range", form("query", "m", "start", "0", "end", "11", "step", "1ms")), 200, "", ""},
		{get("query_range", form("query", "m", "start", "0", "end", "11.001", "step", "1ms")), 400, badData, "11,000 points"},
		{get("query_range", form("query", "m", "start", "10", "end", "9", "step", "1")), 400, badData, "before start"},
		{get("query_range", form("query", "m[1m]", "start", "0", "end", "9", "step", "1")), 400, badData, "invalid expression type"},
		{get("query_range", form("query", "m", "end", "9", "step", "1")), 400, badData, `"start"`},
		{get("series", form()), 400, badData, "no match[]"},
		{get("series", form("match[]", "m{")), 400, badData, "match[]"},
		{get("series", form("match[]", "rate(m[1m])")), 400, badData, "match[]"},
		{get("series", form("match[]", `{n=~".*"}`)), 400, badData, "non-empty matcher"},
		{get("series", form("match[]", "m", "start", "x")), 400, badData, `"start"`},
		{get("labels", form("match[]", "{}")), 400, badData, "match[]"},
		{get("labels", form("end", "yesterday")), 400, badData, "RFC 3339"},
		{get("label/U__a_2/values", form()), 200, "", ""}, // not escaped: a name as any other
		{get("format_query", form("query", "m{")), 400, badData, "parse error"},
		{get("parse_query", form("query", "m{")), 400, badData, "parse error"},
		{post("query", form("query", large)), 400, badData, "bytes"},
		{post("metadata", form()), 405, notAllowed, "GET"},
		{httptest.NewRequest(http.MethodDelete, "/api/v1/series", nil), 405, notAllowed, "GET"},
		{httptest.NewRequest(http.MethodPost, "/api/v1/query", strings.NewReader("query=1")), 400, badData, "application/x-www-form-urlencoded"},
	} {
		status, a := v.answer(t, c.request)
		if status != c.status || a.ErrorType != c.kind || !strings.Contains(a.Error, c.says) {
			t.Errorf("%s %s: %d %s %q, want %d %s %q", c.request.Method, c.request.URL, status, a.ErrorType, a.Error, c.status, c.kind, c.says)
		}
		if want := map[bool]string{true: success, false: "error"}[c.kind == ""]; a.Status != want {
			t.Errorf("%s: status %q", c.request.URL, a.Status)
		}
	}
	if w := v.do(post("rules", form())); w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("Allow: %q", w.Header().Get("Allow"))
	}
}

func TestAnswersHavePrometheussForm(t *testing.T) {
	v := serve(t, store.Options{}, Options{})
	v.append(t, labels.FromStrings("__name__", "m", "n", "1"), bus.Sample{T: base, V: 1}, bus.Sample{T: base + 1500, V: 2})
	v.append(t, labels.FromStrings("__name__", "m", "n", "2"), bus.Sample{T: base, V: 3})
	at := time.UnixMilli(base + 1500).UTC().Format(time.RFC3339Nano)
	for _, c := range []struct {
		request *http.Request
		data    string
	}{
		{get("query", form("query", "m", "time", at)), `{"resultType":"vector","result":[{"metric":{"__name__":"m","n":"1"},"value":[1767225601.500,"2"]},{"metric":{"__name__":"m","n":"2"},"value":[1767225601.500,"3"]}]}`},
		{get("query", form("query", "m", "time", at, "lookback_delta", "1s")), `{"resultType":"vector","result":[{"metric":{"__name__":"m","n":"1"},"value":[1767225601.500,"2"]}]}`},
		{get("query", form("query", `m{n="1"}[10s]`, "time", at)), `{"resultType":"matrix","result":[{"metric":{"__name__":"m","n":"1"},"values":[[1767225600,"1"],[1767225601.500,"2"]]}]}`},
		{get("query", form("query", `"text <&>"`, "time", "1")), `{"resultType":"string","result":[1,"text <&>"]}`},
		{get("query", form("query", `0/0`, "time", "-1.5")), `{"resultType":"scalar","result":[-1.500,"NaN"]}`},
		{get("query", form("query", "nothing")), `{"resultType":"vector","result":[]}`},
		{get("query_range", form("query", "nothing", "start", "1", "end", "2", "step", "1")), `{"resultType":"matrix","result":[]}`},
		{get("series", form("match[]", `m{n="2"}`, "match[]", "m")), `[{"__name__":"m","n":"1"},{"__name__":"m","n":"2"}]`},
		{get("series", form("match[]", "m", "start", "1", "end", "2")), `[]`},
		{get("labels", form("start", "1", "end", "2")), `[]`},
		{get("label/n/values", form("match[]", `m{n="2"}`, "match[]", `m{n="1"}`)), `["1","2"]`},
		{get("label/other/values", form()), `[]`},
		{get("format_query", form("query", "sum   by(a)(m{n='1'})")), `"sum by (a) (m{n=\"1\"})"`},
		{get("parse_query", form("query", "-m offset 1m")), `{"expr":{"anchored":false,"matchers":[{"name":"__name__","type":"=","value":"m"}],"name":"m","offset":60000,"offsetExpr":null,"smoothed":false,"startOrEnd":null,"timestamp":null,"type":"vectorSelector"},"op":"-","type":"unaryExpr"}`},
	} {
		status, a := v.answer(t, c.request)
		if status != 200 || string(a.Data) != c.data {
			t.Errorf("%s: %d %s %s, want %s", c.request.URL, status, a.Data, a.Error, c.data)
		}
	}
	if _, a := v.answer(t, get("query", form("query", "m", "time", at, "limit", "1"))); len(a.Warnings) != 1 || strings.Count(string(a.Data), "metric") != 1 {
		t.Errorf("with a limit: %s, warnings %q", a.Data, a.Warnings)
	}
	if _, a := v.answer(t, get("query", form("query", "m", "time", at, "limit", "2"))); len(a.Warnings) != 0 {
		t.Errorf("a limit that is not passed: warnings %q", a.Warnings)
	}
	if _, a := v.answer(t, get("query", form("query", "m", "time", at, "stats", "all"))); !strings.Contains(string(a.Data), `"stats":{"timings"`) {
		t.Errorf("stats: %s", a.Data)
	}
}

// Every kind of expression has a syntax tree.
func TestEveryExpressionHasATree(t *testing.T) {
	v := serve(t, store.Options{}, Options{})
	for _, expr := range append(expressions, `"text"`, "m[5m:1m] @ start()") {
		for _, path := range []string{"parse_query", "format_query"} {
			if status, a := v.answer(t, post(path, form("query", expr))); status != 200 || len(a.Data) < 3 {
				t.Errorf("%s %s: %d %s", path, expr, status, a.Error)
			}
		}
	}
}

func TestLargeAnswersAreCompressed(t *testing.T) {
	v := serve(t, store.Options{}, Options{})
	for i := range 200 {
		v.append(t, labels.FromStrings("__name__", "m", "n", fmt.Sprint(i)), bus.Sample{T: base, V: 1})
	}
	plain := v.do(get("series", form("match[]", "m")))
	for accept, zipped := range map[string]bool{"gzip": true, "deflate, gzip;q=0.5": true, "": false, "gzip;q=0": false, "identity": false, "zstd": false} {
		r := get("series", form("match[]", "m"))
		r.Header.Set("Accept-Encoding", accept)
		w := v.do(r)
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != zipped {
			t.Errorf("%q: compressed %t", accept, got)
		}
		var body io.Reader = w.Body
		if zipped {
			z, err := gzip.NewReader(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			body = z
		}
		if b, err := io.ReadAll(body); err != nil || string(b) != plain.Body.String() {
			t.Errorf("%q: another answer, %v", accept, err)
		}
		if w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: Vary %q", accept, w.Header().Get("Vary"))
		}
	}
}

func TestQueriesWaitForTheirTurnAndNotForEver(t *testing.T) {
	v := serve(t, store.Options{QueryReads: 1, QueryTimeout: 200 * time.Millisecond}, Options{})
	v.append(t, labels.FromStrings("__name__", "m"), bus.Sample{T: base, V: 1})
	release, took := make(chan struct{}), make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = v.store.QueryReads().Read(t.Context(), func(context.Context) error { close(took); <-release; return nil })
	}()
	<-took
	status, a := v.answer(t, get("query", form("query", "m")))
	if status != http.StatusServiceUnavailable || a.ErrorType != timedOut || !strings.Contains(a.Error, "one of 1 queries at once") {
		t.Errorf("while another is evaluated: %d %s %s", status, a.ErrorType, a.Error)
	}
	close(release)
	<-ended
	for deadline := time.Now().Add(2 * time.Minute); ; {
		if status, _ = v.answer(t, get("query", form("query", "m"))); status == http.StatusOK {
			break // a machine that is busy may need more than 200 ms
		}
		if time.Now().After(deadline) {
			t.Fatalf("its turn does not come: %d", status)
		}
	}
	// The same bound ends an evaluation.
	slow := strings.Repeat("sum_over_time(", 3) + "vector(1)" + strings.Repeat("[1000s:1ms])", 3)
	if status, a := v.answer(t, get("query", form("query", slow))); status != http.StatusServiceUnavailable || a.ErrorType != timedOut {
		t.Errorf("a slow one: %d %s %s", status, a.ErrorType, a.Error)
	}
}

func TestNothingIsAnsweredBeforeTheStoreHasCaughtUp(t *testing.T) {
	ready, short := false, false
	v := serve(t, store.Options{}, Options{Ready: func() bool { return ready }, Short: func() bool { return short }})
	for _, c := range []struct {
		ready, short bool
		status       int
	}{{false, false, 503}, {true, true, 503}, {true, false, 200}} {
		ready, short = c.ready, c.short
		w := v.do(post("query", form("query", "1")))
		var a answer
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != c.status || w.Code == 503 && (a.ErrorType != unavailable || w.Header().Get("Retry-After") == "") {
			t.Errorf("%+v: %d %+v, %v", c, w.Code, a, err)
		}
	}
}

func TestAfterCloseTheServerIsUnavailable(t *testing.T) {
	v := serve(t, store.Options{}, Options{})
	if err := v.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*http.Request{get("query", form("query", "m")), get("series", form("match[]", "m")), get("labels", form())} {
		if status, a := v.answer(t, r); status != 503 || a.ErrorType != unavailable {
			t.Errorf("%s: %d %s %s", r.URL, status, a.ErrorType, a.Error)
		}
	}
}

func TestAFullDiskIsSaidInTheAnswer(t *testing.T) {
	for free, want := range map[int64]int{0: 1, 1 << 40: 0} {
		v := serve(t, store.Options{ReserveBytes: 1 << 20, FreeSpace: func(string) (int64, error) { return free, nil }}, Options{})
		for _, r := range []*http.Request{get("query", form("query", "m")), get("series", form("match[]", "m")), get("labels", form()), get("label/n/values", form())} {
			if status, a := v.answer(t, r); status != 200 || len(a.Warnings) != want || want > 0 && !strings.Contains(a.Warnings[0], "disk is full") {
				t.Errorf("%s, %d bytes free: %d, warnings %q", r.URL, free, status, a.Warnings)
			}
		}
	}
}

// A body that was announced and does not come holds neither the answer nor the connection.
func TestABodyThatNobodyReadsHoldsNothing(t *testing.T) {
	v := serve(t, store.Options{}, Options{})
	server := httptest.NewServer(v)
	defer server.Close()
	for request, status := range map[string]string{
		"GET /api/v1/query?query=1":  "200",
		"DELETE /api/v1/query":       "405",
		"POST /api/v1/rules":         "405",
		"POST /api/v1/query?query=1": "400", // its type is missing
	} {
		c, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
		if _, err := io.WriteString(c, request+" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(c) // until the server closes
		if err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 "+status) {
			t.Errorf("%s: %q, %v", request, all, err)
		}
		c.Close()
	}
}
