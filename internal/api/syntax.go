package api

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// maxSyntax bounds the bytes of an expression that is formatted or shown as a tree.
const maxSyntax = 16 << 10

// parse calls f with the expression of the parameter query, when it is its turn: parsing and
// what f does need time and memory, as queries do.
func (a *API) parse(r *request, f func(parser.Expr) error) error {
	query := r.Form.Get("query")
	if len(query) > maxSyntax {
		return badParameter("query", fmt.Errorf("the expression has %d bytes; at most %d are allowed here: send its parts one by one", len(query), maxSyntax))
	}
	return a.share.Read(r.ctx, func(context.Context) error {
		if err := a.check(query, 0); err != nil {
			return badParameter("query", err)
		}
		e, err := a.parser.ParseExpr(query)
		if err != nil {
			return badParameter("query", err)
		}
		return f(e)
	})
}

// formatQuery answers with the expression as Prometheus would write it.
func (a *API) formatQuery(r *request) (out result, err error) {
	err = a.parse(r, func(e parser.Expr) error {
		out = jsonOf(e.Pretty(0))
		return nil
	})
	return out, err
}

// parseQuery answers with the expression's syntax tree, in the form of Prometheus's page.
func (a *API) parseQuery(r *request) (out result, err error) {
	err = a.parse(r, func(e parser.Expr) error {
		tree, err := treeOf(e)
		out = jsonOf(tree)
		return err
	})
	return out, err
}

type node = map[string]any

// treeOf returns the JSON object of an expression; nil of none.
func treeOf(e parser.Expr) (any, error) {
	b := treeBuilder{}
	tree := b.of(e)
	return tree, b.err
}

// treeBuilder remembers the first error.
type treeBuilder struct{ err error }

func (b *treeBuilder) of(e parser.Expr) any {
	switch e := e.(type) {
	case nil:
		return nil
	case *parser.NumberLiteral:
		return node{"type": "numberLiteral", "val": strconv.FormatFloat(e.Val, 'f', -1, 64)}
	case *parser.StringLiteral:
		return node{"type": "stringLiteral", "val": e.Val}
	case *parser.ParenExpr:
		return node{"type": "parenExpr", "expr": b.of(e.Expr)}
	case *parser.UnaryExpr:
		return node{"type": "unaryExpr", "op": e.Op.String(), "expr": b.of(e.Expr)}
	case *parser.AggregateExpr:
		return node{
			"type": "aggregation", "op": e.Op.String(), "expr": b.of(e.Expr), "param": b.of(e.Param),
			"grouping": listOf(e.Grouping), "without": e.Without,
		}
	case *parser.BinaryExpr:
		return node{
			"type": "binaryExpr", "op": e.Op.String(), "lhs": b.of(e.LHS), "rhs": b.of(e.RHS),
			"matching": matchingOf(e.VectorMatching), "bool": e.ReturnBool,
		}
	case *parser.Call:
		args := []any{}
		for _, arg := range e.Args {
			args = append(args, b.of(arg))
		}
		return node{"type": "call", "args": args, "func": node{
			"name": e.Func.Name, "argTypes": e.Func.ArgTypes, "variadic": e.Func.Variadic, "returnType": e.Func.ReturnType,
		}}
	case *parser.VectorSelector:
		n := selectorOf(e)
		n["type"] = "vectorSelector"
		return n
	case *parser.MatrixSelector:
		inner, is := e.VectorSelector.(*parser.VectorSelector)
		if !is {
			break
		}
		n := selectorOf(inner)
		n["type"], n["range"], n["rangeExpr"] = "matrixSelector", e.Range.Milliseconds(), nil
		return n
	case *parser.SubqueryExpr:
		n := node{
			"type": "subquery", "expr": b.of(e.Expr), "range": e.Range.Milliseconds(), "rangeExpr": nil,
			"step": e.Step.Milliseconds(), "stepExpr": nil,
		}
		place(n, e.OriginalOffset, e.Timestamp, e.StartOrEnd)
		return n
	}
	if b.err == nil {
		b.err = fmt.Errorf("an expression of type %T has no tree", e)
	}
	return nil
}

func selectorOf(v *parser.VectorSelector) node {
	n := node{"name": v.Name, "matchers": matchersOf(v.LabelMatchers), "anchored": v.Anchored, "smoothed": v.Smoothed}
	place(n, v.OriginalOffset, v.Timestamp, v.StartOrEnd)
	return n
}

// place adds to n which time an expression refers to: its offset and its @ modifier.
func place(n node, offset time.Duration, at *int64, startOrEnd parser.ItemType) {
	n["offset"], n["offsetExpr"], n["timestamp"], n["startOrEnd"] = offset.Milliseconds(), nil, at, nil
	if startOrEnd != 0 {
		n["startOrEnd"] = startOrEnd.String()
	}
}

func matchingOf(m *parser.VectorMatching) any {
	if m == nil {
		return nil
	}
	return node{
		"card": m.Card.String(), "labels": listOf(m.MatchingLabels), "on": m.On, "include": listOf(m.Include),
		"fillValues": node{"lhs": m.FillValues.LHS, "rhs": m.FillValues.RHS},
	}
}

func matchersOf(ms []*labels.Matcher) []node {
	out := []node{}
	for _, m := range ms {
		out = append(out, node{"name": m.Name, "value": m.Value, "type": m.Type.String()})
	}
	return out
}

func listOf(l []string) []string {
	if l == nil {
		return []string{}
	}
	return l
}
