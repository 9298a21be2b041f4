package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

const success = "success"

// mostNotes is how many warnings, and how many infos, an answer has.
const mostNotes = 10

var errTooMany = &apiError{unavailable, errors.New("too many answers wait to be read; try again in a moment")}

// tooLarge is the error of an answer of more than most bytes.
func tooLarge(most int) error {
	return &apiError{execution, fmt.Errorf("the answer has more than %d bytes; ask for fewer series, or with a larger step", most)}
}

// encode makes an answer of a result. While there is a copy of the data, it counts too.
func (a *API) encode(res result) ([]byte, error) {
	done, ok := a.waiting.take(2 * res.size)
	if !ok {
		return nil, errTooMany
	}
	defer done()
	b := append(make([]byte, 0, 512+res.size), `{"status":"success","data":`...)
	b, err := res.append(b)
	if err != nil {
		return nil, err
	}
	warnings, infos := res.notes.AsStrings(res.query, mostNotes, mostNotes)
	for _, n := range []struct {
		name  string
		notes []string
	}{{"warnings", warnings}, {"infos", infos}} {
		if len(n.notes) > 0 {
			b = append(append(append(b, `,"`...), n.name...), `":`...)
			b = appendStrings(b, n.notes)
		}
	}
	if len(b) > a.maxAnswer {
		return nil, tooLarge(a.maxAnswer)
	}
	return append(b, '}'), nil
}

// failure is the answer of an error.
func failure(e *apiError) []byte {
	b := appendString([]byte(`{"status":"error","errorType":`), e.kind)
	return append(appendString(append(b, `,"error":`...), e.Error()), '}')
}

// jsonOf is a result of data that has a JSON form.
func jsonOf(data any) result {
	return result{append: func(b []byte) ([]byte, error) { return appendJSON(b, data) }}
}

func appendJSON(b []byte, data any) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(data); err != nil {
		return nil, err
	}
	return append(b, bytes.TrimSuffix(text.Bytes(), []byte{'\n'})...), nil
}

// appendValue appends an open object with the result of a query: its } is still
// missing. It has at most about most bytes.
func appendValue(b []byte, v parser.Value, most int) ([]byte, error) {
	b = append(append(append(b, `{"resultType":"`...), v.Type()...), `","result":`...)
	switch v := v.(type) {
	case promql.Scalar:
		return appendSample(b, v.T, v.V), nil
	case promql.String:
		b = append(appendTime(append(b, '['), v.T), ',')
		return append(appendString(b, v.V), ']'), nil
	case promql.Vector:
		b = append(b, '[')
		for i := range v {
			if v[i].H != nil {
				return nil, errHistogram
			}
			b = appendMetric(b, i, v[i].Metric)
			b = append(appendSample(append(b, `,"value":`...), v[i].T, v[i].F), '}')
			if len(b) > most {
				return nil, tooLarge(most)
			}
		}
		return append(b, ']'), nil
	case promql.Matrix:
		b = append(b, '[')
		for i := range v {
			if len(v[i].Histograms) > 0 {
				return nil, errHistogram
			}
			b = append(appendMetric(b, i, v[i].Metric), `,"values":[`...)
			for j, p := range v[i].Floats {
				if j > 0 {
					b = append(b, ',')
				}
				b = appendSample(b, p.T, p.F)
			}
			if b = append(b, ']', '}'); len(b) > most {
				return nil, tooLarge(most)
			}
		}
		return append(b, ']'), nil
	}
	return nil, fmt.Errorf("a result of type %s cannot be answered", v.Type())
}

// errHistogram cannot happen while the store takes floats alone.
var errHistogram = errors.New("the result has native histograms, which this server does not know")

// appendMetric begins the i-th object of a list.
func appendMetric(b []byte, i int, metric labels.Labels) []byte {
	if i > 0 {
		b = append(b, ',')
	}
	return appendLabels(append(b, `{"metric":`...), metric)
}

func appendLabels(b []byte, ls labels.Labels) []byte {
	b = append(b, '{')
	first := true
	ls.Range(func(l labels.Label) {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendString(append(appendString(b, l.Name), ':'), l.Value)
	})
	return append(b, '}')
}

// appendSample appends [seconds,"value"].
func appendSample(b []byte, t int64, v float64) []byte {
	b = append(appendTime(append(b, '['), t), `,"`...)
	return append(appendFloat(b, v), `"]`...)
}

// appendTime appends milliseconds as seconds, with three decimals if any.
func appendTime(b []byte, ms int64) []byte {
	if ms < 0 {
		b, ms = append(b, '-'), -ms
	}
	b = strconv.AppendInt(b, ms/1000, 10)
	if part := ms % 1000; part != 0 {
		b = append(b, '.', byte('0'+part/100), byte('0'+part/10%10), byte('0'+part%10))
	}
	return b
}

// appendFloat appends the shortest text that reads back as v: with an exponent only where
// it would be very long.
func appendFloat(b []byte, v float64) []byte {
	format := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, v, format, -1, 64)
}

// appendString appends a JSON string. Bytes that are no UTF-8 become U+FFFD.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			quoted, err := appendJSON(b, s)
			if err != nil {
				panic(fmt.Sprintf("api: string: %v", err)) // every string has a JSON form
			}
			return quoted
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

func appendStrings(b []byte, all []string) []byte {
	b = append(b, '[')
	for i, s := range all {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, s)
	}
	return append(b, ']')
}
