package bus

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// LabelLimits bound the labels of one series.
type LabelLimits struct {
	Labels int // how many there may be
	Name   int // bytes of a label's name
	Value  int // bytes of a label's value
	Bytes  int // of all names and values together
}

// EndpointLabels are the limits for writers. Memory holds each label several times (store,
// index, decoders), and every selector reads it.
func EndpointLabels() LabelLimits {
	return LabelLimits{Labels: 64, Name: 256, Value: 2 << 10, Bytes: 4 << 10}
}

// KeptLabels are the limits for batches that are already acknowledged: a log or a spool may
// hold batches of an older version, which accepted more. labels.Labels panics at a string
// of 16 MiB.
func KeptLabels() LabelLimits {
	return LabelLimits{Labels: 256, Name: 1 << 20, Value: 1 << 20, Bytes: 16 << 20}
}

// LabelBuilder is the rule for the labels of a series in every format: sorted, UTF-8, each
// name once, with a metric name, within limits, and without empty values. For Prometheus,
// and so for the store, a label with an empty value is absent; other parts that kept it
// would see two series where the store has one.
//
// A LabelBuilder is for one goroutine at a time.
type LabelBuilder struct {
	limits  LabelLimits
	fixed   labels.Labels
	builder labels.ScratchBuilder
	count   int
	bytes   int
	err     error // the first
}

// NewLabelBuilder returns a LabelBuilder that keeps to l.
func NewLabelBuilder(l LabelLimits) *LabelBuilder {
	return &LabelBuilder{limits: l, builder: labels.NewScratchBuilder(16)}
}

// Fix has every series from now on get the labels of ls, in place of its own of the same
// names. ls must keep the rule.
func (b *LabelBuilder) Fix(ls labels.Labels) {
	b.fixed = ls
	b.Reset()
}

// Reset begins another series.
func (b *LabelBuilder) Reset() {
	b.builder.Reset()
	b.count, b.bytes, b.err = 0, 0, nil
	b.fixed.Range(func(l labels.Label) {
		b.builder.Add(l.Name, l.Value)
		b.count++
		b.bytes += len(l.Name) + len(l.Value)
	})
}

// Add adds a label. It copies name and value.
func (b *LabelBuilder) Add(name, value []byte) {
	if b.err != nil {
		return
	}
	switch {
	case len(name) == 0:
		b.err = errors.New("a label has no name")
		return
	case len(name) > b.limits.Name:
		b.err = fmt.Errorf("label %.40q...: its name has %d bytes, at most %d are taken", name, len(name), b.limits.Name)
		return
	case len(value) > b.limits.Value:
		b.err = fmt.Errorf("label %.40q: its value has %d bytes, at most %d are taken", name, len(value), b.limits.Value)
		return
	case !utf8.Valid(name) || !utf8.Valid(value):
		b.err = fmt.Errorf("label %.40q: not UTF-8", name)
		return
	case len(value) == 0, !b.fixed.IsEmpty() && b.fixed.Has(string(name)):
		return
	}
	if b.count++; b.count > b.limits.Labels {
		b.err = fmt.Errorf("more than %d labels", b.limits.Labels)
		return
	}
	if b.bytes += len(name) + len(value); b.bytes > b.limits.Bytes {
		b.err = fmt.Errorf("labels of more than %d bytes in all", b.limits.Bytes)
		return
	}
	b.builder.Add(string(name), string(value))
}

// Labels returns the labels that were added since Reset, or what is wrong with them.
func (b *LabelBuilder) Labels() (labels.Labels, error) {
	if b.err != nil {
		return labels.EmptyLabels(), b.err
	}
	b.builder.Sort()
	l := b.builder.Labels()
	if name, twice := l.HasDuplicateLabelNames(); twice {
		return labels.EmptyLabels(), fmt.Errorf("label %.40q is there twice", name)
	}
	if l.Get(model.MetricNameLabel) == "" {
		return labels.EmptyLabels(), errors.New("no metric name")
	}
	return l, nil
}
