package chaos

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"stripchart/internal/wire"
)

// server is a `stripchart serve`, or a `stripchart`.
type server struct {
	remote
	address string // of its own
	door    *link  // how viewers reach it
}

// start starts the server and waits until it is ready, for as long as it applies something.
func (s *server) start() error {
	if err := s.process.start(); err != nil {
		return err
	}
	applied, at := int64(0), time.Time{}
	progress := func() int64 {
		if time.Since(at) > time.Second {
			applied, at = int64(s.metric("stripchart_apply_seconds_count")), time.Now()
		}
		return applied
	}
	if !untilStill(patience, s.ready, progress) {
		return fmt.Errorf("%s is not ready after %v; see %s", s.name, patience, s.log)
	}
	return nil
}

// refused returns how many samples the server has refused because of their times since
// it started.
func (s *server) refused() float64 {
	return s.metric(`stripchart_samples_refused_total{reason="too_new"}`) + s.metric(`stripchart_samples_refused_total{reason="too_old"}`)
}

// metric returns what the server says of one, 0 when it does not answer.
func (s *server) metric(name string) (x float64) {
	client := http.Client{Timeout: 5 * time.Second}
	resp, err := client.Get("http://" + s.address + "/metrics")
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			x, _ = strconv.ParseFloat(value, 64)
		}
	}
	return x
}

func (s *server) ready() bool { return healthy("http://" + s.address + "/readyz") }

// slice is the span of one request for history, in ms: no series has more samples
// in it than points.
const slice = 60_000

// history reads what a server holds of the query in the slices that begin at the
// given times.
func (s *server) history(query string, slices []int64) (*holding, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := dial(ctx, s.address, live)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	h := newHolding("history of " + s.name)
	for _, from := range slices {
		n := points
		var a wire.HistoryAnswer
		if err := request(c, wire.EventHistory, wire.History{Query: query, From: from, To: from + slice - 1, Points: &n}, &a); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		names := map[int]string{}
		for _, d := range a.Series {
			names[d.ID] = seriesName(d.Labels)
		}
		if _, _, err := h.blocks(a.Blocks, names, nil); err != nil {
			return nil, err
		}
	}
	return h, nil
}
