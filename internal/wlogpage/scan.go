// Package wlogpage reads damaged segments of write logs of the form of Prometheus's
// tsdb/wlog. wlog's own readers end at the first damage; this one goes on with the next
// fragment whose checksum is right, and with the next record that begins there.
//
// A segment consists of pages, in which stand fragments of records. A fragment has a
// header (type and compression, length, checksum) and never crosses a page; a record
// never crosses a segment. The checksum covers neither type nor compression, so whoever
// reads looks whether a record makes sense.
package wlogpage

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/prometheus/prometheus/util/compression"
)

const (
	// Size is how many bytes a page has.
	Size = 32 << 10

	headerSize  = 7
	typeMask    = 7
	snappyFlag  = 1 << 3
	zstdFlag    = 1 << 4
	fragPadding = 0 // the rest of the page is zero
	fragFull    = 1
	fragFirst   = 2
	fragMiddle  = 3
	fragLast    = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Found is what a segment holds.
type Found struct {
	// Good is where the last whole record ends, or the padding behind it.
	Good int64
	// Holes counts the places where something cannot be read. Records may be missing
	// at each.
	Holes int
	// Torn tells that the file ends within a record, behind the last hole: a kill
	// leaves that of a write.
	Torn bool
}

// Scan calls each with every record of a segment, in order, and hole, which may be nil,
// where something between two of them cannot be read. each returns false for a record
// that makes no sense. Records are valid during the call.
func Scan(b []byte, each func(rec []byte) bool, hole func()) Found {
	var (
		s       Found
		rec     []byte // fragments of a record that is not whole yet
		open    bool   // rec has some
		flags   byte
		damaged bool // since the last whole record
		dec     = compression.NewSyncDecodeBuffer()
	)
	damage := func() {
		open = false
		if !damaged {
			damaged = true
			s.Holes++
			if hole != nil {
				hole()
			}
		}
	}
	whole := func(compressed []byte, end int) {
		open = false
		plain, err := compression.Decode(compressionOf(flags), compressed, dec)
		if err != nil || !each(plain) {
			damage()
			return
		}
		s.Good, damaged = int64(end), false
	}
	for start := 0; start < len(b); start += Size {
		page := b[start:min(start+Size, len(b))]
		last := start+Size >= len(b)
		for i := 0; i < len(page); {
			rest := page[i:]
			if rest[0] == fragPadding && allZero(rest) {
				switch {
				case !last && len(rest) >= headerSize:
					damage() // wlog pads less than a header, but for a segment's end
				case !damaged && !open:
					s.Good = int64(start + len(page))
				}
				break
			}
			data, ok := fragment(rest)
			if !ok {
				next := nextFragment(rest)
				if next < 0 && last && len(page) < Size && !damaged && isShort(rest) {
					s.Torn = true
					break
				}
				damage()
				if next < 0 {
					break
				}
				i += next
				continue
			}
			i += headerSize + len(data)
			kind := rest[0] & typeMask
			begins := kind == fragFull || kind == fragFirst
			switch {
			case kind > fragLast, begins == open, !begins && rest[0]&(snappyFlag|zstdFlag) != flags:
				damage()
				if !begins {
					continue
				}
			}
			flags = rest[0] & (snappyFlag | zstdFlag)
			switch kind {
			case fragFull:
				whole(data, start+i)
			case fragFirst:
				rec, open = append(rec[:0], data...), true
			case fragMiddle:
				rec = append(rec, data...)
			case fragLast:
				rec = append(rec, data...)
				whole(rec, start+i)
			}
		}
	}
	if open && !damaged {
		s.Torn = true
	}
	return s
}

// fragment returns the data of the fragment at the beginning of b, if its checksum is
// right.
func fragment(b []byte) (data []byte, ok bool) {
	if len(b) < headerSize || isShort(b) {
		return nil, false
	}
	data = b[headerSize : headerSize+int(binary.BigEndian.Uint16(b[1:]))]
	return data, b[0]&typeMask != fragPadding && crc32.Checksum(data, castagnoli) == binary.BigEndian.Uint32(b[3:])
}

// isShort reports whether b ends within the fragment at its beginning, if that is one.
func isShort(b []byte) bool {
	return len(b) < headerSize || len(b) < headerSize+int(binary.BigEndian.Uint16(b[1:]))
}

// nextFragment returns the index of the first fragment that begins behind the first byte of
// b, -1 where there is none. Where a length is damaged, only the beginning of the next
// fragment is unknown.
func nextFragment(b []byte) int {
	for i := 1; i+headerSize < len(b); i++ {
		if data, ok := fragment(b[i:]); ok && len(data) > 0 {
			return i
		}
	}
	return -1
}

func compressionOf(flags byte) compression.Type {
	switch {
	case flags&snappyFlag != 0:
		return compression.Snappy
	case flags&zstdFlag != 0:
		return compression.Zstd
	}
	return compression.None
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// Used returns how many bytes of a segment stand before the zeros at its end.
func Used(b []byte) int64 {
	n := len(b)
	for n > 0 && b[n-1] == 0 {
		n--
	}
	return int64(n)
}
