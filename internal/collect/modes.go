package collect

import (
	"math"

	"github.com/prometheus/prometheus/model/labels"
)

// modeTime is what all cores together spent in one mode since the machine
// started, in seconds. The modes of a machine share out all of its time.
type modeTime struct {
	mode    string // "user", "system", "idle", ...: the value of the label
	seconds float64
}

// modes turns modeTimes into cpu_mode_percent.
type modes struct {
	host   string
	last   map[string]float64 // seconds by mode, of the last reading
	labels map[string]labels.Labels
}

func newModes(host string) *modes {
	return &modes{host: host, labels: make(map[string]labels.Labels)}
}

// measure emits the share of each mode in the time since the last call. A mode that the machine was
// never in is left out, because most machines do not use all modes.
func (m *modes) measure(times []modeTime, emit func(labels.Labels, float64)) {
	var total float64
	spent := func(now modeTime) float64 {
		// As with usage, a little time taken back is no reset.
		return max(0, now.seconds-m.last[now.mode])
	}
	for _, now := range times {
		total += spent(now)
	}
	if m.last != nil && total > 0 {
		for _, now := range times {
			if now.seconds > 0 {
				emit(m.of(now.mode), math.Round(10000*spent(now)/total)/100)
			}
		}
	}
	if len(times) == 0 {
		m.last = nil
		return
	}
	if m.last == nil {
		m.last = make(map[string]float64, len(times))
	}
	for _, now := range times {
		m.last[now.mode] = now.seconds
	}
}

func (m *modes) of(mode string) labels.Labels {
	l, ok := m.labels[mode]
	if !ok {
		l = labels.FromStrings(metricName, "cpu_mode_percent", "host", m.host, "mode", mode)
		m.labels[mode] = l
	}
	return l
}
