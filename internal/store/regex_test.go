package store

import (
	"regexp/syntax"
	"runtime"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
)

// hostile are selectors of at most 4 KB that compile to many megabytes or match slowly.
var hostile = map[string]string{
	"classes":                  "{host=~`x1" + strings.Repeat(`\p{L}`, 780) + "`}",
	"classes of any case":      "{host=~`(?i)" + strings.Repeat(`\PL`, 1000) + "`}",
	"negated":                  "{host!~`x1" + strings.Repeat(`[^\p{L}\p{N}]`, 300) + "`}",
	"repetitions":              "{host=~`" + strings.Repeat(`x{1000}`, 500) + "`}",
	"nested repetitions":       "{host=~`" + strings.Repeat(`((a{0,9}b){0,10}c){0,10}`, 160) + "`}",
	"behind a harmless one":    "{a=~`b`,host=~\"" + strings.Repeat(`[\\pL]`, 500) + "\"}",
	"quoted name":              "{\"host\"=~'" + strings.Repeat(`\\pL`, 500) + "'}",
	"behind a comment":         "{host=~ # x\n`" + strings.Repeat(`\pL`, 500) + "`}",
	"in something unsupported": "rate({host=~`" + strings.Repeat(`\pL`, 500) + "`}[5m])",
}

func TestAHugeRegexIsRefusedBeforeItIsCompiled(t *testing.T) {
	for name, query := range hostile {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := ParseSelector(query)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), "instructions") {
			t.Errorf("%s: %v", name, err)
		}
		// Parsing the classes alone takes a few megabytes, for a moment.
		if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 16 {
			t.Errorf("%s: took %d MB to refuse", name, took)
		}
	}
}

func TestASelectorHasAtMostSixteenMatchers(t *testing.T) {
	if _, err := ParseSelector("m{" + strings.Repeat(`a!="b",`, 15) + "}"); err != nil {
		t.Error(err)
	}
	if _, err := ParseSelector("m{" + strings.Repeat(`a!="b",`, 16) + "}"); err == nil || !strings.Contains(err.Error(), "17 matchers") {
		t.Errorf("17 matchers: %v", err)
	}
}

func TestOrdinaryRegexesAreTaken(t *testing.T) {
	for _, query := range []string{
		`{host=~"web.*"}`, `{host=~"(?i)web[0-9]{1,3}\\.example\\.(com|org)"}`, `{__name__=~".+"}`,
		`{host=~"` + strings.Repeat("web1.example.com|", 220) + `x"}`,
		`{a=~"\\pL+"}`, `load1`,
	} {
		if _, err := ParseSelector(query); err != nil {
			t.Errorf("%.50s: %v", query, err)
		}
	}
	if _, err := ParseSelector(`{a=~"("}`); err == nil || strings.Contains(err.Error(), "instructions") {
		t.Errorf("an expression that is not valid: %v", err)
	}
}

// The estimate is not below what the compiler makes, but for a constant.
func FuzzRegexCostIsNotTooLow(f *testing.F) {
	for _, s := range []string{`a`, `a{3,7}`, `(a|b)*`, `[a-z]+x?`, `(?i)abc`, `((a{0,9}b){0,10}c){0,10}`, `x{1000}`, `\pL{2,}`, `^a$|\bb`, `a{2,}`, `(a*)+`, ``} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		cost := RegexCost(s)
		if cost == 0 || cost > MaxRegexCost {
			return
		}
		re, err := syntax.Parse(s, syntax.Perl|syntax.DotNL)
		if err != nil {
			return
		}
		prog, err := syntax.Compile(re.Simplify())
		if err != nil {
			return
		}
		if len(prog.Inst) > 2*cost+8 {
			t.Errorf("%q has %d instructions, the estimate is %d", s, len(prog.Inst), cost)
		}
	})
}

func BenchmarkDearestRegex(b *testing.B) {
	for name, expression := range map[string]string{
		"classes":  strings.Repeat(`\p{L}`, 14),
		"literals": strings.Repeat("x{100}", 90),
		"optional": "(" + strings.Repeat("a{0,1000}", 4) + ")*",
	} {
		b.Run(name, func(b *testing.B) {
			var before, after runtime.MemStats
			kept := make([]*labels.Matcher, 0, b.N)
			runtime.GC()
			runtime.ReadMemStats(&before)
			for b.Loop() {
				kept = append(kept, labels.MustNewMatcher(labels.MatchRegexp, "a", expression))
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(len(kept)), "B-held")
			b.ReportMetric(float64(RegexCost(expression)), "cost")
			runtime.KeepAlive(kept)
		})
	}
}
