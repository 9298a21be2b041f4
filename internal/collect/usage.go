package collect

import (
	"math"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
)

// metricName is the label that holds the name of the metric.
const metricName = "__name__"

// usage turns cpuTimes into cpu_usage_percent.
type usage struct {
	host    string
	reading uint64 // counts readings, to notice cores that are gone
	cores   map[string]*core
}

type core struct {
	cpuTimes
	reading uint64 // the last that had this core
	labels  labels.Labels
}

func newUsage(host string) *usage {
	return &usage{host: host, cores: make(map[string]*core)}
}

// measure emits the usage of each core since the last call, if the core is in both
// readings.
func (u *usage) measure(times []cpuTimes, emit func(labels.Labels, float64)) {
	u.reading++
	for _, now := range times {
		c := u.cores[now.cpu]
		switch {
		case c == nil:
			c = &core{labels: labels.FromStrings(
				metricName, "cpu_usage_percent", "host", u.host, "cpu", now.cpu)}
			u.cores[now.cpu] = c
		case c.reading == u.reading:
			continue // listed twice
		default:
			// On Linux, idle and iowait sometimes go back a little. That is no reset of the
			// counters, so each part is clamped to zero by itself.
			busy, idle := max(0, now.busy-c.busy), max(0, now.idle-c.idle)
			if busy+idle > 0 {
				emit(c.labels, math.Round(10000*busy/(busy+idle))/100)
			}
		}
		c.cpuTimes, c.reading = now, u.reading
	}
	for name, c := range u.cores {
		if c.reading != u.reading {
			delete(u.cores, name)
		}
	}
}

// throughput turns ioCounters into byte rates and busy time of each device.
type throughput struct {
	host                            string
	keep                            keep
	inMetric, outMetric, busyMetric string // the last is empty for networks

	at      time.Time // of the last reading
	reading uint64
	devices map[string]*device
}

type device struct {
	in, out                         uint64
	busy                            time.Duration
	reading                         uint64 // the last that had this device
	kept                            bool
	inLabels, outLabels, busyLabels labels.Labels // only when kept
}

func newThroughput(host string, k keep, inMetric, outMetric, busyMetric string) *throughput {
	return &throughput{
		host: host, keep: k, inMetric: inMetric, outMetric: outMetric, busyMetric: busyMetric,
		devices: make(map[string]*device),
	}
}

// measure emits the rates of each kept device since the last call. A device must be in both readings
// and must have moved a byte since it appeared: an unused port or an empty card reader would only take
// up room. counters were read at at.
func (t *throughput) measure(at time.Time, counters []ioCounters, emit func(labels.Labels, float64)) {
	passed := at.Sub(t.at)
	seconds := passed.Seconds()
	t.at = at
	t.reading++
	for _, now := range counters {
		d := t.devices[now.device]
		switch {
		case d == nil:
			d = t.newDevice(now.device, counters)
			t.devices[now.device] = d
		case d.reading == t.reading:
			continue // listed twice
		case d.kept && seconds > 0 && now.in|now.out != 0 && now.in >= d.in && now.out >= d.out:
			// If one counter went back the device was reset or replaced, and
			// the other's difference means nothing either.
			emit(d.inLabels, math.Round(float64(now.in-d.in)/seconds))
			emit(d.outLabels, math.Round(float64(now.out-d.out)/seconds))
			if v, ok := percentOf(now.busy-d.busy, passed); ok && now.busy > 0 {
				emit(d.busyLabels, v)
			}
		}
		d.in, d.out, d.busy, d.reading = now.in, now.out, now.busy, t.reading
	}
	for name, d := range t.devices {
		if d.reading != t.reading {
			delete(t.devices, name)
		}
	}
}

func (t *throughput) newDevice(name string, all []ioCounters) *device {
	if !t.keep(name, all) {
		return &device{}
	}
	of := func(metric string) labels.Labels {
		return labels.FromStrings(metricName, metric, "host", t.host, "device", valid(name))
	}
	return &device{kept: true, inLabels: of(t.inMetric), outLabels: of(t.outMetric), busyLabels: of(t.busyMetric)}
}

// valid makes s fit for a label value: the kernel allows any bytes in the name of a network interface,
// and 4,095 of them in a mount point. U+FFFD, the usual replacement for invalid UTF-8, is valid in a
// label, but PromQL reports it as an error in a selector.
func valid(s string) string {
	s = s[:min(len(s), bus.EndpointLabels().Value)]
	return strings.ToValidUTF8(s, "_")
}

// appendTo returns an emit that appends a series with one sample at time t to
// b. It keeps no memory that b does not own, apart from the labels, which never
// change. A name that the system leaves empty is no label: see bus.LabelBuilder.
func appendTo(b *bus.Batch, t int64) func(labels.Labels, float64) {
	return func(l labels.Labels, v float64) {
		b.Series = append(b.Series, bus.Series{Labels: l.WithoutEmpty(), Samples: []bus.Sample{{T: t, V: v}}})
	}
}
