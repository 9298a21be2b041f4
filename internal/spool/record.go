package spool

import (
	"encoding/binary"
	"errors"

	"stripchart/internal/bus"
)

// header is what stands before the batch in a record.
type header struct {
	seq    uint64 // at least 1
	merged uint64 // less than seq
	time   int64  // of the newest sample, Unix ms; 0 without samples
}

func (h header) first() uint64 { return h.seq - h.merged }

var errNotARecord = errors.New("record is not one of a spool")

func headerOf(b *bus.Batch) header {
	h := header{seq: b.Seq, merged: b.Merged}
	for i := range b.Series {
		if n := len(b.Series[i].Samples); n > 0 {
			h.time = max(h.time, b.Series[i].Samples[n-1].T)
		}
	}
	return h
}

// appendRecord appends the record of a batch that is encoded as body.
func appendRecord(rec []byte, h header, body []byte) []byte {
	rec = binary.AppendUvarint(rec, h.seq)
	rec = binary.AppendUvarint(rec, h.merged)
	rec = binary.AppendVarint(rec, h.time)
	return append(rec, body...)
}

// parseRecord is the reverse; body is part of rec.
func parseRecord(rec []byte) (h header, body []byte, err error) {
	var n int
	if h.seq, n = binary.Uvarint(rec); n <= 0 {
		return header{}, nil, errNotARecord
	}
	rec = rec[n:]
	if h.merged, n = binary.Uvarint(rec); n <= 0 || h.merged >= h.seq {
		return header{}, nil, errNotARecord
	}
	rec = rec[n:]
	if h.time, n = binary.Varint(rec); n <= 0 {
		return header{}, nil, errNotARecord
	}
	return h, rec[n:], nil
}
