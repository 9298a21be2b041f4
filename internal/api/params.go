package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"stripchart/internal/store"
)

const (
	// maxPoints is how many steps a range query may have.
	maxPoints = 11_000
	// maxSelectors bounds the match[] of a request, and maxMatchers those of each.
	maxSelectors = 64
	maxMatchers  = 16
)

// farSeconds is the end of all times, in seconds: their milliseconds fit twice into int64.
const farSeconds = math.MaxInt64 / 2000

// parseTime reads Unix seconds with decimals, to the millisecond, or RFC 3339.
func parseTime(s string) (time.Time, error) {
	if seconds, err := strconv.ParseFloat(s, 64); err == nil {
		if !(math.Abs(seconds) <= farSeconds) { // true for NaN too
			return time.Time{}, fmt.Errorf("%q is no time: it is too far away", s)
		}
		whole, part := math.Modf(seconds)
		return time.UnixMilli(int64(whole)*1000 + int64(math.Round(part*1000))).UTC(), nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("cannot parse %q to a valid timestamp: want Unix seconds or RFC 3339", s)
	}
	return t, nil
}

// parseDuration reads seconds with decimals, or Prometheus's form such as 1m30s or 50ms.
func parseDuration(s string) (time.Duration, error) {
	if seconds, err := strconv.ParseFloat(s, 64); err == nil {
		if d := seconds * float64(time.Second); math.Abs(d) < math.MaxInt64 {
			// 0.05 is no float64: the nearest nanosecond is meant.
			return time.Duration(math.Round(d)), nil
		}
		return 0, fmt.Errorf("cannot parse %q to a valid duration: it is too long", s)
	}
	d, err := model.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("cannot parse %q to a valid duration: want seconds, or a form such as 1m30s", s)
	}
	return time.Duration(d), nil
}

// time returns a parameter, or otherwise where it is missing.
func (r *request) time(name string, otherwise time.Time) (time.Time, error) {
	s := r.Form.Get(name)
	if s == "" {
		return otherwise, nil
	}
	t, err := parseTime(s)
	if err != nil {
		return t, badParameter(name, err)
	}
	return t, nil
}

// span returns the parameters start and end in Unix milliseconds; all times where they
// are missing.
func (r *request) span() (from, to int64, err error) {
	const far = farSeconds * 1000
	start, err := r.time("start", time.UnixMilli(-far))
	if err != nil {
		return 0, 0, err
	}
	end, err := r.time("end", time.UnixMilli(far))
	if err != nil {
		return 0, 0, err
	}
	return start.UnixMilli(), end.UnixMilli(), nil
}

// limit returns the parameter; 0: none.
func (r *request) limit() (int, error) {
	s := r.Form.Get("limit")
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	switch {
	case err != nil:
		return 0, badParameter("limit", err)
	case n < 0:
		return 0, badParameter("limit", errors.New("limit must be non-negative"))
	}
	return n, nil
}

// withTimeout applies the parameter timeout to what the caller waits for.
func (r *request) withTimeout() (context.CancelFunc, error) {
	s := r.Form.Get("timeout")
	if s == "" {
		return func() {}, nil
	}
	d, err := parseDuration(s)
	if err != nil {
		return nil, badParameter("timeout", err)
	}
	var cancel context.CancelFunc
	r.ctx, cancel = context.WithTimeout(r.ctx, d)
	return cancel, nil
}

// selectors returns the parameters match[]: each needs a matcher that the empty value
// does not satisfy.
func (r *request) selectors(p parser.Parser) ([][]*labels.Matcher, error) {
	given := r.Form["match[]"]
	if len(given) > maxSelectors {
		return nil, badParameter("match[]", fmt.Errorf("%d selectors; at most %d are allowed", len(given), maxSelectors))
	}
	if err := store.CheckRegexes(given...); err != nil {
		return nil, badParameter("match[]", err)
	}
	var all [][]*labels.Matcher
	for _, s := range given {
		ms, err := p.ParseMetricSelector(s)
		if err != nil {
			return nil, badParameter("match[]", err)
		}
		if len(ms) > maxMatchers {
			return nil, badParameter("match[]", fmt.Errorf("the selector has %d matchers; at most %d are allowed", len(ms), maxMatchers))
		}
		if !selective(ms) {
			return nil, badParameter("match[]", errors.New("match[] must contain at least one non-empty matcher"))
		}
		all = append(all, ms)
	}
	return all, nil
}

func selective(ms []*labels.Matcher) bool {
	for _, m := range ms {
		if !m.Matches("") {
			return true
		}
	}
	return false
}
