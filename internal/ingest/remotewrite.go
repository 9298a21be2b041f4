package ingest

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
	"stripchart/internal/bus/rw"
)

// remoteWrite is Prometheus Remote-Write: 2.0, with the sequence of our own sources in
// headers, and 1.0.
type remoteWrite struct {
	// decoders are each for one request at a time. They remember labels, up to 32 MiB each,
	// and more of them than processors would only take turns.
	decoders chan *rw.Decoder
}

func newRemoteWrite(decoders int, l rw.Limits) *remoteWrite {
	f := &remoteWrite{decoders: make(chan *rw.Decoder, decoders)}
	for range decoders {
		f.decoders <- rw.NewDecoder(l)
	}
	return f
}

func (*remoteWrite) name() string { return "remote_write" }

// open implements format.
func (f *remoteWrite) open(r *http.Request) (exchange, answer) {
	if r.Method != http.MethodPost {
		return nil, answer{status: http.StatusMethodNotAllowed, code: "method_not_allowed", message: "this address takes writes: POST a Remote-Write request", allow: http.MethodPost}
	}
	unsupported := func(code, message string) (exchange, answer) {
		return nil, answer{status: http.StatusUnsupportedMediaType, code: code, message: message}
	}
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-protobuf" {
		return unsupported("unsupported_media_type", "want Content-Type: "+httpbus.ContentType)
	}
	encoding, known := remoteWriteEncoding(r)
	switch proto := params["proto"]; {
	case proto != "" && proto != "prometheus.WriteRequest" && proto != "io.prometheus.write.v2.Request":
		return unsupported("unsupported_media_type", "unknown protobuf message; want Content-Type: "+httpbus.ContentType)
	case !known:
		return unsupported("unsupported_encoding", "want Content-Encoding: snappy (block format), or zstd")
	case proto != "io.prometheus.write.v2.Request":
		return &remoteWrite1Exchange{plain{encoding}, f}, answer{}
	}
	s, err := httpbus.ReadSequence(r.Header)
	x := &remoteWriteExchange{plain{encoding}, f, s}
	if err != nil {
		return x, answer{status: http.StatusBadRequest, code: "bad_sequence", message: err.Error()}
	}
	return x, answer{}
}

// remoteWriteEncoding returns how a body is compressed: with snappy, as both versions
// prescribe, or with zstd, as vmagent likes it.
func remoteWriteEncoding(r *http.Request) (e encoding, known bool) {
	switch strings.ToLower(r.Header.Get("Content-Encoding")) {
	case httpbus.ContentEncoding:
		return snappied, true
	case "zstd":
		return zstandard, true
	}
	return "", false
}

// remoteWriteExchange is one request of Remote-Write 2.0.
type remoteWriteExchange struct {
	plain
	f     *remoteWrite
	place bus.Sequence
}

func (x *remoteWriteExchange) sequence() bus.Sequence { return x.place }

// decode implements exchange.
func (x *remoteWriteExchange) decode(body []byte, fixed labels.Labels) (*bus.Batch, Report, error) {
	return x.f.decode(body, fixed, (*rw.Decoder).DecodeMessage)
}

// word implements exchange: the headers of Remote-Write 2.0 count what was written.
func (x *remoteWriteExchange) word(h http.Header, out *outcome) answer {
	h.Set(httpbus.HeaderSamplesWritten, fmt.Sprint(out.written))
	h.Set(httpbus.HeaderHistogramsWritten, "0")
	h.Set(httpbus.HeaderExemplarsWritten, "0")
	return out.answer
}

// remoteWrite1Exchange is one request of Remote-Write 1.0.
type remoteWrite1Exchange struct {
	plain
	f *remoteWrite
}

// decode implements exchange.
func (x *remoteWrite1Exchange) decode(body []byte, fixed labels.Labels) (*bus.Batch, Report, error) {
	return x.f.decode(body, fixed, (*rw.Decoder).DecodeMessage1)
}

// word implements exchange. Senders of Remote-Write 1.0 give a request up for any 4xx, for 429
// too unless they are told otherwise; what may be sent again is 503. The headers of 2.0 would
// say that this was 2.0.
func (x *remoteWrite1Exchange) word(_ http.Header, out *outcome) answer {
	if out.status == http.StatusTooManyRequests {
		out.status = http.StatusServiceUnavailable
	}
	return out.answer
}

// decode reads a body with one of the decoders.
func (f *remoteWrite) decode(body []byte, fixed labels.Labels, read func(*rw.Decoder, []byte) (*bus.Batch, rw.Report, error)) (*bus.Batch, Report, error) {
	d := <-f.decoders
	defer func() { f.decoders <- d }()
	b, r, err := read(d, body)
	switch {
	case errors.Is(err, rw.ErrTooLarge):
		err = tooLargeError{err}
	case err != nil:
		err = fmt.Errorf("the body is %w", err)
	}
	report := Report{Histograms: r.Histograms, Exemplars: r.Exemplars}
	if r.Refused > 0 {
		report.Refused = append(report.Refused, Refusal{Reason: "invalid_labels", Samples: r.Refused, First: r.Errors[0].Error()})
	}
	if r.Conflicts > 0 {
		report.Refused = append(report.Refused, Refusal{Reason: "duplicate", Samples: r.Conflicts, First: "a series has two values at one time; the first is kept"})
	}
	if err == nil && !fixed.IsEmpty() {
		fix(b, fixed, &report)
	}
	return b, report, err
}

// tooLargeError is a bus.ErrTooLarge that speaks of the request.
type tooLargeError struct{ error }

func (e tooLargeError) Is(target error) bool { return target == bus.ErrTooLarge }
