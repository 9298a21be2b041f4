package server

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/testkit"
)

// twins are two servers that hold the same of what a bound reader may see. The second one holds
// other series, too: a bound reader that is answered differently by the two has found that out.
func twins(t *testing.T) (alone, among *guarded, at int64) {
	alone, among = newBare(t, false), newBare(t, false)
	at = time.Now().UnixMilli()/1000*1000 - 20_000
	var others []bus.Series
	others = append(others, series(at, "room", "vault", "__name__", "lab_temperature"), series(at, "__name__", "lab_temperature"),
		series(at, "room", "lab2", "__name__", "lab_temperature"), series(at, "__name__", "secret_gold", "owner", "somebody", "room", "vault"))
	for n := range 300 {
		others = append(others, series(at, "__name__", "lab_crowd", "room", "vault", "n", fmt.Sprint(n)))
	}
	for _, g := range []*guarded{alone, among} {
		if g == among {
			g.record(others)
		}
		g.record([]bus.Series{series(at, "__name__", "lab_temperature", "room", "lab"), series(at, "__name__", "lab_temperature", "room", "lab", "sensor", "b"), series(at, "__name__", "lab_crowd", "room", "lab")})
	}
	return alone, among, at
}

// series is ten samples, one a second.
func series(at int64, pairs ...string) bus.Series {
	s := bus.Series{Labels: labels.FromStrings(pairs...)}
	for n := range int64(10) {
		s.Samples = append(s.Samples, bus.Sample{T: at + 1000*n, V: float64(n) + float64(len(pairs))})
	}
	return s
}

// record publishes series, and returns once they are recorded.
func (g *guarded) record(all []bus.Series) {
	g.t.Helper()
	last := all[len(all)-1].Labels
	if err := g.bus.Publish(g.t.Context(), &bus.Batch{Series: all}); err != nil {
		g.t.Fatal(err)
	}
	testkit.Eventually(g.t, "the series are known", func() bool { return g.hub.Knows([]labels.Labels{last})[0] })
}

// tried are the expressions of an attacker: whether they are answered in the same way says whether
// another series can be seen, counted, compared, or noticed by an error or a warning.
var tried = []string{
	`lab_temperature`, `{__name__=~".+"}`, `{__name__!=""}`, `{room!="lab",__name__!=""}`, `{room="vault"}`, `{room=~"vault|lab"}`, `{room=~".*",__name__!=""}`,
	`{room="",__name__!=""}`, `secret_gold`, `{owner!=""}`, `{__name__=~"secret.*"}`, `lab_temperature{room="vault"}`, `lab_temperature{room!="lab"}`,
	`count({__name__!=""})`, `count by (room) ({__name__!=""})`, `count by (__name__) ({__name__!=""})`, `group(secret_gold)`, `sum(lab_crowd)`, `quantile(0.5, lab_crowd)`,
	`absent(secret_gold)`, `absent_over_time(secret_gold[1m])`, `absent(lab_temperature{room="vault"})`, `present_over_time(secret_gold[5m])`,
	`topk(500, {__name__!=""})`, `bottomk(1, lab_crowd)`, `limitk(3, lab_crowd)`, `count_values("v", {__name__!=""})`, `stddev(lab_crowd)`,
	`lab_temperature or secret_gold`, `lab_temperature unless on() secret_gold`, `lab_temperature and on() secret_gold`, `vector(1) unless on() secret_gold`,
	`lab_temperature * on() group_left secret_gold`, `lab_temperature + on() lab_crowd`, `lab_temperature / ignoring(room, sensor) lab_temperature`,
	`scalar(secret_gold)`, `scalar(lab_crowd)`, `secret_gold > bool 0`, `-secret_gold`, `label_replace(secret_gold, "room", "lab", "", "")`,
	`label_replace(lab_temperature, "__name__", "secret_gold", "", "")`, `label_join({__name__!=""}, "x", ",", "room", "__name__")`,
	`max_over_time({__name__!=""}[1m:1s])`, `rate(secret_gold[1m])`, `rate(lab_crowd[1m])`, `timestamp({__name__!=""})`, `secret_gold offset 1s`,
	`secret_gold @ end()`, `sort_desc(lab_crowd)`, `last_over_time({__name__=~"lab.*|secret.*"}[5m])`, `{__name__=~"(secret|lab)_.*", room=~"l.*|v.*"}[20s]`,
	`histogram_quantile(0.9, {__name__!=""})`, `info(lab_temperature)`, `secret_gold{`, `no_such_function(secret_gold)`, `secret_gold{room=~"("}`,
}

// selected are the values of match[] that an attacker tries.
var selected = []string{
	`{__name__!=""}`, `{room!="lab",__name__!=""}`, `{room="vault"}`, `secret_gold`, `{__name__=~"secret.*"}`, `lab_crowd`, `{owner=~".+"}`, `lab_temperature{room=""}`, `{n="7"}`,
	`{room=~"lab.+"}`,
}

// attempts are requests of a bound reader.
func attempts(at int64) []string {
	var all []string
	from, to := fmt.Sprint(float64(at)/1000-5), fmt.Sprint(float64(at)/1000+15)
	for _, q := range tried {
		query := url.QueryEscape(q)
		for _, more := range []string{"", "&limit=3", "&lookback_delta=1h"} {
			all = append(all, "/api/v1/query?query="+query+"&time="+fmt.Sprint(at/1000+9)+more)
		}
		all = append(all, "/api/v1/query_range?query="+query+"&step=1&start="+from+"&end="+to, "/api/v1/format_query?query="+query, "/api/v1/parse_query?query="+query)
	}
	for _, s := range append(selected, "") {
		match := "match[]=" + url.QueryEscape(s)
		if s == "" {
			match = ""
		}
		for _, more := range []string{"", "&limit=1", "&limit=2", "&start=" + from + "&end=" + to, "&" + "match[]=lab_temperature", "&start=1&end=2"} {
			all = append(all, "/api/v1/series?"+match+more, "/api/v1/labels?"+match+more)
			for _, label := range []string{"__name__", "room", "owner", "n", "sensor", "none"} {
				all = append(all, "/api/v1/label/"+label+"/values?"+match+more)
			}
			for _, format := range []string{"csv", "jsonl", "openmetrics"} {
				all = append(all, "/api/v1/export?"+match+more+"&format="+format)
			}
		}
	}
	return append(all, "/metrics", "/api/v1/metadata", "/api/v1/metadata?metric=secret_gold", "/api/v1/query_exemplars?query=secret_gold", "/api/v1/rules", "/api/v1/alerts",
		"/api/v1/status/buildinfo", "/api/v1/targets", "/api/v1/status/tsdb", "/federate?match[]=secret_gold", "/plotly", "/readyz", "/health", "/query?q=SHOW+SERIES",
		"/api/v1/query?query=count({__name__!%3D%22%22})&stats=samples&time="+fmt.Sprint(at/1000+9))
}

// timings are what answers have of the time that they took.
var timings = regexp.MustCompile(`"[a-zA-Z]+Time":[0-9.e-]+`)

// judge sends a request through the whole server, without a connection.
func (g *guarded) judge(path string) string {
	r := httptest.NewRequest("GET", path, nil)
	r.Host = "localhost"
	r.Header = g.header(boundReader)
	w := httptest.NewRecorder()
	g.http.Handler.ServeHTTP(w, r)
	b, _ := io.ReadAll(w.Result().Body) // of a recorder, it cannot fail
	h := w.Result().Header
	return fmt.Sprint(w.Code, " ", h.Get("Content-Type"), w.Result().Trailer, "\n", inOrder(timings.ReplaceAllString(string(b), "time")))
}

// inOrder sorts the series of a result: PromQL's engine returns groups in any order.
func inOrder(answer string) string {
	head, rest, is := strings.Cut(answer, `"result":[{"metric":`)
	end := strings.LastIndex(rest, "}]")
	if !is || end < 0 {
		return answer
	}
	all := strings.Split(rest[:end], `},{"metric":`)
	slices.Sort(all)
	return head + strings.Join(all, "\n") + rest[end:]
}

func TestABoundReaderIsAnsweredAsIfNoOtherSeriesWereThere(t *testing.T) {
	alone, among, at := twins(t)
	seen := 0
	for _, path := range attempts(at) {
		x, y := alone.judge(path), among.judge(path)
		if x != y {
			t.Errorf("%s tells a bound reader of other series: alone\n%.600s\n\namong others\n%.600s", path, x, y)
		}
		if strings.Contains(x, "sensor") && !strings.Contains(path, "sensor") {
			seen++
		}
		for _, secret := range []string{"vault", "somebody", "secret_gold"} {
			if strings.Contains(y, secret) && !strings.Contains(path, secret) {
				t.Errorf("%s: the answer has %s:\n%.600s", path, secret, y)
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d answers have what the reader may see", seen)
	}
	// The same reader without bounds is answered differently: the test can fail.
	if _, all := among.ask("GET", "/api/v1/label/room/values", "", among.header(reader)); !strings.Contains(all, "vault") {
		t.Errorf("without a bound: %s", all)
	}
}

// The events of the page, compared in the same way.
func TestABoundPageIsToldAsIfNoOtherSeriesWereThere(t *testing.T) {
	alone, among, at := twins(t)
	queries := []string{
		`lab_temperature`, `{__name__!=""}`, `{room!="lab",__name__!=""}`, `{room="vault"}`, `secret_gold`, `{__name__=~"secret.*"}`, `lab_crowd`, `{owner!=""}`, `lab_temperature{room=""}`,
		`{n="7"}`, `{room=~"lab.+"}`, `sum(secret_gold)`, `{room=~"("}`, ``,
	}
	type request struct {
		event string
		arg   any
	}
	var requests []request
	for _, q := range queries {
		requests = append(requests,
			request{"subscribe", map[string]any{"query": q, "window": 60}},
			request{"history", map[string]any{"query": q, "from": at, "to": at + 10_000}},
			request{"history", map[string]any{"query": q, "from": at, "to": at + 10_000, "points": 8}},
			request{"catalogue", map[string]any{"match": []string{q}}},
			request{"catalogue", map[string]any{"match": []string{q, "lab_crowd"}}},
		)
	}
	requests = append(requests, request{"catalogue", map[string]any{}}, request{"catalogue", map[string]any{"match": []string{}}})
	told := map[string][]string{}
	for name, g := range map[string]*guarded{"alone": alone, "among": among} {
		for _, r := range requests {
			c, err := g.enter("/live", g.header(boundReader), "")
			if err != nil {
				t.Fatal(err)
			}
			answer, err := c.Ask(r.event, r.arg)
			if err != nil {
				t.Fatal(err)
			}
			text := r.event + fmt.Sprint(r.arg) + " " + string(answer)
			if r.event == "subscribe" && strings.Contains(text, `"ok":true`) {
				p, err := c.Next()
				if err != nil {
					t.Fatal(err)
				}
				text += " " + p.Event + " " + string(seriesOf(t, p.Arg))
			}
			if strings.Contains(string(answer), "vault") && !strings.Contains(fmt.Sprint(r.arg), "vault") {
				t.Errorf("%s", text)
			}
			told[name] = append(told[name], passing.ReplaceAllString(text, `"$1":0`))
			c.Close()
		}
	}
	for i := range requests {
		if x, y := told["alone"][i], told["among"][i]; x != y {
			t.Errorf("a bound page is told of other series: alone\n%.600s\n\namong others\n%.600s", x, y)
		}
	}
}

// passing are fields that name the moment, and the place in the log.
var passing = regexp.MustCompile(`"(now|position|from|to)":("[^"]*"|[0-9]+)`)

// seriesOf returns what a bootstrap says of the series.
func seriesOf(t *testing.T, arg json.RawMessage) json.RawMessage {
	t.Helper()
	var b struct {
		Series json.RawMessage `json:"series"`
	}
	if err := json.Unmarshal(arg, &b); err != nil {
		t.Fatal(err)
	}
	return b.Series
}

// What comes while a bound page watches: of its own series each sample, of others nothing.
func TestABoundPageIsSentNothingOfOtherSeriesThatCome(t *testing.T) {
	g := newGuarded(t, false)
	c, err := g.enter("/live", g.header(boundReader), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Ask("catalogue", map[string]any{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Ask("subscribe", map[string]any{"query": `{__name__!=""}`}); err != nil {
		t.Fatal(err)
	}
	at := time.Now().UnixMilli()
	own := func(name string) []bus.Series { return []bus.Series{series(at, "__name__", name, "room", "lab")} }
	g.record([]bus.Series{series(at, "__name__", "other_one", "room", "vault")})
	g.record(own("own_first"))
	g.record([]bus.Series{series(at, "__name__", "other_two", "room", "vault")})
	g.record(own("own_last"))
	added, updated := false, false
	for !added || !updated {
		p, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		text := string(p.Arg)
		if strings.Contains(text, "vault") || strings.Contains(text, "other_") {
			t.Fatalf("%s %s", p.Event, text)
		}
		added = added || p.Event == "catalogue" && strings.Contains(text, "own_last")
		updated = updated || p.Event == "update" && strings.Contains(text, "own_last")
	}
}

// Namespace / shows the default series, within what the page may see.
func TestABoundPageOfTheRecipeIsShownItsOwnSeries(t *testing.T) {
	g := newGuarded(t, false) // temperature is 20 in the lab, and 30 in the vault
	for credential, want := range map[string]string{boundReader: "[20]", reader: "[20]"} {
		c, err := g.enter("/", g.header(credential), "")
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.Next()
		if err != nil || p.Event != "bootstrap" || !strings.Contains(string(p.Arg), `"y":`+want) {
			t.Errorf("%s: %s %s, %v", credential, p.Event, p.Arg, err)
		}
	}
	for room, y := range map[string]string{"vault": "[30]", "cellar": "[]"} {
		g.add(room, `{room="`+room+`"}`)
		c, err := g.enter("/", http.Header{"Authorization": {"Bearer " + g.token[room]}}, "")
		if err != nil {
			t.Fatal(err)
		}
		if p, err := c.Next(); err != nil || p.Event != "bootstrap" || !strings.Contains(string(p.Arg), `"y":`+y) {
			t.Errorf("%s: %s %s, %v", room, p.Event, p.Arg, err)
		}
	}
}

// How long the parts of a query took tells how much there is that the reader may not see.
func TestABoundReaderGetsNoStatisticsOfItsQueries(t *testing.T) {
	g := newGuarded(t, false)
	for _, path := range []string{"/api/v1/query?query=temperature&stats=all", "/api/v1/query_range?query=temperature&start=0&end=10&step=1&stats=all"} {
		for by, want := range map[string]bool{reader: true, boundReader: false} {
			res, body := g.ask("GET", path, "", g.header(by))
			if res.StatusCode != 200 || strings.Contains(body, `"stats"`) != want {
				t.Errorf("%s by %s: %d %s", path, by, res.StatusCode, body)
			}
		}
	}
}
