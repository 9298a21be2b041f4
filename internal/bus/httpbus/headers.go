package httpbus

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"stripchart/internal/bus"
)

// What both ends agree on, beyond the body.
const (
	// WritePath is the door's path below the server's address.
	WritePath = "/api/v1/write"
	// ContentType is that of Remote-Write 2.0.
	ContentType = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
	// ContentEncoding is snappy's block format.
	ContentEncoding = "snappy"

	// The fields of bus.Batch that Remote-Write has no place for, for example
	//
	//	Stripchart-Source: collect-web1-4QXK2M7TZ5AB
	//	Stripchart-Seq: 1042
	//	Stripchart-Merged: 0
	//
	// A request has all three, or none and then no sequence. Behind batches that its
	// source has dropped it has two more:
	//
	//	Stripchart-Dropped: 300
	//	Stripchart-Dropped-After: 1764000000000
	HeaderSource       = "Stripchart-Source"
	HeaderSeq          = "Stripchart-Seq"
	HeaderMerged       = "Stripchart-Merged"
	HeaderDropped      = "Stripchart-Dropped"
	HeaderDroppedAfter = "Stripchart-Dropped-After"

	// HeaderSamplesWritten and its siblings count what a receiver took. Remote-Write
	// 2.0 requires them; their absence gives away a server that is none.
	HeaderSamplesWritten    = "X-Prometheus-Remote-Write-Samples-Written"
	HeaderHistogramsWritten = "X-Prometheus-Remote-Write-Histograms-Written"
	HeaderExemplarsWritten  = "X-Prometheus-Remote-Write-Exemplars-Written"

	// CodeNotAllWritten is the error code with which a server says
	// bus.ErrNotAllWritten.
	CodeNotAllWritten = "not_all_written"
	// CodeNotRecorded is the error code with which a server says bus.ErrNotStored.
	CodeNotRecorded = "not_recorded"
)

// Sequence is a batch's place among those of its source. The zero value is
// that of a writer without a sequence.
type Sequence struct {
	Source       string // as bus.CheckSource takes it
	Seq, Merged  uint64 // Merged < Seq
	Dropped      uint64 // < Seq - Merged
	DroppedAfter int64  // Unix ms; 0 without Dropped
}

// Of returns b's place.
func Of(b *bus.Batch) Sequence {
	return Sequence{b.Source, b.Seq, b.Merged, b.Dropped, b.DroppedAfter}
}

// Give gives b the place s.
func (s Sequence) Give(b *bus.Batch) {
	b.Source, b.Seq, b.Merged, b.Dropped, b.DroppedAfter = s.Source, s.Seq, s.Merged, s.Dropped, s.DroppedAfter
}

func (s Sequence) check() error {
	if err := bus.CheckSource(s.Source); err != nil {
		return fmt.Errorf("%s: %w", HeaderSource, err)
	}
	if s.Seq > bus.MaxSeq {
		return fmt.Errorf("%s must be at most 2^53-1; a source counts its batches from 1", HeaderSeq)
	}
	if s.Merged >= s.Seq {
		return fmt.Errorf("%s must be less than %s, and that at least 1", HeaderMerged, HeaderSeq)
	}
	if s.Dropped > 0 && s.Dropped >= s.Seq-s.Merged {
		return fmt.Errorf("%s must be less than %s without %s", HeaderDropped, HeaderSeq, HeaderMerged)
	}
	return nil
}

// WriteSequence sets the headers for b; none when it has no sequence.
func WriteSequence(h http.Header, b *bus.Batch) error {
	s := Of(b)
	if s == (Sequence{}) {
		return nil
	}
	if err := s.check(); err != nil {
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

// ReadSequence returns what WriteSequence wrote. Headers that are incomplete,
// doubled or out of bounds are an error: a guess at a sequence number would make
// readers skip batches that they have not seen.
func ReadSequence(h http.Header) (s Sequence, err error) {
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
		return Sequence{}, errors.New(HeaderSeq + " must be a whole number, 1 to 2^53-1")
	}
	if s.Merged, err = strconv.ParseUint(merged[0], 10, 64); err != nil {
		return Sequence{}, errors.New(HeaderMerged + " must be a whole number, 0 to 2^53-2")
	}
	if len(dropped) == 1 {
		if s.Dropped, err = strconv.ParseUint(dropped[0], 10, 64); err != nil || s.Dropped == 0 {
			return Sequence{}, errors.New(HeaderDropped + " must be a whole number, 1 to 2^53-2")
		}
		if s.DroppedAfter, err = strconv.ParseInt(after[0], 10, 64); err != nil {
			return Sequence{}, errors.New(HeaderDroppedAfter + " must be a time in Unix milliseconds")
		}
	}
	if err := s.check(); err != nil {
		return Sequence{}, err
	}
	return s, nil
}
