package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
)

// jsonEncoder writes a line a run.
type jsonEncoder struct{ rfc3339 bool }

func (e *jsonEncoder) Begin(b []byte) []byte { return b }

func (e *jsonEncoder) Run(b []byte, ls labels.Labels, samples []bus.Sample) ([]byte, bool) {
	b = append(appendMetric(b, ls), `,"values":[`...)
	for i, s := range samples {
		if i > 0 {
			b = append(b, ',')
		}
		if finite := !math.IsInf(s.V, 0) && s.V == s.V; finite {
			b = appendValue(b, s.V)
		} else {
			b = append(appendValue(append(b, '"'), s.V), '"')
		}
	}
	b = append(b, `],"timestamps":[`...)
	for i, s := range samples {
		if i > 0 {
			b = append(b, ',')
		}
		if e.rfc3339 {
			b = append(appendRFC3339(append(b, '"'), s.T), '"')
		} else {
			b = strconv.AppendInt(b, s.T, 10)
		}
	}
	return append(b, "]}\n"...), true
}

func (e *jsonEncoder) Warning(b []byte, text string) []byte {
	return append(appendJSON(append(b, `{"warning":`...), text), "}\n"...)
}

func (e *jsonEncoder) End(b []byte) []byte { return b }

// appendMetric appends the open object of a line.
func appendMetric(b []byte, ls labels.Labels) []byte {
	b = append(b, `{"metric":{`...)
	first := true
	ls.Range(func(l labels.Label) {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendJSON(append(appendJSON(b, l.Name), ':'), l.Value)
	})
	return append(b, '}')
}

func appendJSON(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			quoted, err := json.Marshal(s)
			if err != nil {
				panic("export: " + err.Error()) // every string has a JSON form
			}
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

type jsonDecoder struct {
	lines lines
	run   []bus.Sample
	text  []byte // the metric of the line before
	of    labels.Labels
}

// jsonLine is a line. Names are matched in any case, as the library does.
type jsonLine struct {
	Metric     json.RawMessage `json:"metric"`
	Values     json.RawMessage `json:"values"`
	Timestamps json.RawMessage `json:"timestamps"`
	Gap        *Gap            `json:"gap"`
	Warning    string          `json:"warning"`
}

// elements yields the elements of a JSON array of numbers and of strings without commas and
// escapes, which the forms of numbers and times are. The library needs four times as long.
func elements(array []byte) iter.Seq[[]byte] {
	array = bytes.TrimSpace(array)
	if n := len(array); n >= 2 && array[0] == '[' && array[n-1] == ']' {
		array = bytes.TrimSpace(array[1 : n-1])
	}
	return func(yield func([]byte) bool) {
		for more := len(array) > 0; more; {
			var e []byte
			e, array, more = bytes.Cut(array, []byte{','})
			e = bytes.TrimSpace(e)
			if n := len(e); n > 1 && e[0] == '"' && e[n-1] == '"' {
				e = e[1 : n-1]
			}
			if !yield(e) {
				return
			}
		}
	}
}

func (d *jsonDecoder) Next() (Run, error) {
	for {
		b, err := d.lines.next()
		if err != nil {
			return Run{}, err
		}
		if len(b) == 0 {
			continue
		}
		var l jsonLine
		if err := json.Unmarshal(b, &l); err != nil {
			return Run{}, lineError(d.lines.n, "%w", err)
		}
		r := Run{Gap: l.Gap, Warning: l.Warning}
		if r.Labels, err = d.labels(l.Metric); err != nil {
			return Run{}, lineError(d.lines.n, "%w", err)
		}
		if r.Gap != nil || r.Warning != "" {
			return r, nil
		}
		if err := d.samples(l); err != nil {
			return Run{}, lineError(d.lines.n, "%w", err)
		}
		if len(d.run) == 0 {
			continue
		}
		if r.Labels.IsEmpty() {
			return Run{}, lineError(d.lines.n, "it has no metric")
		}
		r.Samples = d.run
		return r, nil
	}
}

// samples reads the samples of a line into d.run. VictoriaMetrics writes null for NaN.
func (d *jsonDecoder) samples(l jsonLine) error {
	d.run = d.run[:0]
	for e := range elements(l.Values) {
		text := textOf(e)
		if text == "null" {
			text = "NaN"
		}
		v, err := parseValue(text)
		if err != nil {
			return err
		}
		d.run = append(d.run, bus.Sample{V: v})
	}
	n := 0
	for e := range elements(l.Timestamps) {
		t, err := parseTime(textOf(e))
		if err != nil {
			return err
		}
		if n < len(d.run) {
			d.run[n].T = t
		}
		n++
	}
	if n != len(d.run) {
		return fmt.Errorf("it has %d values and %d timestamps", len(d.run), n)
	}
	return nil
}

// labels reads a metric, which is often that of the line before.
func (d *jsonDecoder) labels(metric json.RawMessage) (labels.Labels, error) {
	if len(metric) == 0 {
		return labels.EmptyLabels(), nil
	}
	if string(metric) == string(d.text) {
		return d.of, nil
	}
	var m map[string]string
	if err := json.Unmarshal(metric, &m); err != nil {
		return labels.EmptyLabels(), errors.New("its metric is no object of strings")
	}
	for name, v := range m {
		if v == "" {
			delete(m, name) // as if it were not there
		}
	}
	d.text, d.of = append(d.text[:0], metric...), labels.FromMap(m)
	return d.of, nil
}
