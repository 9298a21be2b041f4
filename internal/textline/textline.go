// Package textline reads numbers as people and scripts print them, a line at a time:
//
//	12.3
//	1764270000 12.3             with a time in front
//	temperature=21.5 humidity=40
//	{"temperature": 21.5, "humidity": 40, "unit": "C"}
//
// A time is in Unix seconds (1764270000, 1764270000.25), in milliseconds, microseconds or
// nanoseconds, which its size tells apart, or in RFC 3339 (2026-11-27T19:00:00Z). It may stand
// before any of the other forms.
//
// Guarantees:
//
//  1. What cannot be read is an error that names it, in words for whoever wrote the line. A
//     pair that cannot be read costs the other pairs of its line nothing, and neither does a
//     number in a JSON object.
//  2. Values are float64 as strconv.ParseFloat reads them, NaN and the infinities included. A
//     number outside of float64 is an error, not an infinity.
//  3. In a JSON object, keys whose value is no number are passed over; an object without any
//     number is an error.
package textline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Line is what a line says.
type Line struct {
	Time   int64 // Unix ms; meaningless without Timed
	Timed  bool  // the line says when
	Fields []Field
}

// Field is one number.
type Field struct {
	Key   string // "" for the number of a line that has one
	Value float64
}

// maxErrors bounds the errors of one line.
const maxErrors = 8

// maxFields bounds the numbers of one line.
const maxFields = 10_000

// ErrTooMany is the error of a line with more numbers than a line may have.
var ErrTooMany = fmt.Errorf("a line may have %d numbers; the rest of the line was not read", maxFields)

// errNotRead follows the last error of a line that has too many.
var errNotRead = errors.New("the rest of the line was not read")

// Parse reads one line, with or without its end. The fields that can be read are in the Line
// even if others are errors. A blank line has neither.
func Parse(line []byte) (Line, []error) {
	var l Line
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return l, nil
	}
	rest := line
	if first, after, more := cutWord(line); more && first[0] != '{' && bytes.IndexByte(first, '=') < 0 {
		t, err := parseTime(string(first))
		if err != nil {
			return l, []error{err}
		}
		l.Time, l.Timed, rest = t, true, after
	}
	switch {
	case rest[0] == '{':
		return l.object(rest)
	case bytes.IndexByte(rest, '=') >= 0:
		return l.pairs(rest)
	}
	if _, _, more := cutWord(rest); more {
		return l, []error{fmt.Errorf("%s is not a number, a time and a number, pairs of name=number, or a JSON object", quoted(line))}
	}
	v, err := parseValue(string(rest))
	if err != nil {
		return l, []error{err}
	}
	l.Fields = []Field{{Value: v}}
	return l, nil
}

// cutWord returns the first word of a line without space around it, and what follows.
func cutWord(line []byte) (word, rest []byte, more bool) {
	i := bytes.IndexAny(line, " \t")
	if i < 0 {
		return line, nil, false
	}
	return line[:i], bytes.TrimLeft(line[i:], " \t"), true
}

// pairs reads name=number, as often as they stand there.
func (l Line) pairs(rest []byte) (Line, []error) {
	var errs []error
	for more := true; more; {
		var word []byte
		word, rest, more = cutWord(rest)
		if len(l.Fields) == maxFields {
			return l, append(errs, ErrTooMany)
		}
		key, value, is := strings.Cut(string(word), "=")
		var err error
		var v float64
		switch {
		case !is:
			err = fmt.Errorf("%s is not a pair name=number", quoted(word))
		case key == "":
			err = fmt.Errorf("%s has no name before =", quoted(word))
		default:
			if v, err = parseValue(value); err != nil {
				err = fmt.Errorf("%s: %w", quoted([]byte(key)), err)
			}
		}
		if err == nil {
			l.Fields = append(l.Fields, Field{key, v})
		} else if errs = append(errs, err); len(errs) == maxErrors {
			return l, append(errs, errNotRead)
		}
	}
	return l, errs
}

// object reads a JSON object. A key with a number that cannot be kept costs the others nothing;
// of text that is no JSON object nothing is read.
func (l Line) object(text []byte) (Line, []error) {
	none := Line{Time: l.Time, Timed: l.Timed}
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil { // the brace
		return none, badObject(err)
	}
	var errs []error
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return none, badObject(err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return none, badObject(err)
		}
		if c := value[0]; c != '-' && (c < '0' || c > '9') {
			continue
		}
		if len(l.Fields) == maxFields {
			return l, append(errs, ErrTooMany)
		}
		key := token.(string)
		v, err := parseValue(string(value))
		switch {
		case err != nil:
			err = fmt.Errorf("%s: %w", quoted([]byte(key)), err)
		case key == "":
			err = errors.New("the JSON object has a number under an empty key")
		}
		if err == nil {
			l.Fields = append(l.Fields, Field{key, v})
		} else if errs = append(errs, err); len(errs) == maxErrors {
			return l, append(errs, errNotRead)
		}
	}
	if _, err := d.Token(); err != nil {
		return none, badObject(err)
	}
	if rest := text[d.InputOffset():]; len(bytes.TrimSpace(rest)) > 0 {
		return none, []error{fmt.Errorf("%s follows the JSON object; write one object a line", quoted(rest))}
	}
	if len(l.Fields) == 0 && len(errs) == 0 {
		return none, []error{errors.New("the JSON object has no number")}
	}
	return l, errs
}

func badObject(err error) []error {
	return []error{fmt.Errorf("not a JSON object on one line: %w", err)}
}

// parseValue reads a number.
func parseValue(s string) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("%s is larger than any number that can be kept", quoted([]byte(s)))
	case err != nil && strings.Count(s, ",") == 1 && isNumber(strings.Replace(s, ",", ".", 1)):
		return 0, fmt.Errorf("%s is not a number; write a point for the comma", quoted([]byte(s)))
	case err != nil:
		return 0, fmt.Errorf("%s is not a number", quoted([]byte(s)))
	}
	return v, nil
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

// parseTime reads a time into Unix ms.
func parseTime(s string) (int64, error) {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t.UnixMilli(), nil
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) || v < 0 || v >= 1e20 || strings.ContainsAny(s, "xX_") {
		return 0, fmt.Errorf("%s is not a time: want Unix seconds, milliseconds, microseconds or nanoseconds, or 2026-11-27T19:00:00Z; a number with a name is name=number, such as t=21.5", quoted([]byte(s)))
	}
	switch {
	case v < 1e11: // seconds: to the year 5138
		v *= 1e3
	case v < 1e14: // milliseconds: from 1973 on
	case v < 1e17:
		v /= 1e3
	default:
		v /= 1e6
	}
	return int64(math.Round(v)), nil
}

// quoted shows text from outside in a bounded number of bytes.
func quoted(text []byte) string {
	const most = 60
	if len(text) <= most {
		return strconv.Quote(string(text))
	}
	return strconv.Quote(strings.ToValidUTF8(string(text[:most]), "")) + "..."
}
