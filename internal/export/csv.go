package export

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
)

// csvEncoder writes a line a sample.
type csvEncoder struct {
	names []string
	unix  bool
	tail  []byte // the fields of the labels of the series before, with the end of the line
	of    labels.Labels
}

func newCSVEncoder(o Options) *csvEncoder { return &csvEncoder{names: o.Labels, unix: o.Times == Unix} }

func (e *csvEncoder) Begin(b []byte) []byte {
	b = append(b, "time,value"...)
	for _, name := range e.names {
		b = appendField(append(b, ','), name)
	}
	return append(b, "\r\n"...)
}

func (e *csvEncoder) Run(b []byte, ls labels.Labels, samples []bus.Sample) ([]byte, bool) {
	if e.tail == nil || !labels.Equal(e.of, ls) {
		e.of, e.tail = ls, e.tail[:0]
		found := 0
		for _, name := range e.names {
			v := ls.Get(name)
			if v != "" {
				found++
			}
			e.tail = appendField(append(e.tail, ','), v)
		}
		if found != ls.Len() {
			e.tail = nil
			return b, false
		}
		e.tail = append(e.tail, "\r\n"...)
	}
	for _, s := range samples {
		if e.unix {
			b = strconv.AppendInt(b, s.T, 10)
		} else {
			b = appendRFC3339(b, s.T)
		}
		b = append(appendValue(append(b, ','), s.V), e.tail...)
	}
	return b, true
}

func (e *csvEncoder) Warning(b []byte, _ string) []byte { return b }

func (e *csvEncoder) End(b []byte) []byte { return b }

// appendField appends the name or the value of a label.
func appendField(b []byte, s string) []byte {
	guarded := isFormula(s)
	if !strings.ContainsAny(s, ",\"\r\n") {
		if guarded {
			b = append(b, '\'')
		}
		return append(b, s...)
	}
	b = append(b, '"')
	if guarded {
		b = append(b, '\'')
	}
	for i := range len(s) {
		if s[i] == '"' {
			b = append(b, '"')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// unguarded takes away what appendField has put before a formula.
func unguarded(s string) string {
	if rest, is := strings.CutPrefix(s, "'"); is && isFormula(rest) {
		return rest
	}
	return s
}

// isFormula reports whether a spreadsheet may take s for a formula, behind apostrophes too:
// so that the apostrophe of appendField can be told from those of s.
func isFormula(s string) bool {
	s = strings.TrimLeft(s, "'")
	return s != "" && strings.IndexByte("=+-@\t\r\n", s[0]) >= 0
}

// csvDecoder reads records. The library's reader cannot be used: it makes \n of \r\n, in
// quoted fields too, and a label may have either.
type csvDecoder struct {
	r     *bufio.Reader
	line  int // of the record that was read last
	lines int // that were read
	names []string

	record []byte   // what the fields are made of
	fields []string // of record; valid until the next one

	tail    []byte        // the labels' fields of the series before, as they stood in the file
	of      labels.Labels // the series
	builder labels.ScratchBuilder
	run     []bus.Sample
	ahead   *bus.Sample // read already, of the series next
	next    labels.Labels
}

func newCSVDecoder(r io.Reader) *csvDecoder {
	return &csvDecoder{r: bufio.NewReaderSize(r, 256<<10)}
}

func (d *csvDecoder) Next() (Run, error) {
	if d.names == nil {
		if err := d.header(); err != nil {
			return Run{}, err
		}
	}
	d.run = d.run[:0]
	of := d.next
	if d.ahead != nil {
		d.run, d.ahead = append(d.run, *d.ahead), nil
	}
	for len(d.run) < MaxRun {
		s, same, err := d.sample()
		if err != nil && (err != io.EOF || len(d.run) == 0) {
			return Run{}, err
		}
		if err != nil {
			break // the next call finds the end again
		}
		if len(d.run) == 0 {
			of = d.of
		} else if !same {
			d.ahead, d.next = &s, d.of
			break
		}
		d.run = append(d.run, s)
	}
	return Run{Labels: of, Samples: d.run}, nil
}

// header reads the first record.
func (d *csvDecoder) header() error {
	err := d.read()
	if err == io.EOF {
		return errors.New("the file is empty; a header such as time,value,__name__ is its first line")
	}
	if err != nil {
		return err
	}
	if len(d.fields) < 3 || strings.TrimPrefix(d.fields[0], "\ufeff") != "time" || d.fields[1] != "value" {
		return lineError(1, "the header must begin with time,value and the name of a label")
	}
	names := make([]string, 0, len(d.fields)-2)
	for _, f := range d.fields[2:] {
		name := unguarded(strings.Clone(f))
		if name == "" || slices.Contains(names, name) {
			return lineError(1, "the header has the label %q twice, or without a name", name)
		}
		names = append(names, name)
	}
	d.names = names
	return nil
}

// sample reads a record. same tells that it is of the series of the record before; d.of is its series.
func (d *csvDecoder) sample() (s bus.Sample, same bool, err error) {
	if s, same, err = d.quick(); same || err != nil {
		return s, same, err
	}
	if err := d.read(); err != nil {
		return s, false, err
	}
	if len(d.fields) == 1 && d.fields[0] == "" { // an empty line
		return d.sample()
	}
	if len(d.fields) != len(d.names)+2 {
		return s, false, lineError(d.line, "it has %d fields; the header has %d", len(d.fields), len(d.names)+2)
	}
	if s, err = d.parse(d.fields[0], d.fields[1]); err != nil {
		return s, false, err
	}
	d.builder.Reset()
	for i, f := range d.fields[2:] {
		if f != "" {
			d.builder.Add(d.names[i], strings.Clone(unguarded(f)))
		}
	}
	d.builder.Sort()
	before := d.of
	d.of = d.builder.Labels()
	return s, labels.Equal(before, d.of), nil
}

// quick reads a record whose labels are, byte by byte, those of the record before, and
// reports whether it did.
func (d *csvDecoder) quick() (s bus.Sample, ok bool, err error) {
	const most = 80 // bytes of time, value and the two commas
	n := len(d.tail)
	if n == 0 || n+most > d.r.Size() {
		return s, false, nil
	}
	b, err := d.r.Peek(most + n)
	if err != nil && err != io.EOF && len(b) == 0 {
		return s, false, err
	}
	first := bytes.IndexByte(b, ',')
	if first < 0 || bytes.IndexByte(b[:first], '"') >= 0 || bytes.IndexByte(b[:first], '\n') >= 0 {
		return s, false, nil
	}
	second := bytes.IndexByte(b[first+1:], ',')
	if second < 0 {
		return s, false, nil
	}
	second += first + 1
	value := b[first+1 : second]
	if !bytes.HasPrefix(b[second+1:], d.tail) || bytes.IndexByte(value, '"') >= 0 || bytes.IndexByte(value, '\n') >= 0 {
		return s, false, nil
	}
	d.line = d.lines + 1
	d.lines += bytes.Count(d.tail, []byte{'\n'})
	if s, err = d.parse(textOf(b[:first]), textOf(value)); err != nil {
		return s, false, err
	}
	_, err = d.r.Discard(second + 1 + n)
	return s, err == nil, err
}

// textOf is b as a string, for as long as b is not changed.
func textOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func (d *csvDecoder) parse(at, value string) (s bus.Sample, err error) {
	if s.T, err = parseTime(at); err == nil {
		s.V, err = parseValue(value)
	}
	if err != nil {
		return s, lineError(d.line, "%w", err)
	}
	return s, nil
}

// read reads a record into fields, and what stands in the file behind its second comma into
// tail. io.EOF means that there is none.
func (d *csvDecoder) read() error {
	d.line = d.lines + 1
	d.record, d.fields, d.tail = d.record[:0], d.fields[:0], d.tail[:0]
	var ends []int // of fields in record
	quoted, closed := false, false
	for total := 0; ; total++ {
		c, err := d.r.ReadByte()
		switch {
		case err == io.EOF && total == 0:
			return io.EOF
		case err == io.EOF && quoted && !closed:
			return lineError(d.line, "the file ends inside of a quoted field")
		case err == io.EOF:
			return lineError(d.line, "the file ends inside of the line: it was cut off, or its last line has no end")
		case err != nil:
			return err
		case total > maxLine:
			return lineError(d.line, "it has more than %d bytes", maxLine)
		}
		if len(ends) >= 2 {
			d.tail = append(d.tail, c)
		}
		begins := len(d.record) == 0 && len(ends) == 0 || len(ends) > 0 && len(d.record) == ends[len(ends)-1]
		switch {
		case quoted && !closed:
			if c == '\n' {
				d.lines++
			}
			if c == '"' {
				closed = true
			} else {
				d.record = append(d.record, c)
			}
			continue
		case quoted && c == '"': // two of them are one
			d.record, closed = append(d.record, c), false
			continue
		case c == '"' && begins && !quoted:
			quoted = true
			continue
		case c == '\r':
			if next, err := d.r.Peek(1); err == nil && next[0] == '\n' {
				continue
			}
		}
		switch {
		case c == ',' || c == '\n':
			ends, quoted, closed = append(ends, len(d.record)), false, false
			if c == ',' {
				continue
			}
			d.lines++
			from := 0
			for _, end := range ends {
				d.fields = append(d.fields, textOf(d.record[from:end]))
				from = end
			}
			return nil
		case quoted || c == '"':
			return lineError(d.line, "a quoted field ends in the middle, or begins there")
		}
		d.record = append(d.record, c)
	}
}
