package rw

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/golang/snappy"
	"google.golang.org/protobuf/encoding/protowire"

	"stripchart/internal/bus"
)

var (
	// ErrMalformed means that the bytes are not a request. Nothing of it was kept.
	ErrMalformed = errors.New("not a Remote-Write request")
	// ErrTooLarge means that the request exceeds one of Limits. Nothing of it was
	// kept; it must be split.
	ErrTooLarge = errors.New("request is too large")
)

// Limits bound one request. 0 is the default of each, which is for requests of
// strangers.
type Limits struct {
	Bytes     int             // after decompression; default 32 MiB
	Symbols   int             // default 1,000,000
	Series    int             // entries in timeseries; default 100,000
	Samples   int             // of all series; default 1,000,000
	Labels    bus.LabelLimits // of each series; default bus.EndpointLabels
	AllLabels int             // bytes of the labels of all series that are not remembered, each written in full; default 32 MiB
}

// Kept returns the limits of what was acknowledged before, and stands on a log or in a
// spool.
func Kept() Limits {
	return Limits{Symbols: 8_000_000, Labels: bus.KeptLabels(), AllLabels: 256 << 20}
}

func (l *Limits) setDefaults() {
	def := func(v *int, to int) {
		if *v <= 0 {
			*v = to
		}
	}
	def(&l.Bytes, 32<<20)
	def(&l.Symbols, 1_000_000)
	def(&l.Series, 100_000)
	def(&l.Samples, 1_000_000)
	def(&l.AllLabels, 32<<20)
	if l.Labels == (bus.LabelLimits{}) {
		l.Labels = bus.EndpointLabels()
	}
}

const maxErrors = 8 // in a Report

// Report says what of a request is not in its batch. All zero: everything is.
type Report struct {
	// Series counts the refused series, and Refused the samples in them: their
	// labels are not valid or not in the symbols.
	Series, Refused int
	// Conflicts counts samples of a series and time that had another value
	// before; the first in the request was kept.
	Conflicts int
	// Histograms and Exemplars count what has no place in a batch.
	Histograms, Exemplars int
	// Errors says for the first few refused series which and why.
	Errors []error
}

// Lost reports whether anything but exemplars was left out.
func (r *Report) Lost() bool { return r.Series+r.Conflicts+r.Histograms > 0 }

// Decode reads one request. Errors are of the kind ErrMalformed or ErrTooLarge.
func Decode(p []byte, l Limits) (*bus.Batch, Report, error) { return NewDecoder(l).Decode(p) }

// Decoder reads requests. It remembers the labels that it has seen, so that the
// same series of many requests is checked once and shares its memory. It is
// for one goroutine at a time.
//
// It reads the wire format itself where the generated type would do, for two
// reasons: the generated type makes two bytes of a request into 200 bytes of
// memory before anything can be counted, and it allocates for every series.
type Decoder struct {
	limits Limits
	known  map[string]*series // by key; see appendKey
	held   int                // about how many bytes known occupies
	count  uint64             // of requests

	// Of the request that is being read.
	message message
	raw     []byte // what Decode decompressed
	symbols [][]byte
	series  [][]byte // encoded
	refs    []uint64
	key     []byte
	builder *bus.LabelBuilder
	spelled int // bytes of the labels that were not remembered
	report  Report
}

// NewDecoder returns a Decoder that keeps to l.
func NewDecoder(l Limits) *Decoder {
	l.setDefaults()
	return &Decoder{limits: l, known: map[string]*series{}, builder: bus.NewLabelBuilder(l.Labels)}
}

// Decode reads one request; the batch keeps nothing of p. Its Source, Seq and
// Merged are for the caller to set.
func (d *Decoder) Decode(p []byte) (*bus.Batch, Report, error) {
	if err := d.decompress(p); err != nil {
		return nil, Report{}, err
	}
	return d.DecodeMessage(d.raw)
}

// DecodeMessage is Decode for a request that is decompressed already.
func (d *Decoder) DecodeMessage(raw []byte) (*bus.Batch, Report, error) {
	return d.decode(raw, version2)
}

// DecodeMessage1 is DecodeMessage for a request of Remote-Write 1.0, prometheus.WriteRequest.
// There each series spells its labels out.
func (d *Decoder) DecodeMessage1(raw []byte) (*bus.Batch, Report, error) {
	return d.decode(raw, version1)
}

func (d *Decoder) decode(raw []byte, m message) (*bus.Batch, Report, error) {
	defer d.release()
	d.message = m
	if len(raw) > d.limits.Bytes {
		return nil, Report{}, fmt.Errorf("%w: %d bytes decompressed, at most %d", ErrTooLarge, len(raw), d.limits.Bytes)
	}
	if err := d.split(raw); err != nil {
		return nil, Report{}, err
	}
	samples, err := d.countSamples()
	if err != nil {
		return nil, Report{}, err
	}
	b, err := d.batch(samples)
	if err != nil {
		return nil, Report{}, err
	}
	return b, d.report, nil
}

// decompress fills d.raw.
func (d *Decoder) decompress(p []byte) error {
	n, err := snappy.DecodedLen(p)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if n > d.limits.Bytes {
		return fmt.Errorf("%w: %d bytes decompressed, at most %d", ErrTooLarge, n, d.limits.Bytes)
	}
	if d.raw, err = snappy.Decode(d.raw[:cap(d.raw)], p); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}

// message is how a version of Remote-Write numbers its fields.
type message struct {
	symbols    protowire.Number // of a request; 0: labels are spelled out in the series
	timeseries protowire.Number // of a request
	labels     protowire.Number // of a series, like the next three
	samples    protowire.Number
	histograms protowire.Number
	exemplars  protowire.Number
}

var (
	// version1 is prometheus.WriteRequest; see prompb/types.proto of Prometheus.
	version1 = message{timeseries: 1, labels: 1, samples: 2, exemplars: 3, histograms: 4}
	// version2 is io.prometheus.write.v2.Request; see io/prometheus/write/v2/types.proto.
	version2 = message{symbols: 4, timeseries: 5, labels: 1, samples: 2, histograms: 3, exemplars: 4}
)

// Field numbers that the versions share.
const (
	sampleValue     protowire.Number = 1
	sampleTimestamp protowire.Number = 2

	labelName  protowire.Number = 1 // of a label in version 1
	labelValue protowire.Number = 2
)

// split finds the symbols and series in raw. It counts before it keeps
// anything: an empty symbol is two bytes in the request and 24 here.
func (d *Decoder) split(raw []byte) error {
	d.symbols, d.series = d.symbols[:0], d.series[:0]
	return fields(raw, func(n protowire.Number, t protowire.Type, v []byte, _ uint64) error {
		switch {
		case n == d.message.symbols && t == protowire.BytesType:
			if len(d.symbols) == d.limits.Symbols {
				return fmt.Errorf("%w: more than %d symbols", ErrTooLarge, d.limits.Symbols)
			}
			d.symbols = append(d.symbols, v)
		case n == d.message.timeseries && t == protowire.BytesType:
			if len(d.series) == d.limits.Series {
				return fmt.Errorf("%w: more than %d series", ErrTooLarge, d.limits.Series)
			}
			d.series = append(d.series, v)
		}
		return nil
	})
}

// countSamples walks over all series, so that their samples can be put into
// one piece of memory, and so that a request that is malformed anywhere is
// refused as a whole.
func (d *Decoder) countSamples() (total int, err error) {
	d.report = Report{}
	for _, s := range d.series {
		err := fields(s, func(n protowire.Number, t protowire.Type, _ []byte, _ uint64) error {
			if t != protowire.BytesType {
				return nil
			}
			switch n {
			case d.message.samples:
				total++
			case d.message.histograms:
				d.report.Histograms++
			case d.message.exemplars:
				d.report.Exemplars++
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	if total > d.limits.Samples {
		return 0, fmt.Errorf("%w: %d samples, at most %d", ErrTooLarge, total, d.limits.Samples)
	}
	return total, nil
}

// batch makes the batch.
func (d *Decoder) batch(total int) (*bus.Batch, error) {
	d.count++
	d.spelled = 0
	if d.held > maxKnownBytes { // here and not below: within a request, a series must be found again
		clear(d.known)
		d.held = 0
	}
	b := &bus.Batch{Series: make([]bus.Series, 0, len(d.series))}
	arena := make([]bus.Sample, 0, total)
	for i, raw := range d.series {
		from := len(arena)
		var err error
		if arena, err = d.readSeries(raw, arena); err != nil {
			return nil, err
		}
		samples := arena[from:len(arena):len(arena)]
		if len(samples) == 0 {
			continue // metadata, a histogram or an exemplar
		}
		s, err := d.lookUp()
		if err != nil {
			return nil, err
		}
		if s.err != nil {
			d.refuse(i, s.err, len(samples))
			arena = arena[:from]
			continue
		}
		if s.seen == d.count { // the specification allows a series twice
			had := &b.Series[s.index].Samples
			*had = append(*had, samples...) // a copy: the arena's piece has no room
			continue
		}
		s.seen, s.index = d.count, len(b.Series)
		b.Series = append(b.Series, bus.Series{Labels: s.labels, Samples: samples})
	}
	for i := range b.Series {
		b.Series[i].Samples = d.ascending(b.Series[i].Samples)
	}
	return b, nil
}

func (d *Decoder) refuse(index int, err error, samples int) {
	d.report.Series++
	d.report.Refused += samples
	if len(d.report.Errors) < maxErrors {
		d.report.Errors = append(d.report.Errors, fmt.Errorf("series %d: %w", index, err))
	}
}

// readSeries puts the label references into d.refs and appends the samples.
func (d *Decoder) readSeries(raw []byte, samples []bus.Sample) ([]bus.Sample, error) {
	d.refs = d.refs[:0]
	spelled := d.message.symbols == 0
	if spelled {
		d.symbols = d.symbols[:0]
	}
	err := fields(raw, func(n protowire.Number, t protowire.Type, v []byte, x uint64) error {
		switch {
		case n == d.message.labels && spelled && t == protowire.BytesType:
			return d.spell(v)
		case n == d.message.labels && t == protowire.VarintType: // not packed: allowed, and rare
			d.refs = append(d.refs, x)
		case n == d.message.labels && t == protowire.BytesType:
			for len(v) > 0 && len(d.refs) <= 2*maxPairs {
				x, n := protowire.ConsumeVarint(v)
				if n < 0 {
					return ErrMalformed
				}
				d.refs, v = append(d.refs, x), v[n:]
			}
		case n == d.message.samples && t == protowire.BytesType:
			s, err := readSample(v)
			if err != nil {
				return err
			}
			samples = append(samples, s)
		}
		return nil
	})
	return samples, err
}

// spell reads a label of version 1: its name and value become symbols of this series.
func (d *Decoder) spell(raw []byte) error {
	if len(d.refs) > 2*maxPairs {
		return nil // the series is refused already
	}
	var name, value []byte
	err := fields(raw, func(n protowire.Number, t protowire.Type, v []byte, _ uint64) error {
		switch {
		case n == labelName && t == protowire.BytesType:
			name = v
		case n == labelValue && t == protowire.BytesType:
			value = v
		}
		return nil
	})
	d.refs = append(d.refs, uint64(len(d.symbols)), uint64(len(d.symbols)+1))
	d.symbols = append(d.symbols, name, value)
	return err
}

func readSample(raw []byte) (s bus.Sample, err error) {
	err = fields(raw, func(n protowire.Number, t protowire.Type, _ []byte, x uint64) error {
		switch {
		case n == sampleValue && t == protowire.Fixed64Type:
			s.V = math.Float64frombits(x)
		case n == sampleTimestamp && t == protowire.VarintType:
			s.T = int64(x)
		}
		return nil
	})
	return s, err
}

// fields calls f for each field of a message: with v where it has a length,
// with x where it is a number. Unknown fields are f's to pass over.
func fields(p []byte, f func(n protowire.Number, t protowire.Type, v []byte, x uint64) error) error {
	for len(p) > 0 {
		num, typ, n := protowire.ConsumeTag(p)
		if n < 0 {
			return fmt.Errorf("%w: %w", ErrMalformed, protowire.ParseError(n))
		}
		p = p[n:]
		var v []byte
		var x uint64
		switch typ {
		case protowire.VarintType:
			x, n = protowire.ConsumeVarint(p)
		case protowire.Fixed64Type:
			x, n = protowire.ConsumeFixed64(p)
		case protowire.BytesType:
			v, n = protowire.ConsumeBytes(p)
		default:
			n = protowire.ConsumeFieldValue(num, typ, p)
		}
		if n < 0 {
			return fmt.Errorf("%w: %w", ErrMalformed, protowire.ParseError(n))
		}
		p = p[n:]
		if err := f(num, typ, v, x); err != nil {
			return err
		}
	}
	return nil
}

// ascending puts the samples of one series in order, and of several at one time
// keeps the first. One with the same value is no loss; others are counted.
func (d *Decoder) ascending(s []bus.Sample) []bus.Sample {
	ordered := true
	for i := 1; i < len(s) && ordered; i++ {
		ordered = s[i-1].T < s[i].T
	}
	if ordered {
		return s
	}
	slices.SortStableFunc(s, func(a, b bus.Sample) int {
		switch {
		case a.T < b.T:
			return -1
		case a.T > b.T:
			return 1
		}
		return 0
	})
	kept := s[:1]
	for _, x := range s[1:] {
		last := kept[len(kept)-1]
		if x.T != last.T {
			kept = append(kept, x)
		} else if math.Float64bits(x.V) != math.Float64bits(last.V) {
			d.report.Conflicts++
		}
	}
	return kept
}

// release lets go of what is large or belongs to the caller now.
func (d *Decoder) release() {
	d.report = Report{}
	clear(d.symbols[:cap(d.symbols)]) // version 1 has used more than the last series
	clear(d.series)
	if cap(d.raw)+24*(cap(d.symbols)+cap(d.series)) > maxKeptBytes {
		d.raw, d.symbols, d.series = nil, nil, nil
	}
}
