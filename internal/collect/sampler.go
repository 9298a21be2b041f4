package collect

import (
	"context"
	"log/slog"
	"math"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
)

// quiet is the least time between two log lines about the same probe, should
// it come and go.
const quiet = time.Minute

// sampler turns readings into the series of a batch. It remembers the last
// reading, for rates, and the labels of every series, which are built once.
type sampler struct {
	host    string
	prober  prober
	log     *slog.Logger
	metrics *metrics

	usage    *usage
	disks    *throughput
	networks *throughput
	gauges   map[string]labels.Labels // by metric name
	lacks    map[string]*lack         // by probe
	series   int                      // of the last batch, to size the next
}

// lack is what is known about the failures of one probe.
type lack struct {
	failing  bool
	reported bool // this episode was logged, so its end is logged too
	logged   time.Time
}

func newSampler(o *Options, p prober, m *metrics) *sampler {
	return &sampler{
		host:     o.Host,
		prober:   p,
		log:      o.Logger,
		metrics:  m,
		usage:    newUsage(o.Host),
		disks:    newThroughput(o.Host, "disk_read_bytes_per_second", "disk_write_bytes_per_second", keepDisks(o.Disks)),
		networks: newThroughput(o.Host, "network_receive_bytes_per_second", "network_transmit_bytes_per_second", keepNetworks(o.Networks)),
		gauges:   make(map[string]labels.Labels),
		lacks:    make(map[string]*lack),
	}
}

// measure reads everything and returns it as the samples of tick, in Unix
// milliseconds. The batch is the caller's, without source and sequence number.
func (s *sampler) measure(ctx context.Context, tick int64) *bus.Batch {
	b := &bus.Batch{Series: make([]bus.Series, 0, s.series)}
	emit := appendTo(b, tick)

	// A probe that failed altogether forgets its last reading, because the
	// next rate would be measured over more than the interval before its tick.
	times, err := s.prober.cpu(ctx)
	s.note(ctx, "cpu", err)
	s.usage.measure(times, emit)

	gauges, err := s.prober.load(ctx)
	s.note(ctx, "load", err)
	s.emitGauges(gauges, emit)

	gauges, err = s.prober.memory(ctx)
	s.note(ctx, "memory", err)
	s.emitGauges(gauges, emit)

	counters, err := s.prober.disks(ctx)
	s.note(ctx, "disks", err)
	s.disks.measure(time.Now(), counters, emit)

	counters, err = s.prober.networks(ctx)
	s.note(ctx, "networks", err)
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

// note logs when a probe begins to fail and when it works again, not each
// failure.
func (s *sampler) note(ctx context.Context, probe string, err error) {
	if ctx.Err() != nil {
		return // it fails because we are ending
	}
	l := s.lacks[probe]
	if l == nil {
		l = &lack{}
		s.lacks[probe] = l
	}
	if err != nil {
		s.metrics.lacking.WithLabelValues(probe).Inc()
		if !l.failing && (l.logged.IsZero() || time.Since(l.logged) >= quiet) {
			s.log.Warn("this system does not give a measurement; it is left out until it does", "probe", probe, "err", err)
			l.reported, l.logged = true, time.Now()
		}
	} else if l.failing && l.reported {
		s.log.Info("a measurement is there again", "probe", probe)
		l.reported = false
	}
	l.failing = err != nil
}
