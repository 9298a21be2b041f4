package ingest

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
	"stripchart/internal/bus/rw"
)

// remoteWrite is Prometheus Remote-Write 2.0, with the sequence of our own sources in
// headers.
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

// open implements format.
func (f *remoteWrite) open(r *http.Request) (exchange, answer) {
	if r.Method != http.MethodPost {
		return nil, answer{status: http.StatusMethodNotAllowed, code: "method_not_allowed", message: "this address takes writes: POST a Remote-Write 2.0 request", allow: http.MethodPost}
	}
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch proto := params["proto"]; {
	case err != nil || media != "application/x-protobuf":
		return nil, answer{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type", message: "want Content-Type: " + httpbus.ContentType}
	case proto == "" || proto == "prometheus.WriteRequest":
		return nil, answer{status: http.StatusUnsupportedMediaType, code: "remote_write_1", message: "this is Remote-Write 1.0, which is not supported yet; in Prometheus set protobuf_message: io.prometheus.write.v2.Request"}
	case proto != "io.prometheus.write.v2.Request":
		return nil, answer{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type", message: "unknown protobuf message; want Content-Type: " + httpbus.ContentType}
	case !strings.EqualFold(r.Header.Get("Content-Encoding"), httpbus.ContentEncoding):
		return nil, answer{status: http.StatusUnsupportedMediaType, code: "unsupported_encoding", message: "want Content-Encoding: " + httpbus.ContentEncoding + " (block format)"}
	}
	s, err := httpbus.ReadSequence(r.Header)
	x := &remoteWriteExchange{f, s}
	if err != nil {
		return x, answer{status: http.StatusBadRequest, code: "bad_sequence", message: err.Error()}
	}
	return x, answer{}
}

// remoteWriteExchange is one request of Remote-Write 2.0.
type remoteWriteExchange struct {
	f     *remoteWrite
	place bus.Sequence
}

func (x *remoteWriteExchange) sequence() bus.Sequence { return x.place }
func (x *remoteWriteExchange) encoding() encoding     { return snappied }

// decode implements exchange.
func (x *remoteWriteExchange) decode(body []byte) (*bus.Batch, Report, error) {
	d := <-x.f.decoders
	defer func() { x.f.decoders <- d }()
	b, r, err := d.DecodeMessage(body)
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
	return b, report, err
}

// word implements exchange: the headers of Remote-Write 2.0 count what was written.
func (x *remoteWriteExchange) word(h http.Header, out *outcome) answer {
	h.Set(httpbus.HeaderSamplesWritten, fmt.Sprint(out.written))
	h.Set(httpbus.HeaderHistogramsWritten, "0")
	h.Set(httpbus.HeaderExemplarsWritten, "0")
	return out.answer
}

// tooLargeError is a bus.ErrTooLarge that speaks of the request.
type tooLargeError struct{ error }

func (e tooLargeError) Is(target error) bool { return target == bus.ErrTooLarge }
