package collect

import (
	"context"
	"math"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
)

// sampler turns readings into the series of a batch. It remembers the last
// reading, for rates, and the labels of every series, which are built once.
type sampler struct {
	host   string
	prober prober
	lacks  *lacks

	usage    *usage
	modes    *modes
	disks    *throughput
	networks *throughput
	pressure *pressure
	gauges   map[string]labels.Labels // by metric name
	series   int                      // of the last batch, to size the next
}

func newSampler(o *Options, p prober, m *metrics) *sampler {
	return &sampler{
		host:   o.Host,
		prober: p,
		lacks:  newLacks(o.Logger, m),
		usage:  newUsage(o.Host),
		modes:  newModes(o.Host),
		disks: newThroughput(o.Host, keepDisks(o.Disks),
			"disk_read_bytes_per_second", "disk_write_bytes_per_second", "disk_busy_percent"),
		networks: newThroughput(o.Host, keepNetworks(o.Networks),
			"network_receive_bytes_per_second", "network_transmit_bytes_per_second", ""),
		pressure: newPressure(o.Host),
		gauges:   make(map[string]labels.Labels),
	}
}

// measure reads everything and returns it as the samples of tick, in Unix
// milliseconds. The batch is the caller's, without source and sequence number.
func (s *sampler) measure(ctx context.Context, tick int64) *bus.Batch {
	b := &bus.Batch{Series: make([]bus.Series, 0, s.series)}
	emit := appendTo(b, tick)

	// A probe that failed altogether forgets its last reading: the next rate would otherwise cover more
	// than the one interval before its tick.
	times, modes, err := s.prober.cpu(ctx)
	s.lacks.note(ctx, "cpu", err)
	s.usage.measure(times, emit)
	s.modes.measure(modes, emit)

	gauges, err := s.prober.load(ctx)
	s.lacks.note(ctx, "load", err)
	s.emitGauges(gauges, emit)

	gauges, err = s.prober.memory(ctx)
	s.lacks.note(ctx, "memory", err)
	s.emitGauges(gauges, emit)

	gauges, err = s.prober.processes(ctx)
	s.lacks.note(ctx, "processes", err)
	s.emitGauges(gauges, emit)

	stalls, err := s.prober.pressure(ctx)
	s.lacks.note(ctx, "pressure", err)
	s.pressure.measure(time.Now(), stalls, emit)

	counters, err := s.prober.disks(ctx)
	s.lacks.note(ctx, "disks", err)
	s.disks.measure(time.Now(), counters, emit)

	counters, err = s.prober.networks(ctx)
	s.lacks.note(ctx, "networks", err)
	s.networks.measure(time.Now(), counters, emit)

	s.series = len(b.Series)
	return b
}

func (s *sampler) emitGauges(gauges []gauge, emit func(labels.Labels, float64)) {
	for _, g := range gauges {
		l, ok := s.gauges[g.metric]
		if !ok {
			l = labels.FromStrings(metricName, g.metric, "host", s.host)
			s.gauges[g.metric] = l
		}
		emit(l, math.Round(100*g.value)/100)
	}
}
