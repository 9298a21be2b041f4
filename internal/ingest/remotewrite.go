package ingest

import (
	"errors"

	"stripchart/internal/bus"
	"stripchart/internal/bus/rw"
)

// RemoteWrite returns a Decode that keeps n decoders, each for one request at a
// time: they remember labels, up to 32 MiB each, and more of them than processors would only
// take turns.
func RemoteWrite(n int, l rw.Limits) func([]byte) (*bus.Batch, Report, error) {
	decoders := make(chan *rw.Decoder, n)
	for range n {
		decoders <- rw.NewDecoder(l)
	}
	return func(body []byte) (*bus.Batch, Report, error) {
		d := <-decoders
		defer func() { decoders <- d }()
		b, r, err := d.Decode(body)
		if errors.Is(err, rw.ErrTooLarge) {
			err = tooLargeError{err}
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
}

// tooLargeError is a bus.ErrTooLarge that speaks of the request.
type tooLargeError struct{ error }

func (e tooLargeError) Is(target error) bool { return target == bus.ErrTooLarge }
