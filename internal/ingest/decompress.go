package ingest

import (
	"errors"
	"fmt"
	"sync"

	"github.com/golang/snappy"
)

// encoding is how a body is compressed.
type encoding string

const (
	identity encoding = ""
	snappied encoding = "snappy" // the block format
)

// maxKeptBytes bounds a buffer that is kept for the next request; larger ones are let go.
const maxKeptBytes = 4 << 20

// buffers holds what bodies are decompressed into, as *[]byte.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// bodyBound is how many bytes a body may have as sent. What is not compressed may have as
// many as anything decompressed.
func (e *Endpoint) bodyBound(c encoding) int64 {
	if c == identity {
		return e.o.MaxDecoded
	}
	return e.o.MaxBody
}

// decompress returns the body as it was before it was compressed; done gives its memory
// back. Before any memory is taken, its size is judged, and p grows by it.
func (e *Endpoint) decompress(c encoding, body []byte, p *place) (raw []byte, done func(), a answer) {
	if c == identity {
		return body, func() {}, answer{}
	}
	size, err := snappy.DecodedLen(body)
	if err != nil {
		return nil, nil, badBody(errors.New("the body is not in snappy's block format"))
	}
	if int64(size) > e.o.MaxDecoded {
		return nil, nil, tooLarge("decompressed", e.o.MaxDecoded)
	}
	if !p.grow(int64(size)) {
		return nil, nil, overloaded()
	}
	buffer := buffers.Get().(*[]byte)
	done = func() {
		if cap(*buffer) > maxKeptBytes {
			*buffer = nil
		}
		buffers.Put(buffer)
	}
	raw, err = snappy.Decode((*buffer)[:cap(*buffer)], body)
	if err != nil {
		done()
		return nil, nil, badBody(fmt.Errorf("the body is not in snappy's block format: %w", err))
	}
	if cap(raw) > cap(*buffer) {
		*buffer = raw
	}
	return raw, done, answer{}
}
