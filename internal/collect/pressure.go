package collect

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// stall is the time since the machine started in which some task waited for a resource:
// Linux's pressure stall information.
type stall struct {
	resource string // "cpu", "memory", "io": the value of the label
	total    time.Duration
}

// pressure turns stalls into pressure_some_percent. The kernel's own averages
// span 10 s at least and are renewed every 2 s; its totals are exact at each
// reading.
type pressure struct {
	host      string
	resources map[string]*resource
}

type resource struct {
	total  time.Duration
	at     time.Time // zero: the last reading did not have it
	labels labels.Labels
}

func newPressure(host string) *pressure {
	return &pressure{host: host, resources: make(map[string]*resource)}
}

// measure emits the share of the time since the last call in which some task
// stalled. stalls were read at at.
func (p *pressure) measure(at time.Time, stalls []stall, emit func(labels.Labels, float64)) {
	for _, now := range stalls {
		r := p.resources[now.resource]
		if r == nil {
			r = &resource{labels: labels.FromStrings(
				metricName, "pressure_some_percent", "host", p.host, "resource", now.resource)}
			p.resources[now.resource] = r
		}
		if v, ok := percentOf(now.total-r.total, at.Sub(r.at)); ok && !r.at.IsZero() {
			emit(r.labels, v)
		}
		r.total, r.at = now.total, at
	}
	for _, r := range p.resources {
		if !r.at.Equal(at) {
			r.at = time.Time{}
		}
	}
}

// percentOf returns part of whole, 0 to 100 with 2 decimals. Different clocks measure the
// two, so part may exceed whole a little. It returns false if a counter went back or no
// time has passed.
func percentOf(part, whole time.Duration) (percent float64, ok bool) {
	if part < 0 || whole <= 0 {
		return 0, false
	}
	return math.Round(10000*min(1, float64(part)/float64(whole))) / 100, true
}

var errPressureForm = errors.New(`no line "some ... total=microseconds" in it`)

// parseStall returns the total of the line "some" of a file of /proc/pressure:
//
//	some avg10=1.16 avg60=0.82 avg300=0.37 total=5294438
//	full avg10=0.90 avg60=0.57 avg300=0.28 total=4385039
func parseStall(text string) (time.Duration, error) {
	for line := range strings.Lines(text) {
		fields, ok := strings.CutPrefix(line, "some ")
		if !ok {
			continue
		}
		for field := range strings.FieldsSeq(fields) {
			total, ok := strings.CutPrefix(field, "total=")
			if !ok {
				continue
			}
			us, err := strconv.ParseUint(total, 10, 64)
			if err != nil || us > math.MaxInt64/uint64(time.Microsecond) {
				return 0, errPressureForm
			}
			return time.Duration(us) * time.Microsecond, nil
		}
	}
	return 0, errPressureForm
}
