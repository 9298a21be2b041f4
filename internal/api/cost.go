package api

import (
	"cmp"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"stripchart/internal/store"
)

// check refuses an expression that would cost too much before any of the engine's own
// bounds: a large regular expression costs when it is compiled, and the steps of a subquery
// are allocated before the first sample is counted. span is the range of the query.
// An expression that cannot be parsed is left to the engine.
func (a *API) check(expr string, span time.Duration) error {
	if err := store.CheckRegexes(expr); err != nil {
		return err
	}
	e, err := a.parser.ParseExpr(expr)
	if err != nil {
		return nil
	}
	steps := 0.0
	parser.Inspect(e, func(n parser.Node, path []parser.Node) error {
		switch n := n.(type) {
		case *parser.Call:
			if len(n.Args) < 5 || n.Func.Name != "label_replace" {
				break
			}
			if regex, is := n.Args[4].(*parser.StringLiteral); is && store.RegexCost(regex.Val) > store.MaxRegexCost {
				err = fmt.Errorf("the regular expression of label_replace is too large: use fewer repetitions {n,m} and character classes")
			}
		case *parser.SubqueryExpr:
			all := span + n.Range
			for _, outer := range path {
				if o, is := outer.(*parser.SubqueryExpr); is {
					all += o.Range
				}
			}
			steps += float64(all) / float64(cmp.Or(n.Step, subqueryStep))
		}
		return nil
	})
	// Overflowing sums are negative.
	if err == nil && (steps > float64(a.o.MaxSamples) || steps < 0) {
		err = fmt.Errorf("the subqueries have %.0f steps; at most %d are allowed: use shorter ranges, or larger steps", steps, a.o.MaxSamples)
	}
	return err
}
