package store

import (
	"errors"
	"fmt"
	"iter"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/strutil"
)

// maxMatchers bounds the matchers of a selector: each is applied to each series.
const maxMatchers = 16

// errUnsupported marks queries that are PromQL but not a selector.
type errUnsupported struct{ what string }

func (e errUnsupported) Error() string {
	return `only selectors such as load1{host="web1"} are supported; this is ` + e.what
}

// IsUnsupported reports whether ParseSelector refused a query that is PromQL,
// but not a selector.
func IsUnsupported(err error) bool {
	_, ok := errors.AsType[errUnsupported](err)
	return ok
}

// ParseSelector reads a PromQL instant-vector selector, such as
// load1{host="web1"}. Its error says what is wrong with the query: among other things
// more than 16 matchers, or a regular expression whose RegexCost is above MaxRegexCost.
func ParseSelector(query string) ([]*labels.Matcher, error) {
	if err := CheckRegexes(query); err != nil {
		return nil, err
	}
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		return nil, fmt.Errorf("not a selector: %w", err)
	}
	for {
		p, ok := expr.(*parser.ParenExpr)
		if !ok {
			break
		}
		expr = p.Expr
	}
	v, ok := expr.(*parser.VectorSelector)
	if !ok {
		return nil, errUnsupported{describe(expr)}
	}
	if v.OriginalOffset != 0 || v.Timestamp != nil || v.StartOrEnd != 0 {
		return nil, errUnsupported{"a selector with offset or @"}
	}
	if len(v.LabelMatchers) > maxMatchers {
		return nil, fmt.Errorf("the selector has %d matchers; at most %d are allowed: leave some out, or put alternatives into one regular expression", len(v.LabelMatchers), maxMatchers)
	}
	return v.LabelMatchers, nil
}

// MaxRegexesCost bounds the RegexCost of all regular expressions of a query, or of the
// queries of a request, together.
const MaxRegexesCost = 10 * MaxRegexCost

// CheckRegexes refuses queries with a matcher whose regular expression costs too much,
// see MaxRegexCost, or whose regular expressions together do, see MaxRegexesCost. It reads
// the queries' tokens, because the parser compiles what it reads, and compiling is what
// has to be prevented. What is no query is left to the parser.
func CheckRegexes(queries ...string) error {
	all := 0
	for _, query := range queries {
		if err := checkRegexes(query, &all); err != nil {
			return err
		}
	}
	return nil
}

// checkRegexes adds to all what the regular expressions of query cost.
func checkRegexes(query string, all *int) error {
	var operator parser.Item
	for item := range Tokens(query) {
		if item.Typ == parser.STRING && (operator.Typ == parser.EQL_REGEX || operator.Typ == parser.NEQ_REGEX) {
			expression, err := strutil.Unquote(item.Val)
			if err != nil {
				return nil
			}
			cost := RegexCost(expression)
			if cost > MaxRegexCost {
				return fmt.Errorf("a regular expression of the query is too large: compiled it has about %d instructions, and %d are allowed; "+
					"use fewer repetitions {n,m} and character classes", cost, MaxRegexCost)
			}
			if *all += cost; *all > MaxRegexesCost {
				return fmt.Errorf("the regular expressions are too large together: compiled they have more than %d instructions; "+
					"use fewer of them, or fewer repetitions {n,m} and character classes", MaxRegexesCost)
			}
		}
		if item.Typ != parser.COMMENT {
			operator = item
		}
	}
	return nil
}

// Tokens returns the tokens of a query, comments among them, up to its end or to what is none.
func Tokens(query string) iter.Seq[parser.Item] {
	return func(yield func(parser.Item) bool) {
		lexer := parser.Lex(query)
		for {
			var item parser.Item
			lexer.NextItem(&item)
			if item.Typ == parser.EOF || item.Typ == parser.ERROR || !yield(item) {
				return
			}
		}
	}
}

func describe(e parser.Expr) string {
	switch e.(type) {
	case *parser.Call:
		return "a function call"
	case *parser.AggregateExpr:
		return "an aggregation"
	case *parser.BinaryExpr:
		return "an operation on two values"
	case *parser.MatrixSelector:
		return "a range selector"
	case *parser.SubqueryExpr:
		return "a subquery"
	case *parser.NumberLiteral, *parser.StringLiteral:
		return "a constant"
	case *parser.UnaryExpr:
		return "a negation"
	default:
		return "an expression"
	}
}
