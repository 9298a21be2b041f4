package ingest

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"github.com/golang/snappy"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// encoding is how a body is compressed.
type encoding string

const (
	identity  encoding = ""
	snappied  encoding = "snappy" // the block format
	gzipped   encoding = "gzip"
	zstandard encoding = "zstd"
)

// maxKeptBytes bounds a buffer that is kept for the next request; larger ones are let go.
const maxKeptBytes = 4 << 20

// buffers holds what bodies are decompressed into, as *[]byte.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// bodyBound is how many bytes a body may have as sent. A body without compression is bounded like a
// decompressed body.
func (e *Endpoint) bodyBound(c encoding) int64 {
	if c == identity {
		return e.o.MaxDecoded
	}
	return e.o.MaxBody
}

// decompress returns the body as it was before it was compressed; done gives its memory
// back. p grows before any memory is taken.
func (e *Endpoint) decompress(c encoding, body []byte, p *place) (raw []byte, done func(), a answer) {
	if c == identity {
		return body, func() {}, answer{}
	}
	buffer := buffers.Get().(*[]byte)
	done = func() {
		if cap(*buffer) > maxKeptBytes {
			*buffer = nil
		}
		buffers.Put(buffer)
	}
	switch c {
	case snappied:
		raw, a = e.unsnap(*buffer, body, p)
	case gzipped:
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			a = badEncoding(c, err)
			break
		}
		raw, a = e.stream(c, z, (*buffer)[:0], p)
	case zstandard:
		// One goroutine, and no larger a window than 8 MiB: it is memory that a stranger asks for.
		z, err := zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			a = badEncoding(c, err)
			break
		}
		raw, a = e.stream(c, z, (*buffer)[:0], p)
		z.Close()
	}
	if a.status != 0 {
		done()
		return nil, nil, a
	}
	*buffer = raw[:0]
	return raw, done, answer{}
}

// unsnap decompresses the block format of snappy, which begins with the decompressed size.
func (e *Endpoint) unsnap(buffer, body []byte, p *place) ([]byte, answer) {
	size, err := snappy.DecodedLen(body)
	if err != nil {
		return nil, badEncoding(snappied, err)
	}
	if int64(size) > e.o.MaxDecoded {
		return nil, tooLarge("decompressed", e.o.MaxDecoded)
	}
	if !p.grow(int64(size)) {
		return nil, overloaded()
	}
	raw, err := snappy.Decode(buffer[:cap(buffer)], body)
	if err != nil {
		return nil, badEncoding(snappied, err)
	}
	return raw, answer{}
}

// stream reads the output of a decompressor whose size is not known in advance.
func (e *Endpoint) stream(c encoding, z io.Reader, raw []byte, p *place) ([]byte, answer) {
	var taken int64
	for {
		if len(raw) == cap(raw) {
			grown := make([]byte, len(raw), max(2*cap(raw), firstBytes))
			copy(grown, raw)
			raw = grown
		}
		n, err := z.Read(raw[len(raw):min(cap(raw), len(raw)+64<<10)])
		raw = raw[:len(raw)+n]
		if int64(len(raw)) > e.o.MaxDecoded {
			return nil, tooLarge("decompressed", e.o.MaxDecoded)
		}
		if !p.grow(int64(len(raw)) - taken) {
			return nil, overloaded()
		}
		taken = int64(len(raw))
		switch err {
		case nil:
		case io.EOF:
			return raw, answer{}
		default:
			return nil, badEncoding(c, err)
		}
	}
}

func badEncoding(c encoding, err error) answer {
	return badBody(fmt.Errorf("the body is not in %s's format: %w", c, err))
}
