package store

import (
	"math"
	"regexp/syntax"
)

// MaxRegexCost bounds the RegexCost of a regular expression. At the bound a compiled
// one takes about half a megabyte, and matching it against a value takes at most as many
// steps as the product of the cost and the value's length.
const MaxRegexCost = 10_000

// RegexCost estimates the size of the program that a regular expression compiles to,
// in instructions, without compiling it. A character class counts with its ranges: the
// class \p{L} is one instruction with 650 ranges, and a query of 4 KB holds 780 of them,
// which compile to 20 MB. A repetition {n,m} counts as often as the compiler writes it out.
// An expression that is not valid costs nothing, since it is not compiled.
func RegexCost(expression string) int {
	re, err := syntax.Parse(expression, syntax.Perl|syntax.DotNL)
	if err != nil {
		return 0
	}
	return costOf(re)
}

func costOf(re *syntax.Regexp) int {
	cost := len(re.Sub) // each alternative, repetition and group has an instruction of its own
	switch re.Op {
	case syntax.OpLiteral:
		cost = len(re.Rune)
	case syntax.OpCharClass:
		cost = 1 + len(re.Rune)/2
	}
	for _, sub := range re.Sub {
		cost += costOf(sub)
	}
	if re.Op == syntax.OpRepeat {
		cost *= max(re.Min, re.Max, 1)
	}
	return min(max(cost, 1), math.MaxInt32) // repetitions of repetitions do not overflow
}
