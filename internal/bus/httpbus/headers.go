package httpbus

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"stripchart/internal/bus"
)

// The parts of a request and its response, beyond the body, that both ends must agree on.
const (
	// WritePath is the path of the write endpoint below the server's address.
	WritePath = "/api/v1/write"
	// ContentType is that of Remote-Write 2.0.
	ContentType = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
	// ContentEncoding is snappy's block format.
	ContentEncoding = "snappy"

	// The fields of bus.Sequence, for which Remote-Write has no place. For example
	//
	//	Stripchart-Source: collect-web1-4QXK2M7TZ5AB
	//	Stripchart-Seq: 1042
	//	Stripchart-Merged: 0
	//
	// A request has all three, or none, and then its batch has no sequence. If the source
	// has dropped batches right before this one, the request has two more:
	//
	//	Stripchart-Dropped: 300
	//	Stripchart-Dropped-After: 1764000000000
	HeaderSource       = "Stripchart-Source"
	HeaderSeq          = "Stripchart-Seq"
	HeaderMerged       = "Stripchart-Merged"
	HeaderDropped      = "Stripchart-Dropped"
	HeaderDroppedAfter = "Stripchart-Dropped-After"

	// HeaderSamplesWritten and its siblings count what a receiver wrote. Remote-Write
	// 2.0 requires them; a server that does not send them is no receiver.
	HeaderSamplesWritten    = "X-Prometheus-Remote-Write-Samples-Written"
	HeaderHistogramsWritten = "X-Prometheus-Remote-Write-Histograms-Written"
	HeaderExemplarsWritten  = "X-Prometheus-Remote-Write-Exemplars-Written"

	// CodeNotAllWritten is the error code of bus.ErrNotAllWritten.
	CodeNotAllWritten = "not_all_written"
	// CodeNotRecorded is the error code of bus.ErrNotStored.
	CodeNotRecorded = "not_recorded"
)

// check returns what is wrong with s as the headers of a request.
func check(s bus.Sequence) error {
	if err := bus.CheckSource(s.Source); err != nil {
		return fmt.Errorf("%s: %w", HeaderSource, err)
	}
	if err := s.Check(); err != nil {
		return fmt.Errorf("headers Stripchart-*: %w", err)
	}
	return nil
}

// WriteSequence sets the headers of s; none for the zero value.
func WriteSequence(h http.Header, s bus.Sequence) error {
	if s == (bus.Sequence{}) {
		return nil
	}
	if err := check(s); err != nil {
		return err
	}
	h.Set(HeaderSource, s.Source)
	h.Set(HeaderSeq, strconv.FormatUint(s.Seq, 10))
	h.Set(HeaderMerged, strconv.FormatUint(s.Merged, 10))
	if s.Dropped > 0 {
		h.Set(HeaderDropped, strconv.FormatUint(s.Dropped, 10))
		h.Set(HeaderDroppedAfter, strconv.FormatInt(s.DroppedAfter, 10))
	}
	return nil
}

// ReadSequence reads the headers that WriteSequence sets. Headers that are incomplete,
// repeated or out of bounds are an error: a guess at a sequence number would make
// readers skip batches that they have not seen.
func ReadSequence(h http.Header) (s bus.Sequence, err error) {
	source, seq, merged := h.Values(HeaderSource), h.Values(HeaderSeq), h.Values(HeaderMerged)
	dropped, after := h.Values(HeaderDropped), h.Values(HeaderDroppedAfter)
	if len(source)+len(seq)+len(merged)+len(dropped)+len(after) == 0 {
		return s, nil
	}
	if len(source) != 1 || len(seq) != 1 || len(merged) != 1 {
		return s, errors.New("send " + HeaderSource + ", " + HeaderSeq + " and " + HeaderMerged + " once each, or none of them")
	}
	if len(dropped) > 1 || len(after) != len(dropped) {
		return s, errors.New("send " + HeaderDropped + " and " + HeaderDroppedAfter + " once each, or neither of them")
	}
	s.Source = source[0]
	if s.Seq, err = strconv.ParseUint(seq[0], 10, 64); err != nil {
		return bus.Sequence{}, errors.New(HeaderSeq + " must be a whole number, 1 to 2^53-1")
	}
	if s.Merged, err = strconv.ParseUint(merged[0], 10, 64); err != nil {
		return bus.Sequence{}, errors.New(HeaderMerged + " must be a whole number, 0 to 2^53-2")
	}
	if len(dropped) == 1 {
		if s.Dropped, err = strconv.ParseUint(dropped[0], 10, 64); err != nil || s.Dropped == 0 {
			return bus.Sequence{}, errors.New(HeaderDropped + " must be a whole number, 1 to 2^53-2")
		}
		if s.DroppedAfter, err = strconv.ParseInt(after[0], 10, 64); err != nil {
			return bus.Sequence{}, errors.New(HeaderDroppedAfter + " must be a time in Unix milliseconds")
		}
	}
	if err := check(s); err != nil {
		return bus.Sequence{}, err
	}
	return s, nil
}
