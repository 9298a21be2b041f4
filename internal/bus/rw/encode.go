package rw

import (
	"github.com/golang/snappy"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"stripchart/internal/bus"
)

// maxKeptBytes bounds the buffers that an Encoder or Decoder keeps between two
// batches; those of a larger batch are let go.
const maxKeptBytes = 4 << 20

// Encode returns b as a request.
func Encode(b *bus.Batch) []byte { return new(Encoder).Append(nil, b) }

// Encoder writes batches and reuses what it needs for that. The zero value is
// ready; it is for one goroutine at a time.
type Encoder struct {
	symbols writev2.SymbolsTable
	ready   bool // symbols was made
	request writev2.Request
	refs    []uint32         // of all series
	samples []writev2.Sample // of all series
	raw     []byte           // the request before compression
}

// Append appends b, as a request, to dst.
func (e *Encoder) Append(dst []byte, b *bus.Batch) []byte {
	if !e.ready {
		e.symbols, e.ready = writev2.NewSymbolTable(), true
	}
	defer e.reset()
	e.fill(b)
	raw, err := e.request.OptimizedMarshal(e.raw)
	if err != nil {
		panic(err) // the buffer has the size that the request said; the only error is that it has not
	}
	e.raw = raw
	n, most := len(dst), snappy.MaxEncodedLen(len(raw))
	if cap(dst)-n < most {
		grown := make([]byte, n, n+most)
		copy(grown, dst)
		dst = grown
	}
	return dst[:n+len(snappy.Encode(dst[n:n+most], raw))]
}

// fill writes b into e.request. The series share e.refs and e.samples, which
// are made large enough first: growing would move what is already pointed at.
func (e *Encoder) fill(b *bus.Batch) {
	names := 0
	for i := range b.Series {
		names += b.Series[i].Labels.Len()
	}
	e.refs = room(e.refs, 2*names)
	e.samples = room(e.samples, b.Samples())
	for i := range b.Series {
		s := &b.Series[i]
		from := len(e.refs)
		e.refs = e.refs[:from+len(e.symbols.SymbolizeLabels(s.Labels, e.refs[from:from:cap(e.refs)]))]
		first := len(e.samples)
		for _, x := range s.Samples {
			e.samples = append(e.samples, writev2.Sample{Value: x.V, Timestamp: x.T})
		}
		e.request.Timeseries = append(e.request.Timeseries, writev2.TimeSeries{
			LabelsRefs: e.refs[from:len(e.refs):len(e.refs)],
			Samples:    e.samples[first:len(e.samples):len(e.samples)],
		})
	}
	e.request.Symbols = e.symbols.Symbols()
}

// reset forgets the batch, so that nothing of it is kept alive but small buffers.
func (e *Encoder) reset() {
	if cap(e.raw) > maxKeptBytes {
		*e = Encoder{}
		return
	}
	e.symbols.Reset()
	clear(e.request.Timeseries)
	e.request.Timeseries = e.request.Timeseries[:0]
}

// room returns s, empty, with space for n.
func room[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, 0, n)
	}
	return s[:0]
}
