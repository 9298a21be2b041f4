package api

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"stripchart/internal/store"
)

const (
	// maxBrackets bounds how deep an expression's brackets are nested, before it is parsed.
	maxBrackets = 100
	// maxOperators bounds its operators, before it is parsed: the parser needs the square.
	maxOperators = 1000
	// maxDepth bounds the levels of an expression's tree: 1+1+1+... has one for each +.
	// What the engine does with a tree may need the square of them, and more.
	maxDepth = 250
	// maxGrowth bounds how many times as long as it was a label may become: the engine
	// counts samples, and not the bytes of their labels.
	maxGrowth = 64
)

// check refuses an expression that would cost too much before any of the engine's own
// bounds: a large regular expression costs when it is compiled, and the steps of a subquery
// are allocated before the first sample is counted. span is the range of the query.
// An expression that cannot be parsed is left to the engine.
func (a *API) check(expr string, span time.Duration) error {
	if err := store.CheckRegexes(expr); err != nil {
		return err
	}
	if err := checkSize(expr); err != nil {
		return err
	}
	e, err := a.parser.ParseExpr(expr)
	if err != nil {
		return nil
	}
	if err := checkDepth(e); err != nil {
		return err
	}
	steps, regexes := 0.0, 0
	parser.Inspect(e, func(n parser.Node, path []parser.Node) error {
		switch n := n.(type) {
		case *parser.Call:
			growth := growthOf(n)
			for _, outer := range path {
				growth *= growthOf(outer)
			}
			if growth > maxGrowth {
				err = fmt.Errorf("label_replace and label_join inside each other may make labels %.0f times as long as they are; at most %d times is allowed: "+
					"use fewer of them, or fewer references such as $1", growth, maxGrowth)
			}
			if len(n.Args) < 5 || n.Func.Name != "label_replace" {
				break
			}
			regex, _ := text(n.Args[4])
			cost := store.RegexCost(regex)
			if regexes += cost; cost > store.MaxRegexCost || regexes > store.MaxRegexesCost {
				err = fmt.Errorf("the regular expression of label_replace is too large, or those of all are together: use fewer repetitions {n,m} and character classes")
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

// checkSize refuses an expression that must not be parsed: the parser and the engine walk
// up and down its tree, whose depth the brackets and the operators are. Those in strings
// and comments do not count, nor those of the matchers of a selector.
func checkSize(expr string) error {
	depth, braces, operators := 0, 0, 0
	for item := range store.Tokens(expr) {
		switch item.Typ {
		case parser.LEFT_BRACE:
			braces++
		case parser.RIGHT_BRACE:
			braces--
		case parser.LEFT_PAREN, parser.LEFT_BRACKET:
			depth++
		case parser.RIGHT_PAREN, parser.RIGHT_BRACKET:
			depth--
		default:
			if braces == 0 && item.Typ.IsOperator() {
				operators++
			}
		}
		switch {
		case depth > maxBrackets:
			return fmt.Errorf("the brackets are nested more than %d deep: leave out those that are not needed, or ask for the parts one by one", maxBrackets)
		case operators > maxOperators:
			return fmt.Errorf("the expression has more than %d operators: ask for the parts one by one, or use an aggregation such as sum", maxOperators)
		}
	}
	return nil
}

// checkDepth refuses an expression whose tree has too many levels.
func checkDepth(e parser.Expr) (err error) {
	parser.Inspect(e, func(_ parser.Node, path []parser.Node) error {
		if len(path) >= maxDepth {
			err = fmt.Errorf("the expression has more than %d levels, and each operator of a chain such as a + b + c is one: "+
				"ask for the parts one by one, or use an aggregation such as sum", maxDepth)
		}
		return err
	})
	return err
}

// growthOf returns how many times as long as it was a label may be in the result of n.
func growthOf(n parser.Node) float64 {
	call, is := n.(*parser.Call)
	if !is {
		return 1
	}
	factor := 1
	switch call.Func.Name {
	case "label_replace": // v, label, replacement, source, regex
		if len(call.Args) > 2 {
			replacement, _ := text(call.Args[2])
			factor = strings.Count(replacement, "$")
		}
	case "label_join": // v, label, separator, source, ...
		factor = len(call.Args) - 3
	}
	return float64(max(factor, 1))
}

// text returns the string that an argument is.
func text(e parser.Expr) (s string, is bool) {
	for {
		switch inner := e.(type) {
		case *parser.ParenExpr:
			e = inner.Expr
		case *parser.StepInvariantExpr:
			e = inner.Expr
		case *parser.StringLiteral:
			return inner.Val, true
		default:
			return "", false
		}
	}
}
