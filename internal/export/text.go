package export

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/value"
)

// maxLine bounds the bytes of a line, or of a record of CSV.
const maxLine = 64 << 20

// appendValue appends a value. A NaN is written with its bits unless it is the ordinary one.
func appendValue(b []byte, v float64) []byte {
	switch bits := math.Float64bits(v); {
	case bits == value.NormalNaN:
		return append(b, "NaN"...)
	case v != v:
		return append(strconv.AppendUint(append(b, "NaN(0x"...), bits, 16), ')')
	case math.IsInf(v, 1):
		return append(b, "+Inf"...)
	}
	format := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, v, format, -1, 64)
}

// parseValue reads what appendValue writes, and every decimal number.
func parseValue(s string) (float64, error) {
	if bits, ok := strings.CutPrefix(s, "NaN(0x"); ok {
		n, err := strconv.ParseUint(strings.TrimSuffix(bits, ")"), 16, 64)
		if v := math.Float64frombits(n); err == nil && v != v && strings.HasSuffix(bits, ")") {
			return v, nil
		}
		return 0, notNumber(s)
	}
	v, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || strings.IndexByte(s, '_') >= 0 || strings.IndexByte(s, 'x') >= 0 || strings.IndexByte(s, 'X') >= 0: // forms of Go's alone
		return 0, notNumber(s)
	case v != v:
		return math.Float64frombits(value.NormalNaN), nil
	}
	return v, nil
}

func notNumber(s string) error { return fmt.Errorf("%q is not a number", short(s)) }

// short cuts what is shown of a text.
func short(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return strings.Clone(s) // it may be of a buffer
}

// Times that RFC 3339 has: the years 0 to 9999.
var firstTime, lastTime = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli(), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() - 1

// appendRFC3339 appends a time; one that RFC 3339 does not have becomes Unix milliseconds.
func appendRFC3339(b []byte, ms int64) []byte {
	if ms < firstTime || ms > lastTime {
		return strconv.AppendInt(b, ms, 10)
	}
	return time.UnixMilli(ms).UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
}

// parseTime reads Unix milliseconds, or RFC 3339 in whole milliseconds.
func parseTime(s string) (int64, error) {
	if ms, err := strconv.ParseInt(s, 10, 64); err == nil {
		return ms, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a time: want Unix milliseconds or RFC 3339, such as 2026-01-01T00:00:00.000Z", short(s))
	}
	if t.Nanosecond()%int(time.Millisecond) != 0 {
		return 0, fmt.Errorf("%q is not a time in whole milliseconds", short(s))
	}
	return t.UnixMilli(), nil
}

// lines reads a file line by line.
type lines struct {
	r    *bufio.Reader
	long []byte // a line that is longer than r's buffer
	n    int    // of the line that was read last
}

func newLines(r io.Reader) lines { return lines{r: bufio.NewReaderSize(r, 256<<10)} }

// next returns a line without its end, until the next call; io.EOF behind the last one.
func (l *lines) next() ([]byte, error) {
	line, err := l.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		for l.long = l.long[:0]; errors.Is(err, bufio.ErrBufferFull); line, err = l.r.ReadSlice('\n') {
			if l.long = append(l.long, line...); len(l.long) > maxLine {
				return nil, lineError(l.n+1, "it has more than %d bytes", maxLine)
			}
		}
		l.long = append(l.long, line...)
		line = l.long
	}
	if err != nil && (err != io.EOF || len(line) == 0) {
		return nil, err
	}
	l.n++
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte{'\n'}), []byte{'\r'}), nil
}
