package export

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"stripchart/internal/bus"
)

type openMetricsEncoder struct{}

func (openMetricsEncoder) Begin(b []byte) []byte { return b }

func (openMetricsEncoder) Run(b []byte, ls labels.Labels, samples []bus.Sample) ([]byte, bool) {
	head := appendSeries(nil, ls)
	for _, s := range samples {
		b = append(b, head...)
		switch {
		case value.IsStaleNaN(s.V):
			b = append(b, "nan"...)
		case s.V != s.V:
			b = append(b, "NaN"...)
		default:
			b = appendValue(b, s.V)
		}
		b = append(appendSeconds(append(b, ' '), s.T), '\n')
	}
	return b, true
}

func (openMetricsEncoder) Warning(b []byte, _ string) []byte { return b }

func (openMetricsEncoder) End(b []byte) []byte { return append(b, "# EOF\n"...) }

// appendSeries appends the name and the labels, with a space behind. Names that OpenMetrics 1
// has no place for are quoted, as Prometheus 3 writes and reads them.
func appendSeries(b []byte, ls labels.Labels) []byte {
	name := ls.Get(model.MetricNameLabel)
	plain := model.LegacyValidation.IsValidMetricName(name)
	if plain {
		b = append(b, name...)
	}
	b = append(b, '{')
	comma := false
	if !plain && name != "" {
		b, comma = appendQuoted(b, name), true
	}
	ls.Range(func(l labels.Label) {
		if l.Name == model.MetricNameLabel {
			return
		}
		if comma {
			b = append(b, ',')
		}
		comma = true
		if model.LegacyValidation.IsValidLabelName(l.Name) {
			b = append(b, l.Name...)
		} else {
			b = appendQuoted(b, l.Name)
		}
		b = appendQuoted(append(b, '='), l.Value)
	})
	return append(b, "} "...)
}

func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '\n':
			b = append(b, `\n`...)
		case '"', '\\':
			b = append(b, '\\', c)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// appendSeconds appends milliseconds as seconds with three decimals.
func appendSeconds(b []byte, ms int64) []byte {
	n := uint64(ms)
	if ms < 0 {
		b, n = append(b, '-'), -n
	}
	b = strconv.AppendUint(b, n/1000, 10)
	part := n % 1000
	return append(b, '.', byte('0'+part/100), byte('0'+part/10%10), byte('0'+part%10))
}

// parseSeconds reads seconds with up to three decimals; through a float64 the millisecond
// may get lost.
func parseSeconds(s string) (int64, error) {
	whole, part, _ := strings.Cut(s, ".")
	whole, negative := strings.CutPrefix(whole, "-")
	for len(part) > 3 && part[len(part)-1] == '0' {
		part = part[:len(part)-1]
	}
	if len(part) > 3 {
		return 0, fmt.Errorf("%q is not a time in whole milliseconds", short(s))
	}
	sign := ""
	if negative {
		sign = "-"
	}
	ms, err := strconv.ParseInt(sign+whole+part+"000"[len(part):], 10, 64)
	if err != nil || whole == "" || whole[0] == '+' || whole[0] == '-' {
		return 0, fmt.Errorf("%q is not a time: want Unix seconds", short(s))
	}
	return ms, nil
}

type openMetricsDecoder struct {
	lines lines
	run   []bus.Sample
	ended bool

	series  []byte // the series of the line before, as it stood there
	of      labels.Labels
	builder labels.ScratchBuilder
	ahead   *bus.Sample // read already, of the series next
	next    labels.Labels
}

var errNoEOF = errors.New(`the file does not end with "# EOF": it was cut off`)

func (d *openMetricsDecoder) Next() (Run, error) {
	d.run = d.run[:0]
	of := d.next
	if d.ahead != nil {
		d.run, d.ahead = append(d.run, *d.ahead), nil
	}
	for len(d.run) < MaxRun && !d.ended {
		s, same, found, err := d.sample()
		if err != nil {
			return Run{}, err
		}
		if !found {
			continue
		}
		if len(d.run) == 0 {
			of = d.of
		} else if !same {
			d.ahead, d.next = &s, d.of
			break
		}
		d.run = append(d.run, s)
	}
	if len(d.run) == 0 {
		return Run{}, io.EOF
	}
	return Run{Labels: of, Samples: d.run}, nil
}

// sample reads a line; found tells that it has a sample, and same that it is of the series
// of the sample before. d.of is its series.
func (d *openMetricsDecoder) sample() (s bus.Sample, same, found bool, err error) {
	line, err := d.lines.next()
	if err == io.EOF {
		return s, false, false, errNoEOF
	}
	if err != nil {
		return s, false, false, err
	}
	if len(line) == 0 || line[0] == '#' {
		d.ended = string(line) == "# EOF"
		return s, false, false, nil
	}
	n := len(d.series)
	if same = n > 0 && bytes.HasPrefix(line, d.series) && len(line) > n && line[n] == ' '; !same {
		if n, err = d.parseSeries(line); err != nil {
			return s, false, false, lineError(d.lines.n, "%w", err)
		}
		d.series = append(d.series[:0], line[:n]...)
	}
	rest, _, _ := strings.Cut(string(line[n:]), " # ") // an exemplar
	fields := strings.Fields(rest)
	if len(fields) != 2 {
		return s, false, false, lineError(d.lines.n, "behind the series it has %d fields; want a value and a time", len(fields))
	}
	if fields[0] == "nan" {
		s.V = math.Float64frombits(value.StaleNaN)
	} else if s.V, err = parseValue(fields[0]); err != nil {
		return s, false, false, lineError(d.lines.n, "%w", err)
	}
	if s.T, err = parseSeconds(fields[1]); err != nil {
		return s, false, false, lineError(d.lines.n, "%w", err)
	}
	return s, same, true, nil
}

var errSeries = errors.New(`it is no sample: want name{label="value"} value time`)

// parseSeries reads the series at the beginning of a line into d.of, and returns where it ends.
func (d *openMetricsDecoder) parseSeries(line []byte) (end int, err error) {
	d.builder.Reset()
	i := bytes.IndexAny(line, "{ ")
	if i < 0 {
		return 0, errSeries
	}
	named := i > 0
	if named {
		d.builder.Add(model.MetricNameLabel, string(line[:i]))
	}
	if line[i] == '{' {
		for i++; ; i++ { // at the beginning of a label, or at }
			if i < len(line) && line[i] == '}' {
				i++
				break
			}
			var name, v string
			if name, i, err = word(line, i); err != nil {
				return 0, err
			}
			switch {
			case i < len(line) && line[i] == '=':
				if v, i, err = quoted(line, i+1); err != nil {
					return 0, err
				}
			case !named:
				name, v, named = model.MetricNameLabel, name, true
			default:
				return 0, errSeries
			}
			if v != "" {
				d.builder.Add(name, v)
			}
			if i >= len(line) || line[i] != ',' && line[i] != '}' {
				return 0, errSeries
			}
			if line[i] == '}' {
				i++
				break
			}
		}
	}
	d.builder.Sort()
	d.of = d.builder.Labels()
	if name, twice := d.of.HasDuplicateLabelNames(); twice {
		return 0, fmt.Errorf("it has the label %q twice", name)
	}
	return i, nil
}

// word reads a name, quoted or not.
func word(line []byte, i int) (s string, end int, err error) {
	if i < len(line) && line[i] == '"' {
		return quoted(line, i)
	}
	n := bytes.IndexAny(line[i:], `=,}" `)
	if n <= 0 {
		return "", 0, errSeries
	}
	return string(line[i : i+n]), i + n, nil
}

// quoted reads a quoted text.
func quoted(line []byte, i int) (s string, end int, err error) {
	if i >= len(line) || line[i] != '"' {
		return "", 0, errSeries
	}
	var b []byte
	for i++; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			return string(b), i + 1, nil
		case c == '\\' && i+1 < len(line):
			i++
			switch line[i] {
			case 'n':
				b = append(b, '\n')
			case '"', '\\':
				b = append(b, line[i])
			default:
				b = append(b, '\\', line[i])
			}
		default:
			b = append(b, c)
		}
	}
	return "", 0, errors.New("a quoted text does not end")
}
