package rw

import (
	"errors"
	"fmt"

	"github.com/prometheus/prometheus/model/labels"
	"google.golang.org/protobuf/encoding/protowire"
)

// maxPairs bounds the references to names and values that are read of one series,
// those to empty values included.
const maxPairs = 256

// series is what a Decoder remembers.
type series struct {
	labels labels.Labels
	err    error  // why the series is refused
	seen   uint64 // the last request that held it
	index  int    // in that request's batch
}

// maxKnownBytes bounds what a Decoder remembers from one request to the next.
// When it is full, all is forgotten: that is rare, cheap to rebuild, and needs no
// order of use.
const maxKnownBytes = 32 << 20

// lookUp returns what is known of the series with d.refs, and learns it first
// if need be. An error is of the request as a whole.
func (d *Decoder) lookUp() (*series, error) {
	if err := d.appendKey(); err != nil {
		return &series{err: err}, nil
	}
	if s := d.known[string(d.key)]; s != nil {
		return s, nil
	}
	// Labels share symbols: a request of a few bytes can spell out any number.
	if d.spelled += len(d.key); d.spelled > d.limits.AllLabels {
		return nil, fmt.Errorf("%w: the labels of all series, each written in full, have more than %d bytes", ErrTooLarge, d.limits.AllLabels)
	}
	s := &series{}
	s.labels, s.err = d.build()
	if s.err != nil {
		return s, nil // not remembered: a stranger could fill the memory with them
	}
	const overhead = 160 // of the map's and the struct's
	size := 2*len(d.key) + overhead
	// Other spellings of the same labels (in another order, with empty values) lead
	// to one series: a batch holds each series once.
	canonical := d.canonicalKey(s.labels)
	if same := d.known[canonical]; same != nil {
		s = same
	} else {
		d.known[canonical] = s
		d.held += size
	}
	if canonical != string(d.key) {
		d.known[string(d.key)] = s
		d.held += size
	}
	return s, nil
}

// appendKey writes the labels of d.refs, resolved, into d.key: names and values,
// each behind its length. It does not depend on the request's symbols.
func (d *Decoder) appendKey() error {
	switch {
	case len(d.refs) > 2*maxPairs: // readSeries reads no further
		return fmt.Errorf("more than %d labels", maxPairs)
	case len(d.refs)%2 != 0:
		return errors.New("labels_refs has an odd length")
	}
	bytes := 0
	for _, r := range d.refs {
		if r >= uint64(len(d.symbols)) {
			return fmt.Errorf("label reference %d is outside of the %d symbols", r, len(d.symbols))
		}
		bytes += len(d.symbols[r])
	}
	if bytes > d.limits.Labels.Bytes { // before they are written out: two bytes of a request can refer to a megabyte
		if _, err := d.build(); err != nil {
			return err // it says which label
		}
		return fmt.Errorf("labels of more than %d bytes in all", d.limits.Labels.Bytes)
	}
	d.key = d.key[:0]
	for _, r := range d.refs {
		d.key = protowire.AppendBytes(d.key, d.symbols[r])
	}
	return nil
}

func (d *Decoder) canonicalKey(l labels.Labels) string {
	key := make([]byte, 0, len(d.key))
	l.Range(func(l labels.Label) {
		key = protowire.AppendString(protowire.AppendString(key, l.Name), l.Value)
	})
	return string(key)
}

// build returns the labels of d.refs, which appendKey has checked.
func (d *Decoder) build() (labels.Labels, error) {
	d.builder.Reset()
	for i := 0; i < len(d.refs); i += 2 {
		d.builder.Add(d.symbols[d.refs[i]], d.symbols[d.refs[i+1]])
	}
	return d.builder.Labels()
}
