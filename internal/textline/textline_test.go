package textline

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestLines(t *testing.T) {
	for _, c := range []struct {
		line   string
		want   string // as say writes it
		errors []string
	}{
		{"12.3", "[=12.3]", nil},
		{" -1e-3\r\n", "[=-0.001]", nil},
		{"NaN", "[=NaN]", nil},
		{"+Inf", "[=+Inf]", nil},
		{"", "[]", nil},
		{" \t\r\n", "[]", nil},
		{"1764270000 12.3", "1764270000000 [=12.3]", nil},
		{"1764270000.25\t12.3", "1764270000250 [=12.3]", nil},
		{"1764270000123 1", "1764270000123 [=1]", nil},
		{"1764270000123456 1", "1764270000123 [=1]", nil},
		{"1764270000123456789 1", "1764270000123 [=1]", nil},
		{"2025-11-27T19:00:00.5Z 1", "1764270000500 [=1]", nil},
		{"2025-11-27T20:00:00+01:00 1", "1764270000000 [=1]", nil},
		{"0 1", "0 [=1]", nil},
		{"a=1 b=2", "[a=1 b=2]", nil},
		{"a=1   b=x\tc=3 d", "[a=1 c=3]", []string{`"b": "x" is not a number`, `"d" is not a pair`}},
		{"=1", "[]", []string{"no name"}},
		{"1764270000 a=1 b=2", "1764270000000 [a=1 b=2]", nil},
		{`{"a":1,"b":-2.5,"c":"x","d":null,"e":true,"f":{"g":1},"h":[1]}`, "[a=1 b=-2.5]", nil},
		{`1764270000 {"a": 1}`, "1764270000000 [a=1]", nil},
		{`{"a=b": 1}`, "[a=b=1]", nil},
		{`{"a":1,"a":2}`, "[a=1 a=2]", nil},
		{`{"":1}`, "[]", []string{"empty key"}},
		{`{}`, "[]", []string{"has no number"}},
		{`{"a":"x"}`, "[]", []string{"has no number"}},
		{`{"a":1`, "[]", []string{"not a JSON object"}},
		{`{"a":1} {"b":2}`, "[]", []string{"one object a line"}},
		{`{"a":1e999}`, "[]", []string{"larger than any"}},
		{`{"a":1e999,"b":2,"":4,"c":3}`, "[b=2 c=3]", []string{`"a": "1e999" is larger than any`, "empty key"}},
		{`{` + strings.Repeat(`"":1,`, 20) + `"b":2}`, "[]", []string{"", "", "", "", "", "", "", "", "the rest of the line was not read"}},
		{`{`, "[]", []string{"not a JSON object"}},
		{"12,3", "[]", []string{"write a point"}},
		{"1e999", "[]", []string{"larger than any"}},
		{"abc", "[]", []string{`"abc" is not a number`}},
		{"# a comment", "[]", []string{`"#" is not a time`}},
		{"yesterday 1", "[]", []string{`"yesterday" is not a time`}},
		{"a = 1", "[]", []string{`"a" is not a time`}},
		{"a = 1", "[]", []string{"a number with a name is name=number, such as t=21.5"}},
		{"temp: 21.5", "[]", []string{"a number with a name is name=number, such as t=21.5"}},
		{"-5 1", "[]", []string{"not a time"}},
		{"0x10 1", "[]", []string{"not a time"}},
		{"1 2 3", "1000 []", []string{"not a number, a time and a number"}},
		{strings.Repeat("x", 1000), "[]", []string{"..."}},
		{strings.Repeat("x ", 3) + strings.Repeat("y= ", 20), "[]", []string{"not a time"}},
		{strings.Repeat("y=x ", 20), "[]", []string{"", "", "", "", "", "", "", "", "the rest of the line was not read"}},
		{"\xff\xfe", "[]", []string{`"\xff\xfe" is not a number`}},
	} {
		l, errs := Parse([]byte(c.line))
		if got := say(l); got != c.want {
			t.Errorf("%q: %s, want %s", c.line, got, c.want)
		}
		if len(errs) != len(c.errors) {
			t.Errorf("%q: %v, want %d errors", c.line, errs, len(c.errors))
			continue
		}
		for i, err := range errs {
			if !strings.Contains(err.Error(), c.errors[i]) || len(err.Error()) > 400 {
				t.Errorf("%q: %q does not say %q", c.line, err, c.errors[i])
			}
		}
	}
}

func say(l Line) string {
	var b strings.Builder
	if l.Timed {
		fmt.Fprint(&b, l.Time, " ")
	}
	for i, f := range l.Fields {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%s=%v", f.Key, f.Value)
	}
	if l.Timed {
		stamp, fields, _ := strings.Cut(b.String(), " ")
		return stamp + " [" + fields + "]"
	}
	return "[" + b.String() + "]"
}

// Whatever a line is, it is read or refused, and what is read of it is read alike from the
// same fields written as pairs.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"12.3", "1764270000 12.3", "a=1 b=x c=3", `{"a":1,"b":"x"}`, `1 {"a":[[[]]]}`, "2025-11-27T19:00:00Z x=1", "NaN", "-Inf", "\x00", `{"\ud800":1}`, "1e400", "=", "a==1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, errs := Parse([]byte(s))
		if len(errs) == 0 && len(l.Fields) == 0 && strings.TrimSpace(s) != "" {
			t.Fatalf("%q: neither a number nor an error", s)
		}
		if len(errs) > maxErrors+1 {
			t.Fatalf("%q: %d errors", s, len(errs))
		}
		for _, field := range l.Fields {
			if field.Key == "" || strings.ContainsAny(field.Key, " \t\r\n=\v\f\u0085\u00a0{") || strings.TrimSpace(field.Key) != field.Key {
				continue
			}
			again, errs := Parse(fmt.Appendf(nil, "%s=%v", field.Key, field.Value))
			if len(errs) > 0 || len(again.Fields) != 1 || math.Float64bits(again.Fields[0].Value) != math.Float64bits(field.Value) && !math.IsNaN(field.Value) {
				t.Fatalf("%q: %+v became %+v, %v", s, field, again, errs)
			}
		}
	})
}
