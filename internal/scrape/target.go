package scrape

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// Bounds of Target.Interval.
const (
	MinInterval = 50 * time.Millisecond
	MaxInterval = time.Hour
)

// DefaultJob is the job of a target without a name.
const DefaultJob = "scrape"

// maxName bounds the bytes of a target's name.
const maxName = 256

// Target is an endpoint that exposes metrics.
type Target struct {
	URL      *url.URL
	Job      string        // the label job
	Instance string        // the label instance: host and port
	Interval time.Duration // MinInterval to MaxInterval, in whole milliseconds
}

// option finds where the options behind a URL begin: a URL may have commas too.
var option = regexp.MustCompile(`,(name|interval)=`)

// ParseTarget reads URL[,name=NAME][,interval=DURATION]. The default scheme is http, the default path
// /metrics, and the default interval the given one. The function duration parses an interval.
func ParseTarget(s string, interval time.Duration, duration func(string) (time.Duration, error)) (Target, error) {
	t := Target{Job: DefaultJob, Interval: interval}
	address, options := s, ""
	if at := option.FindStringIndex(s); at != nil {
		address, options = s[:at[0]], s[at[0]+1:]
	}
	for options != "" {
		var o string
		o, options, _ = strings.Cut(options, ",")
		key, value, _ := strings.Cut(o, "=")
		switch key {
		case "name":
			if t.Job = value; value == "" || len(value) > maxName || !model.LabelValue(value).IsValid() {
				return t, fmt.Errorf("name= wants the value of the label job, 1 to %d bytes of UTF-8", maxName)
			}
		case "interval":
			var err error
			if t.Interval, err = duration(value); err != nil {
				return t, fmt.Errorf("interval=: %w", err)
			}
		default:
			return t, fmt.Errorf("unknown option %.20q; there are name= and interval=", key)
		}
	}
	if t.Interval < MinInterval || t.Interval > MaxInterval || t.Interval%time.Millisecond != 0 {
		return t, fmt.Errorf("interval= must be %v to %v in whole milliseconds, not %v", MinInterval, MaxInterval, t.Interval)
	}
	return t, t.setURL(address)
}

func (t *Target) setURL(address string) error {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Hostname() == "" {
		return errors.New("want a URL such as http://127.0.0.1:9100/metrics") // without the URL, which may have a password
	}
	ports := map[string]string{"http": "80", "https": "443"}
	port, known := ports[u.Scheme]
	if !known {
		return fmt.Errorf("the scheme must be http or https, not %.20q", u.Scheme)
	}
	if u.Path == "" {
		u.Path = "/metrics"
	}
	if p := u.Port(); p != "" {
		port = p
	}
	t.URL, t.Instance = u, net.JoinHostPort(u.Hostname(), port)
	return nil
}
