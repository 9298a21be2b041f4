package store

import (
	"errors"
	"fmt"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

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
// load1{host="web1"}. Its error says what is wrong with the query.
func ParseSelector(query string) ([]*labels.Matcher, error) {
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
	return v.LabelMatchers, nil
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
