package scrape

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/model/value"

	"stripchart/internal/bus"
)

// target is a Target, and what is known of its series. It is for one goroutine.
type target struct {
	Target
	userAgent     string
	behind, ahead time.Duration
	client        *http.Client
	log           *slog.Logger
	metrics       *metrics

	up, duration, scraped labels.Labels
	builder               *bus.LabelBuilder
	exemplar              exemplar.Exemplar

	answers uint64             // number of the answer that is being read
	tick    int64              // tick of that answer, Unix ms
	live    []*series          // of that one, in its order
	before  []*series          // of the answer before it
	series  map[string]*series // by the spelling of the target
	byName  map[string]*series // by labels: other spellings lead to the same series
	most    int                // series that are known: MaxKnown
	bytes   int                // of the keys of byName
	swept   time.Time          // when sweep last looked for series that are gone
	failing bool
	left    error          // the first thing that was left out of this answer
	counts  map[string]int // of what was left out, by reason
	told    time.Time
}

// series is one series of a target.
type series struct {
	labels  labels.Labels
	answer  uint64 // the newest that has it
	tick    int64  // of that one
	samples []bus.Sample
	named   bool  // the target names the times
	last    int64 // newest time that the target has named
}

// keepGone is how long a series is known after its last sample.
const keepGone = time.Hour

func newTarget(t Target, o *Options, c *http.Client, m *metrics) *target {
	own := func(name string) labels.Labels {
		return labels.FromStrings(model.MetricNameLabel, name, "instance", t.Instance, "job", t.Job)
	}
	return &target{
		Target: t, most: MaxKnown, userAgent: o.UserAgent, behind: o.Behind, ahead: o.Ahead, client: c, metrics: m,
		log: o.Logger.With("job", t.Job, "instance", t.Instance),
		up:  own("up"), duration: own("scrape_duration_seconds"), scraped: own("scrape_samples_scraped"),
		builder: bus.NewLabelBuilder(bus.EndpointLabels()), series: map[string]*series{}, byName: map[string]*series{}, counts: map[string]int{},
	}
}

// scrape asks the target and returns the batch of a tick; nil where ctx has ended.
func (t *target) scrape(ctx context.Context, tick int64) *bus.Batch {
	began := time.Now()
	a, err := t.fetch(ctx)
	if ctx.Err() != nil {
		return nil // it says nothing about the target
	}
	t.begin(tick)
	if err == nil {
		err = t.take(a)
	}
	up := 1.0
	if err != nil {
		t.live, up = t.live[:0], 0
	}
	b := t.batch()
	one := func(ls labels.Labels, v float64) {
		b.Series = append(b.Series, bus.Series{Labels: ls, Samples: []bus.Sample{{T: tick, V: v}}})
	}
	one(t.scraped, float64(len(t.live)))
	one(t.duration, time.Since(began).Seconds())
	one(t.up, up)
	t.report(err)
	return b
}

// begin begins an answer; the series that are live belong to the answer before it.
func (t *target) begin(tick int64) {
	t.live, t.before = t.before[:0], t.live
	t.tick = tick
	t.again()
}

// again begins the same answer anew.
func (t *target) again() {
	t.answers++
	t.live, t.left = t.live[:0], nil
	clear(t.counts)
}

// take reads an answer. Lines that cannot be read are rare, so they are looked for only after an error.
func (t *target) take(a answer) error {
	if err := a.trim(); err != nil {
		return err
	}
	unreadable, err := t.read(a)
	if unreadable == nil || err != nil {
		return err
	}
	bad, first, err := a.mend()
	if err != nil {
		return err
	}
	t.again()
	t.leaveOut(leftUnreadable, bad, func() error { return first })
	unreadable, err = t.read(a)
	return errors.Join(unreadable, err)
}

// read reads the samples of an answer. Reading ends at the first line that cannot be read; unreadable
// is the error of that line.
func (t *target) read(a answer) (unreadable, err error) {
	for p := a.parser(a.body); ; {
		entry, err := p.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil, nil
		case err != nil:
			return err, nil
		case entry != textparse.EntrySeries:
			continue
		}
		if err := t.sample(p); err != nil {
			return nil, err
		}
		for p.Exemplar(&t.exemplar) {
			t.counts[leftExemplar]++ // asked for by nobody, so nobody is told
		}
	}
}

// sample takes the sample that p has come to.
func (t *target) sample(p textparse.Parser) error {
	spelled, named, v := p.Series()
	s := t.series[string(spelled)]
	if s == nil {
		if s = t.find(p, spelled); s == nil {
			return nil
		}
	}
	if s.answer != t.answers {
		if len(t.live) == MaxSeries {
			return fmt.Errorf("its answer has more than %d series", MaxSeries)
		}
		s.answer, s.tick, s.samples, s.named = t.answers, t.tick, s.samples[:0], false
		t.live = append(t.live, s)
	}
	at := t.tick
	if named != nil {
		at, s.named = *named, true
		switch now := time.Now(); {
		case at == s.last:
			return nil // the answer before had it
		case at < now.Add(-t.behind).UnixMilli():
			t.leaveOut(leftTooOld, 1, func() error { return fmt.Errorf("%.200s: its time lies more than %v back", spelled, t.behind) })
			return nil
		case at > now.Add(t.ahead).UnixMilli():
			t.leaveOut(leftTooNew, 1, func() error { return fmt.Errorf("%.200s: its time lies more than %v ahead", spelled, t.ahead) })
			return nil
		}
	}
	s.samples = append(s.samples, bus.Sample{T: at, V: v})
	return nil
}

// find returns the series under a spelling that is not known; nil where it is left out.
func (t *target) find(p textparse.Parser, spelled []byte) *series {
	ls, err := t.labels(p)
	switch {
	case err != nil:
		t.leaveOut(leftLabels, 1, func() error { return fmt.Errorf("%.200s: %w", spelled, err) })
		return nil
	case labels.Equal(ls, t.up), labels.Equal(ls, t.duration), labels.Equal(ls, t.scraped):
		t.leaveOut(leftDuplicate, 1, func() error { return fmt.Errorf("%.200s: the scraper itself writes this series", spelled) })
		return nil
	}
	key := string(ls.Bytes(nil))
	s := t.byName[key]
	if s == nil {
		full := func() bool { return len(t.byName) >= t.most || t.bytes+len(key) > maxKnownBytes }
		if full() {
			t.sweep()
		}
		if full() {
			t.leaveOut(leftNew, 1, func() error { return fmt.Errorf("%.200s: a target may have %d series in an hour", spelled, t.most) })
			return nil
		}
		t.bytes += len(key)
		s = &series{labels: ls}
		t.byName[key] = s
	}
	if len(t.series) >= 2*MaxKnown {
		clear(t.series) // the target changes its spelling; what it still uses is found again
	}
	t.series[string(spelled)] = s
	return s
}

// sweep forgets the series that have been gone for keepGone. It runs once a minute at most.
func (t *target) sweep() {
	if now := time.Now(); now.Sub(t.swept) >= time.Minute {
		t.swept = now
		maps.DeleteFunc(t.byName, func(key string, s *series) bool {
			gone := s.answer != t.answers && s.tick < t.tick-keepGone.Milliseconds()
			if gone {
				t.bytes -= len(key)
			}
			return gone
		})
		clear(t.series)
	}
}

// labels returns the labels of the sample that p has come to, with the target's.
func (t *target) labels(p textparse.Parser) (labels.Labels, error) {
	var exposed labels.Labels
	p.Labels(&exposed)
	t.builder.Reset()
	exposed.Range(func(l labels.Label) {
		name := l.Name
		if name == "job" || name == "instance" {
			for name = "exported_" + name; exposed.Has(name); {
				name = "exported_" + name
			}
		}
		t.builder.Add([]byte(name), []byte(l.Value))
	})
	t.builder.Add([]byte("job"), []byte(t.Job))
	t.builder.Add([]byte("instance"), []byte(t.Instance))
	return t.builder.Labels()
}

// batch returns what is live, and the marks of what was live before and is not any more.
func (t *target) batch() *bus.Batch {
	b := &bus.Batch{Series: make([]bus.Series, 0, len(t.live)+8)}
	live := make(map[*series]struct{}, len(t.live))
	for _, s := range t.live {
		live[s] = struct{}{}
		samples := t.order(s)
		if len(samples) == 0 {
			continue
		}
		if s.named {
			s.last = max(s.last, samples[len(samples)-1].T)
		}
		b.Series = append(b.Series, bus.Series{Labels: s.labels, Samples: slices.Clone(samples)})
	}
	for _, s := range t.before {
		if _, there := live[s]; !there && !s.named {
			b.Series = append(b.Series, bus.Series{Labels: s.labels, Samples: []bus.Sample{{T: t.tick, V: math.Float64frombits(value.StaleNaN)}}})
		}
	}
	t.metrics.series.Add(float64(len(t.live) - len(t.before)))
	return b
}

// order makes the times of s ascend. Of several samples at one time it keeps the first.
func (t *target) order(s *series) []bus.Sample {
	if len(s.samples) < 2 {
		return s.samples
	}
	slices.SortStableFunc(s.samples, func(a, b bus.Sample) int { return cmp.Compare(a.T, b.T) })
	kept := s.samples[:1]
	for _, x := range s.samples[1:] {
		switch newest := kept[len(kept)-1]; {
		case newest.T != x.T:
			kept = append(kept, x)
		case math.Float64bits(newest.V) != math.Float64bits(x.V):
			t.leaveOut(leftDuplicate, 1, func() error {
				return fmt.Errorf("%.200s: the answer has two values of it; the first is kept", s.labels.String())
			})
		}
	}
	return kept
}
