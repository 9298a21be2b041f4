package api

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"stripchart/internal/store"
)

// What the parser and the printer do with a deep tree grows faster than the tree, and
// cannot be stopped: such expressions are refused before.
func TestDeepAndLongExpressionsAreRefused(t *testing.T) {
	v := serve(t, store.Options{}, Options{})
	nested := func(n int) string { return strings.Repeat("(", n) + "1" + strings.Repeat(")", n) }
	for _, c := range []struct{ expr, says string }{
		{nested(100), ""},
		{nested(101), "brackets"},
		{nested(8000), "brackets"},
		{strings.Repeat("(", 8000), "brackets"},
		{strings.Repeat("abs(", 101) + "m" + strings.Repeat(")", 101), "brackets"},
		{`m{a="` + strings.Repeat("(", 500) + `"} # ` + strings.Repeat("[", 500), ""},
		{"1" + strings.Repeat("+1", 200), ""},
		{"1" + strings.Repeat("+1", 300), "levels"},
		{strings.Repeat("-", 300) + "m", "levels"},
		{"1" + strings.Repeat("-1", 30_000), "operators"},
		{strings.Repeat("-", 60_000) + "m", "operators"},
		{strings.Repeat("-", 60_000), "operators"},
		{`{a="1"` + strings.Repeat(`,a!=""`, 1100) + "}", ""},
		{"1" + strings.Repeat("^1", 300), "levels"},
	} {
		for _, path := range []string{"query", "format_query", "parse_query"} {
			if path != "query" && len(c.expr) > maxSyntax {
				continue
			}
			status, a := v.answer(t, post(path, form("query", c.expr)))
			if refused := status == 400 && a.ErrorType == badData; refused != (c.says != "") || !strings.Contains(a.Error, c.says) {
				t.Errorf("%s of %.20q, %d bytes: %d %s %q, want %q", path, c.expr, len(c.expr), status, a.ErrorType, a.Error, c.says)
			}
		}
	}
	// A query may be longer: it is not printed.
	long := `m{a="` + strings.Repeat("x", 16<<10) + `"}`
	if status, a := v.answer(t, post("query", form("query", long))); status != 200 {
		t.Errorf("a long query: %d %s", status, a.Error)
	}
	for _, path := range []string{"format_query", "parse_query"} {
		if status, a := v.answer(t, post(path, form("query", long))); status != 400 || !strings.Contains(a.Error, "at most 16384") {
			t.Errorf("a long %s: %d %s", path, status, a.Error)
		}
	}
}

// Printing and parsing take a turn as queries do.
func TestFormattingWaitsForItsTurn(t *testing.T) {
	v := serve(t, store.Options{QueryReads: 1, QueryTimeout: 50 * time.Millisecond}, Options{})
	occupy(t, v, func() {
		for _, path := range []string{"format_query", "parse_query"} {
			if status, a := v.answer(t, post(path, form("query", "1"))); status != 503 || a.ErrorType != timedOut {
				t.Errorf("%s while the only turn is taken: %d %s %q", path, status, a.ErrorType, a.Error)
			}
		}
	})
}

// The engine does not count the bytes of labels: what multiplies them is refused.
func TestLabelsDoNotGrowWithoutBound(t *testing.T) {
	v := serve(t, store.Options{}, Options{})
	replace := func(of, with string) string { return `label_replace(` + of + `,"a",` + with + `,"a","(.*)")` }
	for _, c := range []struct {
		expr    string
		refused bool
	}{
		{replace(replace("m", `"$1$1$1$1$1$1$1$1"`), `"$1$1$1$1$1$1$1$1"`), false},
		{replace(replace(replace("m", `"$1$1$1$1$1$1$1$1"`), `"$1$1$1$1$1$1$1$1"`), `"$1$1"`), true},
		{replace("sum by (a) (("+replace("m", `("$1$1$1$1$1$1$1$1")`)+"))", `(("`+strings.Repeat("${1}", 9)+`"))`), true},
		{replace("m", `"`+strings.Repeat("$1", 65)+`"`), true},
		{replace(replace("m", `"`+strings.Repeat("$1", 64)+`"`), `"x"`), false},
		{`label_join(label_join(m, "a", "", "a"` + strings.Repeat(`,"a"`, 7) + `), "a", "", "a"` + strings.Repeat(`,"a"`, 8) + ")", true},
		{`label_join(label_join(m, "a", "", "a"` + strings.Repeat(`,"a"`, 7) + `), "a", "", "a"` + strings.Repeat(`,"a"`, 7) + ")", false},
		{`label_join(m, "a", "-") + ` + replace("m", `"`+strings.Repeat("$1", 64)+`"`) + " + " + replace("m", `"$1$1"`), false},
	} {
		status, a := v.answer(t, post("query", form("query", c.expr)))
		if (status == 400) != c.refused || strings.Contains(a.Error, "times as long") != c.refused {
			t.Errorf("%s: %d %s", c.expr, status, a.Error)
		}
	}
}

// Many regular expressions, each within its bound, are refused together.
func TestRegularExpressionsAreBoundedTogether(t *testing.T) {
	v := serve(t, store.Options{}, Options{})
	const one = "\\p{L}{10}"
	cost := store.RegexCost(one)
	if cost > store.MaxRegexCost {
		t.Fatalf("one alone costs %d", cost)
	}
	few, many := store.MaxRegexesCost/cost, store.MaxRegexesCost/cost+1
	match := func(n int) string { return "m{" + strings.Repeat("a=~`"+one+"`,", n) + "}" }
	replace := func(n int) string {
		return "sum(m)" + strings.Repeat(" + sum(label_replace(m,`a`,`$1`,`b`,`"+one+"`))", n)
	}
	for n, refused := range map[int]bool{few: false, many: true} {
		for _, c := range []*http.Request{
			post("query", form("query", match(n))),
			post("parse_query", form("query", match(n))),
			post("query", form("query", replace(n))),
			post("series", url.Values{"match[]": slices.Repeat([]string{match(1)}, n)}),
			post("labels", url.Values{"match[]": slices.Repeat([]string{match(1)}, n)}),
		} {
			if status, a := v.answer(t, c); (status == 400) != refused || strings.Contains(a.Error, "together") != refused {
				t.Errorf("%d in %s: %d %s", n, c.URL, status, a.Error)
			}
		}
	}
}

// The samples of all queries together fit into half of the memory.
func TestSamplesAreBoundedByTheMemory(t *testing.T) {
	for _, c := range []struct {
		memory, reads int
		max           int
		steps         string // of a subquery
		status        int
		want          float64
	}{
		{64 << 10, 4, 0, "100s", 200, 512},
		{64 << 10, 4, 0, "513s", 400, 512},
		{64 << 10, 1, 0, "1000s", 200, 2048},
		{64 << 10, 1, 100, "101s", 400, 100},
		{0, 4, 0, "3000s", 200, DefaultMaxSamples}, // no bound is known in tests
	} {
		v := serve(t, store.Options{QueryReads: c.reads}, Options{MaxSamples: c.max, MemoryLimit: int64(c.memory)})
		status, a := v.answer(t, get("query", form("query", "count_over_time(vector(1)["+c.steps+":1s])")))
		if got := v.api.Limits()["query_samples"]; status != c.status || got != c.want {
			t.Errorf("%+v: %d %s, %v samples", c, status, a.Error, got)
		}
	}
}

// occupy calls f while the only read of v's share is under way.
func occupy(t *testing.T, v *served, f func()) {
	t.Helper()
	err := v.store.QueryReads().Read(t.Context(), func(context.Context) error { f(); return nil })
	if err != nil {
		t.Error(err)
	}
}
