package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"stripchart/internal/bus/httpbus"
	"stripchart/internal/wire"
)

// A sample is in the answer of the Prometheus HTTP API as soon as a page has it, with its
// value and time, whatever the bus is.
func TestASampleThatAPageHasIsInTheAnswerOfAQuery(t *testing.T) {
	onEachBus(t, func(t *testing.T, p *process) {
		page := watch(t, p, "room_celsius")
		if status, answer := sendText(t, p.url+"/api/v1/push/room_celsius?room=lab", "21.700000000000003"); status != 200 {
			t.Fatalf("%d %s", status, answer)
		}
		var update struct {
			Blocks []struct{ X []int64 }
		}
		if err := json.Unmarshal(page.next(wire.EventUpdate), &update); err != nil || len(update.Blocks) != 1 {
			t.Fatalf("%+v, %v", update, err)
		}
		at := update.Blocks[0].X[0]
		_, text := get(t, p.url+"/api/v1/query?"+url.Values{"query": {"room_celsius[1m]"}}.Encode())
		var answer struct {
			Data struct {
				Result []struct {
					Metric map[string]string
					Values [][2]any
				}
			}
		}
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			t.Fatal(err)
		}
		r := answer.Data.Result
		if len(r) != 1 || r[0].Metric["room"] != "lab" || len(r[0].Values) != 1 ||
			r[0].Values[0] != [2]any{float64(at) / 1000, "21.700000000000003"} {
			t.Errorf("%s, want a sample at %d", text, at)
		}
	})
}

// A page and a query are told of the same gap.
func TestAQueryIsToldOfAGap(t *testing.T) {
	p := start(t, "program", "serve", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0")
	p.untilReady()
	at := time.Now().UnixMilli() - 10_000
	for _, seq := range []int64{1, 3} {
		r := one(at+seq*1000, 1, "__name__", "m")
		if status, answer := post(t, p.url, r, httpbus.HeaderSource, "s", httpbus.HeaderSeq, fmt.Sprint(seq), httpbus.HeaderMerged, "0"); status != 204 {
			t.Fatal(status, answer)
		}
	}
	_, text := get(t, p.url+"/api/v1/query?"+url.Values{"query": {"m[1m]"}}.Encode())
	var answer struct{ Warnings []string }
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Warnings) != 1 || !strings.HasSuffix(answer.Warnings[0], "may be missing: source_dropped") {
		t.Errorf("%s", text)
	}
}

func TestQueriesHaveTheirLimits(t *testing.T) {
	p := limited(t, "queries", "2", "--max-queries", "2", "--query-timeout", "5s", "--max-query-samples", "1000", "--interval", "1h")
	_, text := get(t, p.url+"/metrics")
	for _, line := range []string{`stripchart_limit{limit="query_seconds"} 5`, `stripchart_limit{limit="query_samples"} 1000`, `stripchart_store_reads_max{readers="queries"} 2`} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("/metrics does not show %s", line)
		}
	}
	if status, text := get(t, p.url+"/api/v1/query?query="+url.QueryEscape("sum_over_time(vector(1)[1h:1s])")); status != http.StatusBadRequest || !strings.Contains(text, "3600 steps") {
		t.Errorf("%d %s", status, text)
	}
	if got := metric(t, p, `stripchart_api_requests_total{answer="bad_data",endpoint="query"}`); got != 1 {
		t.Errorf("%v requests counted", got)
	}
	r, err := http.NewRequest(http.MethodGet, p.url+"/api/v1/query?query=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "http://evil.example")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("a foreign page is answered %d", res.StatusCode)
	}
}
