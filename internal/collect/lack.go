package collect

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// quiet is the least time between two log lines about the same probe, which may fail and recover many
// times.
const quiet = time.Minute

// errLacks is the error of a probe for something that many systems do not have, such as
// sensors in a container. Its absence is not logged.
var errLacks = errors.New("this system does not have it")

// lacks logs when a probe begins to fail and when it works again, not each
// failure. It is used by one goroutine.
type lacks struct {
	log     *slog.Logger
	metrics *metrics
	probes  map[string]*lack
}

// lack is what is known about the failures of one probe.
type lack struct {
	failing  bool
	reported bool // this episode was logged, so its end is logged too
	logged   time.Time
}

func newLacks(log *slog.Logger, m *metrics) *lacks {
	return &lacks{log: log, metrics: m, probes: make(map[string]*lack)}
}

// note records the outcome of a reading; err is nil when it succeeded.
func (ls *lacks) note(ctx context.Context, probe string, err error) {
	if ctx.Err() != nil {
		return // the collector ends, so an error says nothing about the probe
	}
	l := ls.probes[probe]
	if l == nil {
		l = &lack{}
		ls.probes[probe] = l
	}
	expected := errors.Is(err, errLacks)
	if err != nil {
		if !expected {
			ls.metrics.lacking.WithLabelValues(probe).Inc()
		}
		if !l.failing && (l.logged.IsZero() || time.Since(l.logged) >= quiet) {
			level := slog.LevelWarn
			if expected {
				level = slog.LevelDebug
			}
			ls.log.Log(ctx, level, "this system does not give a measurement; it is left out until it does", "probe", probe, "err", err)
			l.reported, l.logged = true, time.Now()
		}
	} else if l.failing && l.reported {
		ls.log.Info("a measurement is there again", "probe", probe)
		l.reported = false
	}
	l.failing = err != nil
}
