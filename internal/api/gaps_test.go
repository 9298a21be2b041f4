package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/store"
)

// An answer names the declared gaps of the series that it was made of, and no others.
func TestAnAnswerNamesTheGapsOfItsSeries(t *testing.T) {
	of := func(n string) func(labels.Labels) bool {
		return func(ls labels.Labels) bool { return ls.Get("n") == n }
	}
	declared := []Gap{{base + 1000, base + 3000, "log_trimmed", of("1")}, {base + 500_000, base + 501_000, "source_dropped", of("2")}}
	for k := range int64(9) {
		declared = append(declared, Gap{base + 1000*k, base + 1000*k + 500, "damaged", of("many")})
	}
	v := serve(t, store.Options{}, Options{Gaps: func(from, to int64) (found []Gap) {
		for _, g := range declared {
			if g.From < to && from < g.To {
				found = append(found, g)
			}
		}
		return found
	}})
	for _, n := range []string{"0", "1", "2", "many"} {
		for k := range int64(20) {
			v.append(t, labels.FromStrings("__name__", "m", "n", n), bus.Sample{T: base + 1000*k, V: 1})
		}
	}
	seconds := func(ms int64) string { return fmt.Sprint(float64(ms) / 1000) }
	trimmed := "samples between 2026-01-01T00:00:01Z and 2026-01-01T00:00:03Z may be missing: log_trimmed"
	for expr, want := range map[string]string{`m{n="0"}`: "", `m{n="1"}`: trimmed, `sum(rate(m{n=~"0|1"}[5s]))`: trimmed, `m{n="2"}`: "", `1`: ""} {
		_, a := v.answer(t, get("query_range", form("query", expr, "start", seconds(base), "end", seconds(base+20_000), "step", "1")))
		if got := strings.Join(a.Warnings, "; "); got != want {
			t.Errorf("%s: warnings %q, want %q", expr, got, want)
		}
	}
	_, a := v.answer(t, get("query_range", form("query", `m{n="many"}`, "start", seconds(base), "end", seconds(base+20_000), "step", "1")))
	if len(a.Warnings) != mostGaps+1 || !slices.Contains(a.Warnings, "samples may be missing in 4 more gaps") {
		t.Errorf("nine gaps: warnings %q", a.Warnings)
	}
}
