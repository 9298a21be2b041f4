package ingest

import (
	"errors"
	"net/http"
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
)

// format is what writers speak at a path: Remote-Write 2.0, for example. A format reads the
// head of a request, makes a batch of the body, and words the answer. Everything else is the
// Endpoint's, and the same for all formats.
type format interface {
	// name is a fixed word for metrics.
	name() string
	// open reads the head of a request. The zero answer lets the request in; any other answer refuses
	// it. The exchange words the refusal; without an exchange the refusal is sent as it is.
	open(r *http.Request) (exchange, answer)
}

// exchange is one request of a format, and its answer.
type exchange interface {
	// sequence returns the place of the batch among those of its source; the zero value is
	// that of a writer without a sequence.
	sequence() bus.Sequence
	// encoding returns how the body is compressed.
	encoding() encoding
	// decode makes a batch of a decompressed body; nothing refers to body afterwards. The batch
	// is as bus.Batch demands, but for source and sequence, which it lacks. The report says what
	// the body held and the batch does not. An error means that nothing could be read, in words for the writer;
	// bus.ErrTooLarge says that a bound was exceeded. Every series gets the labels of fixed, in place
	// of its own of the same names.
	decode(body []byte, fixed labels.Labels) (*bus.Batch, Report, error)
	// word returns out's answer in the words of the format, and sets the headers that only
	// the format has.
	word(h http.Header, out *outcome) answer
}

// outcome is what became of a request.
type outcome struct {
	answer         // as the Endpoint words it, for exchange.word
	written int    // samples that are in the log
	report  Report // what the request held, and is not in the log
}

// plain is the part of an exchange that formats share which know no sequence.
type plain struct{ compression encoding }

func (plain) sequence() bus.Sequence { return bus.Sequence{} }
func (p plain) encoding() encoding   { return p.compression }

// textEncoding returns how the body of a text format is compressed.
func textEncoding(r *http.Request) (encoding, error) {
	switch name := strings.ToLower(r.Header.Get("Content-Encoding")); name {
	case "", "identity":
		return identity, nil
	case "gzip":
		return gzipped, nil
	}
	return identity, errors.New("Content-Encoding may be gzip, or nothing for a body that is not compressed")
}
