package ingest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/influxdata/line-protocol/v2/lineprotocol"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
)

// Paths of the line protocol.
const (
	influx1Path = "/write"        // of InfluxDB 1.x
	influx2Path = "/api/v2/write" // of InfluxDB 2.x
)

// refusedString counts fields that are strings.
const refusedString = "string"

// lineProtocol is InfluxDB's line protocol: measurement,tag=value field=1.5 1764270000000000000.
// A field is the series measurement_field with the tags as labels; a field called value is the
// series measurement.
type lineProtocol struct {
	version int // of InfluxDB, whose words the answers have: 1 or 2
	accept  func(now time.Time) acceptance
	stamps  *stamps
}

// precisions are how many nanoseconds a unit of time has: 1.x has n, u, ms, s, m and h; 2.x
// ns, us, ms and s.
var precisions = map[string]int64{
	"": 1, "n": 1, "ns": 1, "u": 1e3, "us": 1e3, "µ": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9,
}

func (*lineProtocol) name() string { return "line_protocol" }

// open implements format. Databases, buckets, organizations, users and the like are passed over:
// there is one database, and no users.
func (f *lineProtocol) open(r *http.Request) (exchange, answer) {
	x := &lineProtocolExchange{f: f}
	if r.Method != http.MethodPost {
		return x, answer{status: http.StatusMethodNotAllowed, code: "method_not_allowed", message: "this address takes writes: POST InfluxDB's line protocol", allow: http.MethodPost}
	}
	var known bool
	name := r.URL.Query().Get("precision")
	if x.precision, known = precisions[name]; !known {
		return x, answer{status: http.StatusBadRequest, code: "bad_request", message: fmt.Sprintf("invalid precision %.20q: want ns, us, ms, s, m or h", name)}
	}
	var err error
	if x.compression, err = textEncoding(r); err != nil {
		return x, answer{status: http.StatusUnsupportedMediaType, code: "unsupported_encoding", message: err.Error()}
	}
	return x, answer{}
}

// lineProtocolExchange is one request of the line protocol.
type lineProtocolExchange struct {
	plain
	f         *lineProtocol
	precision int64 // ns
}

// decode implements exchange. Of an entry that cannot be read only the first line is refused: a
// quote in it may have been closed by one of a later line, so the later lines are read again. The
// entryCutter bounds what is read again; beyond that no entry has several lines.
func (x *lineProtocolExchange) decode(body []byte, fixed labels.Labels) (*bus.Batch, Report, error) {
	d := entryDecoder{gathering: newGathering(x.f.accept(time.Now()), fixed), precision: x.precision}
	cutter := newEntryCutter(body)
	for number := 1; len(body) > 0 && !d.gathering.enough(number, body); {
		entry := cutter.cut(body)
		if err := d.read(entry.text); err != nil {
			if entry.lines > 1 {
				entry = lineEntry(body)
			}
			d.gathering.cannotRead(number, func() string { return unparsed(entry.text, err) })
		} else {
			d.take(number)
		}
		body = body[entry.size:]
		number += entry.lines
	}
	b, report := d.gathering.finish(x.f.stamps)
	return b, report, nil
}

// unparsed says what is wrong with a line, in words that agents look for.
func unparsed(line []byte, err error) string {
	const most = 60
	line = bytes.TrimSpace(line)
	if len(line) > most {
		line = append(line[:most:most], "..."...)
	}
	var at *lineprotocol.DecodeError
	if errors.As(err, &at) {
		err = at.Err
	}
	return fmt.Sprintf("unable to parse '%s': %v", strings.ToValidUTF8(string(line), "?"), err)
}

// entryDecoder reads one entry after the other. It reuses its memory.
type entryDecoder struct {
	gathering *gathering
	precision int64

	// Of the entry that was read last.
	memory  []byte // holds the bytes of what follows
	name    span
	tags    [][2]span
	fields  []entryField
	strings []span // keys of fields that are strings
	beyond  int    // fields that follow maxFields others
	time    int64  // Unix ms
	timed   bool
	key     []byte
}

// span is a piece of entryDecoder.memory, which moves when it grows.
type span struct{ from, to int }

type entryField struct {
	key   span
	value float64
}

func (d *entryDecoder) keep(b []byte) span {
	from := len(d.memory)
	d.memory = append(d.memory, b...)
	return span{from, len(d.memory)}
}

func (d *entryDecoder) bytes(s span) []byte { return d.memory[s.from:s.to] }

// read reads an entry, of one or more lines. A comment or a blank line has no fields.
func (d *entryDecoder) read(text []byte) error {
	d.memory, d.tags, d.fields, d.strings, d.beyond = d.memory[:0], d.tags[:0], d.fields[:0], d.strings[:0], 0
	in := lineprotocol.NewDecoderWithBytes(text)
	if !in.Next() {
		return nil
	}
	name, err := in.Measurement()
	if err != nil {
		return err
	}
	d.name = d.keep(name)
	for {
		key, value, err := in.NextTag()
		if err != nil {
			return err
		}
		if key == nil {
			break
		}
		d.tags = append(d.tags, [2]span{d.keep(key), d.keep(value)})
	}
	if err := d.readFields(in); err != nil {
		return err
	}
	if err := d.readTime(in); err != nil {
		return err
	}
	if in.Next() {
		return errors.New("a second entry follows on the same line")
	}
	return nil
}

func (d *entryDecoder) readFields(in *lineprotocol.Decoder) error {
	for {
		key, value, err := in.NextField()
		if err != nil {
			return err
		}
		if key == nil {
			return nil
		}
		if len(d.fields)+len(d.strings) == maxFields {
			d.beyond++
			continue
		}
		kept := d.keep(key)
		var v float64
		switch value.Kind() {
		case lineprotocol.Float:
			v = value.FloatV()
		case lineprotocol.Int:
			v = float64(value.IntV())
		case lineprotocol.Uint:
			v = float64(value.UintV())
		case lineprotocol.Bool:
			if value.BoolV() {
				v = 1
			}
		default:
			d.strings = append(d.strings, kept)
			continue
		}
		d.fields = append(d.fields, entryField{kept, v})
	}
}

func (d *entryDecoder) readTime(in *lineprotocol.Decoder) error {
	text, err := in.TimeBytes()
	if d.timed = text != nil; err != nil || !d.timed {
		return err
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return fmt.Errorf("time outside of what can be kept: %s", text)
	}
	d.time = toMillis(n, d.precision)
	return nil
}

// toMillis returns n units of so many nanoseconds in milliseconds, rounded down, and the
// nearest there is where that is too large.
func toMillis(n, unit int64) int64 {
	if unit < 1e6 {
		per := 1e6 / unit
		q := n / per
		if n%per < 0 {
			q--
		}
		return q
	}
	per := unit / 1e6
	return min(max(n, math.MinInt64/per), math.MaxInt64/per) * per
}

// take brings the entry that was read last into the gathering.
func (d *entryDecoder) take(line int) {
	for _, s := range d.strings {
		d.gathering.report.lineError(line, refusedString, func() string {
			return fmt.Sprintf("field %.60q is a string, and only numbers and booleans are kept", d.bytes(s))
		})
	}
	if d.beyond > 0 {
		d.gathering.report.linesError(line, d.beyond, refusedTooMany, func() string {
			return fmt.Sprintf("a line may have %d fields", maxFields)
		})
	}
	d.key = d.key[:0]
	if len(d.fields) > 0 {
		// 0xff is in no UTF-8, so the pieces of a key cannot be mistaken for others.
		d.key = append(append(d.key, d.bytes(d.name)...), 0xff)
		for _, t := range d.tags {
			d.key = append(append(d.key, d.bytes(t[0])...), 0xff)
			d.key = append(append(d.key, d.bytes(t[1])...), 0xff)
		}
	}
	shared := len(d.key)
	for _, f := range d.fields {
		d.key = append(d.key[:shared], d.bytes(f.key)...)
		s := d.gathering.find(line, d.key, func(b *bus.LabelBuilder) {
			name := string(d.bytes(d.name))
			if key := string(d.bytes(f.key)); key != "value" {
				name += "_" + key
			}
			b.Add([]byte(model.MetricNameLabel), []byte(name))
			for _, t := range d.tags {
				b.Add(d.bytes(t[0]), d.bytes(t[1]))
			}
		})
		switch {
		case s == nil:
		case d.timed:
			d.gathering.add(s, line, d.time, f.value)
		default:
			d.gathering.addNow(s, line, f.value)
		}
	}
}

// word implements exchange.
func (x *lineProtocolExchange) word(h http.Header, out *outcome) answer {
	a := out.answer
	if a.status == http.StatusTooManyRequests {
		a.status = http.StatusServiceUnavailable // agents drop what is answered with any 4xx
	}
	if a.code == "" {
		return a
	}
	if a.code == httpbus.CodeNotAllWritten && out.written > 0 && out.report.only(refusedString) {
		// InfluxDB takes strings, and agents send them with every batch: they would log an error for ever.
		return answer{status: http.StatusNoContent}
	}
	message := a.error().Message
	if a.code == httpbus.CodeNotAllWritten {
		dropped := 0
		for _, r := range out.report.Refused {
			dropped += r.Samples
		}
		// Agents look for these words: what was sent is not to be sent again.
		message = fmt.Sprintf("partial write: %s dropped=%d", message, dropped)
	}
	if x.f.version == 1 {
		h.Set("X-Influxdb-Error", headerText(message))
		a.body = map[string]string{"error": message}
		return a
	}
	said := influx2Error{Code: influx2Code(a.status), Message: message}
	if len(out.report.Lines) > 0 {
		said.Line = out.report.Lines[0].Line
	}
	a.body = said
	return a
}

// influx2Error is an error of InfluxDB 2.x.
type influx2Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Line    int    `json:"line,omitempty"` // the first that was refused
}

// influx2Code returns InfluxDB's word for a status.
func influx2Code(status int) string {
	return cmp.Or(map[int]string{
		http.StatusBadRequest:            "invalid",
		http.StatusUnauthorized:          "unauthorized",
		http.StatusForbidden:             "forbidden",
		http.StatusMethodNotAllowed:      "method not allowed",
		http.StatusRequestEntityTooLarge: "request too large",
		http.StatusUnsupportedMediaType:  "invalid",
		http.StatusServiceUnavailable:    "unavailable",
	}[status], "internal error")
}

// headerText makes text fit for a header.
func headerText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}
