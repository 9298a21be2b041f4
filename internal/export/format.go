package export

import (
	"fmt"
	"io"
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
)

// MaxRun is how many samples an Encoder is given at once.
const MaxRun = 1000

// Format is one of the formats.
type Format string

// Formats.
const (
	CSV         Format = "csv"
	JSONLines   Format = "jsonl"
	OpenMetrics Format = "openmetrics"
)

// Formats returns all formats.
func Formats() []Format { return []Format{CSV, JSONLines, OpenMetrics} }

// ParseFormat reads the name of a format.
func ParseFormat(s string) (Format, error) {
	for _, f := range Formats() {
		if s == string(f) {
			return f, nil
		}
	}
	return "", fmt.Errorf("the format %q is not known: want csv, jsonl or openmetrics", s)
}

// FormatOf returns the format of a file by its name, and whether the name tells it.
func FormatOf(name string) (Format, bool) {
	name = strings.ToLower(strings.TrimSuffix(strings.ToLower(name), ".gz"))
	for end, f := range map[string]Format{
		".csv": CSV, ".jsonl": JSONLines, ".ndjson": JSONLines, ".om": OpenMetrics, ".openmetrics": OpenMetrics, ".prom": OpenMetrics,
	} {
		if strings.HasSuffix(name, end) {
			return f, true
		}
	}
	return "", false
}

// ContentType is the media type of a file in the format.
func (f Format) ContentType() string {
	switch f {
	case CSV:
		return "text/csv; charset=utf-8; header=present"
	case JSONLines:
		return "application/jsonl; charset=utf-8"
	}
	return "application/openmetrics-text; version=1.0.0; charset=utf-8"
}

// Times is how an Encoder writes times.
type Times string

// Forms of times. OpenMetrics always has seconds.
const (
	RFC3339 Times = "rfc3339" // 2026-01-01T00:00:00.000Z
	Unix    Times = "unix_ms" // 1767225600000
)

// Options of NewEncoder.
type Options struct {
	Format Format
	// Times is the form of times; empty: RFC3339 in CSV, Unix in JSON lines.
	Times Times
	// Labels are the names of all labels, for the columns of CSV: the metric name's among
	// them, sorted, none twice.
	Labels []string
}

// Encoder appends a file to a buffer, part by part.
type Encoder interface {
	// Begin appends what stands before all samples.
	Begin(b []byte) []byte
	// Run appends samples of one series; at least one, at most MaxRun. It returns false,
	// and appends nothing, when the series has a label that is not in Options.Labels.
	Run(b []byte, ls labels.Labels, samples []bus.Sample) ([]byte, bool)
	// Warning appends that something is missing, if the format can say so.
	Warning(b []byte, text string) []byte
	// End appends what stands behind all samples.
	End(b []byte) []byte
}

// NewEncoder returns an Encoder.
func NewEncoder(o Options) Encoder {
	switch o.Format {
	case CSV:
		return newCSVEncoder(o)
	case JSONLines:
		return &jsonEncoder{rfc3339: o.Times == RFC3339}
	}
	return openMetricsEncoder{}
}

// Run is samples of one series. It is valid until the next call of Decoder.Next.
type Run struct {
	Labels  labels.Labels
	Samples []bus.Sample // at least one, unless Gap or Warning is set
	Gap     *Gap         // that samples of the series, or of all, may be missing
	Warning string       // the same, in words
}

// Gap is a span of time, in Unix milliseconds, both excluded, in which samples may be missing.
type Gap struct {
	From   int64  `json:"from"`
	To     int64  `json:"to"`
	Reason string `json:"reason"`
}

// Decoder reads a file.
type Decoder interface {
	// Next returns the next run. It returns io.EOF behind the last one, and any other error
	// only where the file cannot be read or is not complete.
	Next() (Run, error)
}

// NewDecoder returns a Decoder of what r reads.
func NewDecoder(f Format, r io.Reader) Decoder {
	switch f {
	case CSV:
		return newCSVDecoder(r)
	case JSONLines:
		return &jsonDecoder{lines: newLines(r)}
	}
	return &openMetricsDecoder{lines: newLines(r)}
}

// lineError is err at a line of a file.
func lineError(line int, format string, args ...any) error {
	return fmt.Errorf("line %d: "+format, append([]any{line}, args...)...)
}
