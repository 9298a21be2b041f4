package ingest

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/otlptranslator"
	"github.com/prometheus/prometheus/model/value"
	"google.golang.org/protobuf/encoding/protowire"

	"stripchart/internal/bus"
)

// otlpPoint is a data point of any kind. It is reused.
type otlpPoint struct {
	time       int64 // Unix ms; 0: none
	attributes []attribute
	number     float64
	count      uint64
	sum        float64
	hasSum     bool
	hasNumber  bool
	counts     []uint64
	bounds     []float64
	quantiles  [][2]float64
	none       bool // the series has ended
}

// readPoint reads a data point.
func (d *otlpDecoder) readPoint(v otlpValue) error {
	p := &d.point
	*p = otlpPoint{attributes: p.attributes[:0], counts: p.counts[:0], bounds: p.bounds[:0], quantiles: p.quantiles[:0]}
	names, attributes, flags, read := otlpNumber, protowire.Number(7), protowire.Number(8), p.readNumber
	switch d.metric.kind {
	case otlpHistograms:
		names, attributes, flags, read = otlpHistogram, 9, 10, p.readHistogram
	case otlpSummaries:
		names, read = otlpSummary, p.readSummary
	}
	return v.fields(names, func(n protowire.Number, v otlpValue) (err error) {
		var u uint64
		switch n {
		case attributes:
			if len(p.attributes) == maxAttributes {
				return errAttributes
			}
			var a attribute
			a.name, a.value, err = readAttribute(v)
			p.attributes = append(p.attributes, a)
			return err
		case flags:
			u, err = v.uint()
			p.none = u&1 != 0
			return err
		case 3:
			u, err = v.uint()
			p.time = int64(u / 1e6)
			return err
		}
		return read(n, v)
	})
}

// readNumber reads what only points of gauges and sums have.
func (p *otlpPoint) readNumber(n protowire.Number, v otlpValue) (err error) {
	switch n {
	case 4:
		p.number, err = v.float()
		p.hasNumber = true
	case 6:
		var i int64
		i, err = v.int()
		p.number, p.hasNumber = float64(i), true
	}
	return err
}

// readHistogram reads what only points of histograms have. It keeps one element beyond the bound of a
// list, so that the excess is noticed.
func (p *otlpPoint) readHistogram(n protowire.Number, v otlpValue) error {
	switch n {
	case 6:
		return v.each64(func(v otlpValue) error {
			u, err := v.uint()
			if len(p.counts) <= maxOTLPBuckets {
				p.counts = append(p.counts, u)
			}
			return err
		})
	case 7:
		return v.each64(func(v otlpValue) error {
			f, err := v.float()
			if len(p.bounds) <= maxOTLPBuckets {
				p.bounds = append(p.bounds, f)
			}
			return err
		})
	}
	return p.readTotals(n, v)
}

// readSummary reads what only points of summaries have.
func (p *otlpPoint) readSummary(n protowire.Number, v otlpValue) error {
	if n != 6 {
		return p.readTotals(n, v)
	}
	var q [2]float64
	err := v.fields(otlpQuantile, func(n protowire.Number, v otlpValue) (err error) {
		if n == 1 || n == 2 {
			q[n-1], err = v.float()
		}
		return err
	})
	if len(p.quantiles) <= maxOTLPBuckets {
		p.quantiles = append(p.quantiles, q)
	}
	return err
}

func (p *otlpPoint) readTotals(n protowire.Number, v otlpValue) (err error) {
	switch n {
	case 4:
		p.count, err = v.uint()
	case 5:
		p.sum, err = v.float()
		p.hasSum = true
	}
	return err
}

// readAttribute reads a KeyValue.
func readAttribute(v otlpValue) (key, text string, err error) {
	budget := maxAttributes
	err = v.fields(otlpKeyValue, func(n protowire.Number, v otlpValue) (err error) {
		switch n {
		case 1:
			key, err = v.text()
		case 2:
			var x any
			if x, err = readAny(v, &budget, maxOTLPDepth); err == nil {
				text, err = attributeText(x)
			}
		}
		return err
	})
	return key, text, err
}

// attributeText writes the value of an attribute as Prometheus does: lists and the like as JSON.
func attributeText(x any) (string, error) {
	switch x := x.(type) {
	case nil:
		return "", nil
	case string:
		return x, nil
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64), nil
	case bool, int64:
		return fmt.Sprint(x), nil
	}
	b, err := json.Marshal(x)
	if err != nil {
		return "", errAttributes // NaN in a list, which JSON has not
	}
	return string(b), nil
}

// readAny reads an AnyValue, whose lists together may have so many elements.
func readAny(v otlpValue, budget *int, depth int) (x any, err error) {
	if *budget--; *budget < 0 || depth < 0 {
		return nil, errAttributes
	}
	err = v.fields(otlpAny, func(n protowire.Number, v otlpValue) (err error) {
		switch n {
		case 1:
			x, err = v.text()
		case 2:
			x, err = v.bool()
		case 3:
			x, err = v.int()
		case 4:
			x, err = v.float()
		case 5:
			list := []any{}
			err = v.fields(otlpValues, func(_ protowire.Number, v otlpValue) error {
				element, err := readAny(v, budget, depth-1)
				list = append(list, element)
				return err
			})
			x = list
		case 6:
			pairs := map[string]any{}
			err = v.fields(otlpValues, func(_ protowire.Number, v otlpValue) error {
				var key string
				return v.fields(otlpKeyValue, func(n protowire.Number, v otlpValue) (err error) {
					switch n {
					case 1:
						key, err = v.text()
					case 2:
						pairs[key], err = readAny(v, budget, depth-1)
					}
					return err
				})
			})
			x = pairs
		case 7:
			if v.json {
				x, err = v.text()
			} else {
				x = base64.StdEncoding.EncodeToString(v.raw)
			}
		}
		return err
	})
	return x, err
}

// take makes samples of the point that was read last.
func (d *otlpDecoder) take() {
	p := &d.point
	malformed := func(says string) { d.gathering.refuse(d.points, refusedShape, func() string { return says }) }
	switch {
	case len(p.counts) > maxOTLPBuckets || len(p.bounds) > maxOTLPBuckets || len(p.quantiles) > maxOTLPBuckets:
		d.gathering.refuse(d.points, refusedTooMany, func() string { return fmt.Sprintf("a data point may have %d buckets or quantiles", maxOTLPBuckets) })
	case d.metric.kind == otlpGauge || d.metric.kind == otlpSum:
		if !p.hasNumber && !p.none {
			malformed("it has no value")
			return
		}
		d.sample("", attribute{}, p.number)
	case d.metric.kind == otlpHistograms:
		if len(p.counts) > 0 && len(p.counts) != len(p.bounds)+1 {
			malformed(fmt.Sprintf("a histogram with %d bounds has %d counts", len(p.bounds), len(p.counts)))
			return
		}
		var below uint64
		for i, bound := range p.bounds[:max(0, len(p.counts)-1)] {
			below += p.counts[i]
			d.sample("_bucket", attribute{model.BucketLabel, labelNumber(bound)}, float64(below))
		}
		d.sample("_bucket", attribute{model.BucketLabel, "+Inf"}, float64(p.count))
		d.takeTotals()
	default:
		for _, q := range p.quantiles {
			d.sample("", attribute{model.QuantileLabel, labelNumber(q[0])}, q[1])
		}
		d.takeTotals()
	}
}

func (d *otlpDecoder) takeTotals() {
	if d.point.hasSum || d.metric.kind == otlpSummaries {
		d.sample("_sum", attribute{}, d.point.sum)
	}
	d.sample("_count", attribute{}, float64(d.point.count))
}

// labelNumber writes a number as Prometheus's otlptranslator does for le and quantile.
func labelNumber(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// sample adds one sample of the point.
func (d *otlpDecoder) sample(suffix string, extra attribute, v float64) {
	p, g, m := &d.point, d.gathering, &d.metric
	s := g.find(d.points, d.spell(suffix, extra), func(b *bus.LabelBuilder) { d.name(b, suffix, extra) })
	if s == nil {
		return
	}
	reason := ""
	if p.time != 0 {
		reason, _ = g.accepted.refusal(p.time)
	}
	switch {
	case p.none:
		v = math.Float64frombits(value.StaleNaN)
	case m.delta && reason == "":
		at := cmp.Or(p.time, g.accepted.now.UnixMilli())
		var says string
		if math.IsNaN(v) {
			says = "an increase that is no number"
		} else {
			v, says = d.totals.grow(string(s.labels.Bytes(nil)), at, v, time.Now())
		}
		if says != "" {
			g.report.lineError(d.points, refusedDelta, func() string { return says })
			return
		}
	}
	if p.time == 0 {
		g.addNow(s, d.points, v)
		return
	}
	g.add(s, d.points, p.time, v)
}

// spell returns the key of a series in this request.
func (d *otlpDecoder) spell(suffix string, extra attribute) []byte {
	// 0xff is in no UTF-8, so the pieces of a key cannot be mistaken for others.
	d.key = append(append(append(append(d.key[:0], d.metric.name...), 0xff), suffix...), 0xff)
	for _, list := range [][]attribute{d.resource, {extra}, d.point.attributes} {
		for _, a := range list {
			d.key = append(append(append(append(d.key, a.name...), 0xff), a.value...), 0xff)
		}
	}
	return d.key
}

// name adds the labels of a series. What becomes one name is one label, with its values joined, as in Prometheus.
func (d *otlpDecoder) name(b *bus.LabelBuilder, suffix string, extra attribute) {
	own := append([]attribute{extra}, d.resource...)
	var all []attribute
	namer := otlptranslator.LabelNamer{}
	for _, a := range d.point.attributes {
		name, err := namer.Build(a.name)
		if err != nil {
			name = "" // which the builder refuses
		}
		if !slices.ContainsFunc(own, func(o attribute) bool { return o.name == name && name != "" }) {
			all = append(all, attribute{name, a.value})
		}
	}
	slices.SortStableFunc(all, func(a, b attribute) int { return cmp.Compare(a.name, b.name) })
	for i := 0; i < len(all); i++ {
		text := all[i].value
		for i+1 < len(all) && all[i+1].name == all[i].name {
			i++
			text += ";" + all[i].value
		}
		b.Add([]byte(all[i].name), []byte(text))
	}
	for _, a := range own {
		if a.name != "" {
			b.Add([]byte(a.name), []byte(a.value))
		}
	}
	if d.metric.name != "" {
		b.Add([]byte(model.MetricNameLabel), []byte(d.metric.name+suffix))
	}
}
