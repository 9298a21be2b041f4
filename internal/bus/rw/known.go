package rw

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	maxLabels = 256 // of one series
	// maxStringBytes bounds a label's name and value. labels.Labels panics at 16 MiB.
	maxStringBytes = 1 << 20
)

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
// if need be.
func (d *Decoder) lookUp() *series {
	if err := d.appendKey(); err != nil {
		return &series{err: err}
	}
	if s := d.known[string(d.key)]; s != nil {
		return s
	}
	s := &series{}
	s.labels, s.err = d.build()
	if s.err != nil {
		return s // not remembered: a stranger could fill the memory with them
	}
	const overhead = 160 // of the map's and the struct's
	size := 2*len(d.key) + overhead
	// Other spellings of the same labels (in another order) lead to one series:
	// a batch holds each series once.
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
	return s
}

// appendKey writes the labels of d.refs, resolved, into d.key: names and values,
// each behind its length. It does not depend on the request's symbols.
func (d *Decoder) appendKey() error {
	switch {
	case len(d.refs) > 2*maxLabels: // readSeries reads no further
		return fmt.Errorf("more than %d labels", maxLabels)
	case len(d.refs)%2 != 0:
		return errors.New("labels_refs has an odd length")
	}
	d.key = d.key[:0]
	for _, r := range d.refs {
		if r >= uint64(len(d.symbols)) {
			return fmt.Errorf("label reference %d is outside of the %d symbols", r, len(d.symbols))
		}
		d.key = protowire.AppendBytes(d.key, d.symbols[r])
	}
	return nil
}

func (d *Decoder) canonicalKey(l labels.Labels) string {
	var key []byte
	l.Range(func(l labels.Label) {
		key = protowire.AppendString(protowire.AppendString(key, l.Name), l.Value)
	})
	return string(key)
}

// build returns the labels of d.refs, which appendKey has checked.
func (d *Decoder) build() (labels.Labels, error) {
	d.builder.Reset()
	for i := 0; i < len(d.refs); i += 2 {
		name, value := d.symbols[d.refs[i]], d.symbols[d.refs[i+1]]
		switch {
		case len(name) == 0:
			return labels.EmptyLabels(), errors.New("a label has no name")
		case !utf8.Valid(name) || !utf8.Valid(value):
			return labels.EmptyLabels(), fmt.Errorf("label %q: not UTF-8", name)
		case len(name) >= maxStringBytes || len(value) >= maxStringBytes:
			return labels.EmptyLabels(), fmt.Errorf("label %.40q: longer than %d bytes", name, maxStringBytes)
		}
		d.builder.Add(string(name), string(value))
	}
	d.builder.Sort()
	l := d.builder.Labels()
	if name, twice := l.HasDuplicateLabelNames(); twice {
		return labels.EmptyLabels(), fmt.Errorf("label %q is there twice", name)
	}
	if l.Get(model.MetricNameLabel) == "" {
		return labels.EmptyLabels(), errors.New("no metric name")
	}
	return l, nil
}
