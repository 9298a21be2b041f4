package ingest

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/prometheus/otlptranslator"
	"google.golang.org/protobuf/encoding/protowire"
)

// The fields of opentelemetry.proto.collector.metrics.v1 that are read, by their names in JSON.
var (
	otlpRequest    = otlpNames{"resourceMetrics": 1}
	otlpOfResource = otlpNames{"resource": 1, "scopeMetrics": 2}
	otlpResource   = otlpNames{"attributes": 1}
	otlpScope      = otlpNames{"metrics": 2}
	otlpMetric     = otlpNames{"name": 1, "unit": 3, "gauge": 5, "sum": 7, "histogram": 9, "exponentialHistogram": 10, "summary": 11}
	otlpData       = otlpNames{"dataPoints": 1, "aggregationTemporality": 2, "isMonotonic": 3}
	otlpNumber     = otlpNames{"timeUnixNano": 3, "asDouble": 4, "asInt": 6, "attributes": 7, "flags": 8}
	otlpHistogram  = otlpNames{"timeUnixNano": 3, "count": 4, "sum": 5, "bucketCounts": 6, "explicitBounds": 7, "exemplars": 8, "attributes": 9, "flags": 10}
	otlpSummary    = otlpNames{"timeUnixNano": 3, "count": 4, "sum": 5, "quantileValues": 6, "attributes": 7, "flags": 8}
	otlpQuantile   = otlpNames{"quantile": 1, "value": 2}
	otlpKeyValue   = otlpNames{"key": 1, "value": 2}
	otlpAny        = otlpNames{"stringValue": 1, "boolValue": 2, "intValue": 3, "doubleValue": 4, "arrayValue": 5, "kvlistValue": 6, "bytesValue": 7}
	otlpValues     = otlpNames{"values": 1}
)

// Kinds of data of a metric, by their fields.
const (
	otlpGauge       = 5
	otlpSum         = 7
	otlpHistograms  = 9
	otlpExponential = 10
	otlpSummaries   = 11
)

// Bounds of one data point. What lies beyond refuses the point, before any memory is taken for it.
const (
	maxAttributes  = 256
	maxOTLPBuckets = 1_000
	maxOTLPDepth   = 4 // of attributes that are lists
)

// Reasons for which a data point is refused.
const (
	refusedDelta = "delta_state"
	refusedShape = "malformed"
)

var errAttributes = errors.New("too many or too deep attributes")

// attribute is a label to be.
type attribute struct{ name, value string }

// otlpDecoder reads one request.
type otlpDecoder struct {
	gathering   *gathering
	totals      *totals
	names       map[string]string // of metrics, by their name, unit and kind
	points      int               // read so far
	exponential int               // data points of exponential histograms

	resource []attribute // job and instance
	metric   struct {
		name      string // translated
		kind      protowire.Number
		delta     bool
		monotonic bool
	}
	point otlpPoint
	key   []byte
}

func newOTLPDecoder(g *gathering, t *totals) *otlpDecoder {
	return &otlpDecoder{gathering: g, totals: t, names: map[string]string{}}
}

// request reads the whole message. An error means that it is no message of OTLP.
func (d *otlpDecoder) request(v otlpValue) error {
	return v.fields(otlpRequest, func(n protowire.Number, v otlpValue) error {
		if n != 1 {
			return nil
		}
		// A resource may follow its data in the message, so the message is read in two passes.
		d.resource = d.resource[:0]
		err := v.fields(otlpOfResource, func(n protowire.Number, v otlpValue) error {
			if n != 1 {
				return nil
			}
			return d.readResource(v)
		})
		if err != nil {
			return err
		}
		return v.fields(otlpOfResource, func(n protowire.Number, v otlpValue) error {
			if n != 2 {
				return nil
			}
			return v.fields(otlpScope, func(n protowire.Number, v otlpValue) error {
				if n != 2 {
					return nil
				}
				return d.readMetric(v)
			})
		})
	})
}

// readResource makes the labels job and instance, as Prometheus does.
func (d *otlpDecoder) readResource(v otlpValue) error {
	var service, namespace, instance string
	err := v.fields(otlpResource, func(n protowire.Number, v otlpValue) error {
		if n != 1 {
			return nil
		}
		key, text, err := readAttribute(v)
		if errors.Is(err, errAttributes) {
			return nil // it is none of those that are looked for
		}
		switch key {
		case "service.name":
			service = text
		case "service.namespace":
			namespace = text
		case "service.instance.id":
			instance = text
		}
		return err
	})
	if service != "" && namespace != "" {
		service = namespace + "/" + service
	}
	for _, a := range []attribute{{"job", service}, {"instance", instance}} {
		if a.value != "" {
			d.resource = append(d.resource, a)
		}
	}
	return err
}

// readMetric reads a metric and its data points.
func (d *otlpDecoder) readMetric(v otlpValue) error {
	var name, unit string
	var data otlpValue
	m := &d.metric
	m.kind, m.delta, m.monotonic = 0, false, false
	err := v.fields(otlpMetric, func(n protowire.Number, v otlpValue) (err error) {
		switch n {
		case 1:
			name, err = v.text()
		case 3:
			unit, err = v.text()
		case otlpGauge, otlpSum, otlpHistograms, otlpExponential, otlpSummaries:
			m.kind, data = n, v
		}
		return err
	})
	if err != nil || m.kind == 0 {
		return err
	}
	err = data.fields(otlpData, func(n protowire.Number, v otlpValue) (err error) {
		switch {
		case n == 2 && m.kind != otlpGauge && m.kind != otlpSummaries:
			m.delta, err = isDelta(v)
		case n == 3 && m.kind == otlpSum:
			m.monotonic, err = v.bool()
		}
		return err
	})
	if err != nil {
		return err
	}
	translated := d.translate(name, unit)
	m.name = translated
	return data.fields(otlpData, func(n protowire.Number, v otlpValue) error {
		if n != 1 {
			return nil
		}
		d.points++
		if m.kind == otlpExponential {
			d.exponential++
			return nil
		}
		if d.gathering.errors >= maxErrors {
			d.gathering.report.lineError(d.points, refusedTooMany, func() string { return fmt.Sprintf("after %d errors the rest was not read", maxErrors) })
			return nil
		}
		err := d.readPoint(v)
		if errors.Is(err, errAttributes) {
			d.gathering.refuse(d.points, refusedLabels, err.Error)
			return nil
		}
		if err == nil {
			d.take()
		}
		return err
	})
}

// isDelta reports whether data is of delta temporality, which JSON may spell out.
func isDelta(v otlpValue) (bool, error) {
	if v.json && v.raw[0] == '"' && !bytes.ContainsAny(v.raw, "0123456789") {
		return bytes.Contains(v.raw, []byte("DELTA")), nil
	}
	n, err := v.uint()
	return n == 1, err
}

// translate names the metric as Prometheus does unless told otherwise: with underscores for what a classic name cannot
// have, and unit and _total behind.
func (d *otlpDecoder) translate(name, unit string) string {
	m := &d.metric
	key := fmt.Sprintf("%s\xff%s\xff%d%v%v", name, unit, m.kind, m.monotonic, m.delta)
	if n, known := d.names[key]; known {
		return n
	}
	kind := map[protowire.Number]otlptranslator.MetricType{
		otlpGauge: otlptranslator.MetricTypeGauge, otlpSum: otlptranslator.MetricTypeNonMonotonicCounter,
		otlpHistograms: otlptranslator.MetricTypeHistogram, otlpSummaries: otlptranslator.MetricTypeSummary,
	}[m.kind]
	if m.kind == otlpSum && m.monotonic {
		kind = otlptranslator.MetricTypeMonotonicCounter
	}
	namer := otlptranslator.NewMetricNamer("", otlptranslator.UnderscoreEscapingWithSuffixes)
	n, err := namer.Build(otlptranslator.Metric{Name: name, Unit: unit, Type: kind})
	if err != nil {
		n = "" // the label builder refuses it, point by point
	}
	const remembered = 10_000
	if len(d.names) < remembered {
		d.names[key] = n
	}
	return n
}
