package ingest

import (
	"bytes"
	"fmt"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
)

// Bounds of one request in a format of lines. What lies beyond is refused line by line.
const (
	maxGatheredSeries  = 100_000
	maxGatheredSamples = 1_000_000
	// maxGatheredBytes bounds what the names of the series occupy: a short body may spell
	// long labels once and name many series with them.
	maxGatheredBytes = 32 << 20
	// maxFields bounds the fields of one line of the line protocol.
	maxFields = 10_000
	// maxErrors is how many lines that cannot be read, and refused series, are enough.
	maxErrors = 100_000
)

// Reasons for which a line is refused.
const (
	refusedUnreadable = "unreadable"
	refusedLabels     = "invalid_labels"
	refusedDuplicate  = "duplicate" // of a sample in the same request, with another value
	refusedTooFast    = "too_fast"  // more samples without a time than there are milliseconds
	refusedTooMany    = "too_many"  // beyond a bound of one request
)

// gathering makes a batch of samples that come one by one, in the order of their lines.
type gathering struct {
	accepted acceptance
	builder  *bus.LabelBuilder
	series   []*gathered
	byKey    map[string]*gathered // by the spelling of the request
	byLabels map[string]*gathered // by labels: other spellings lead to the same series
	samples  int
	bytes    int // of labels and keys
	report   Report

	errors int // of lines that cannot be read, and of series that are refused
}

// gathered is one series of a gathering.
type gathered struct {
	labels  labels.Labels
	samples []bus.Sample
	lines   []int32 // of each sample
	untimed int     // samples that have no time yet; their T is noTime
}

// noTime stands in a sample until finish gives it a time.
const noTime = math.MinInt64

// newGathering returns a gathering whose series all get the labels of fixed.
func newGathering(a acceptance, fixed labels.Labels) *gathering {
	g := &gathering{
		accepted: a, builder: bus.NewLabelBuilder(bus.EndpointLabels()),
		byKey: map[string]*gathered{}, byLabels: map[string]*gathered{},
	}
	g.builder.Fix(fixed)
	return g
}

// cannotRead reports an error of a line.
func (g *gathering) cannotRead(line int, says func() string) { g.refuse(line, refusedUnreadable, says) }

// refuse reports what has cost time and led to nothing; see enough.
func (g *gathering) refuse(line int, reason string, says func() string) {
	g.errors++
	g.report.lineError(line, reason, says)
}

// enough reports whether reading has to stop, because so much was refused. What is left of
// the body, from the given line on, is refused then.
func (g *gathering) enough(line int, left []byte) bool {
	if g.errors < maxErrors {
		return false
	}
	n := bytes.Count(left, []byte{'\n'})
	if !bytes.HasSuffix(left, []byte{'\n'}) {
		n++
	}
	g.report.linesError(line, n, refusedTooMany, func() string {
		return fmt.Sprintf("after %d errors the rest of the body was not read", maxErrors)
	})
	return true
}

// find returns the series under a key of the caller's choice; add names the labels when the
// key is new. It returns nil where the series is refused: the report names the line then.
func (g *gathering) find(line int, key []byte, add func(*bus.LabelBuilder)) *gathered {
	if s := g.byKey[string(key)]; s != nil {
		return s
	}
	g.builder.Reset()
	add(g.builder)
	ls, err := g.builder.Labels()
	if err != nil {
		g.refuse(line, refusedLabels, err.Error)
		return nil
	}
	spelled := string(ls.Bytes(nil))
	s := g.byLabels[spelled]
	if s == nil {
		if len(g.series) == maxGatheredSeries {
			g.refuse(line, refusedTooMany, func() string { return fmt.Sprintf("one request may have %d series", maxGatheredSeries) })
			return nil
		}
		const overhead = 64
		size := 2*len(spelled) + len(key) + overhead
		if g.bytes+size > maxGatheredBytes {
			g.refuse(line, refusedTooMany, func() string {
				return fmt.Sprintf("the labels of the series in one request may need %d bytes", maxGatheredBytes)
			})
			return nil
		}
		g.bytes += size
		s = &gathered{labels: ls}
		g.series = append(g.series, s)
		g.byLabels[spelled] = s
		g.byKey[string(key)] = s
		return s
	}
	// Another spelling, which is remembered while there is room for it.
	if len(g.byKey) < 2*maxGatheredSeries && g.bytes+len(key) <= maxGatheredBytes {
		g.bytes += len(key)
		g.byKey[string(key)] = s
	}
	return s
}

// add adds a sample to s.
func (g *gathering) add(s *gathered, line int, t int64, v float64) {
	if reason, says := g.accepted.refusal(t); reason != "" {
		g.report.lineError(line, reason, func() string { return instant(t) + " " + says })
		return
	}
	g.append(s, line, bus.Sample{T: t, V: v})
}

// addNow adds a sample whose line names no time.
func (g *gathering) addNow(s *gathered, line int, v float64) {
	if g.append(s, line, bus.Sample{T: noTime, V: v}) {
		s.untimed++
	}
}

func (g *gathering) append(s *gathered, line int, x bus.Sample) bool {
	if g.samples == maxGatheredSamples {
		g.report.lineError(line, refusedTooMany, func() string { return fmt.Sprintf("one request may have %d samples", maxGatheredSamples) })
		return false
	}
	g.samples++
	s.samples = append(s.samples, x)
	s.lines = append(s.lines, int32(line))
	return true
}

// finish returns the batch and what is not in it. stamps gives times to the samples without
// one; it may be nil where there are none.
func (g *gathering) finish(stamps *stamps) (*bus.Batch, Report) {
	b := &bus.Batch{Series: make([]bus.Series, 0, len(g.series))}
	for _, s := range g.series {
		if s.untimed > 0 {
			g.stamp(s, stamps)
		}
		g.order(s)
		if len(s.samples) > 0 {
			b.Series = append(b.Series, bus.Series{Labels: s.labels, Samples: s.samples})
		}
	}
	return b, g.report
}

// stamp gives times to the samples of s that have none.
func (g *gathering) stamp(s *gathered, stamps *stamps) {
	next, last := stamps.take(s.labels.Hash(), g.accepted.now.UnixMilli(), s.untimed)
	kept := 0
	for i, x := range s.samples {
		if x.T == noTime {
			if next > last {
				g.report.lineError(int(s.lines[i]), refusedTooFast, func() string {
					return "a series has one sample a millisecond, and the samples without a time are ahead of the clock; write a time before each number"
				})
				continue
			}
			x.T = next
			next++
		}
		s.samples[kept], s.lines[kept] = x, s.lines[i]
		kept++
	}
	s.samples, s.lines = s.samples[:kept], s.lines[:kept]
}

// order makes the times of s ascend. Of several samples at one time it keeps the first; one
// with the same value is no loss, others are reported.
func (g *gathering) order(s *gathered) {
	ascending := true
	for i := 1; i < len(s.samples) && ascending; i++ {
		ascending = s.samples[i-1].T < s.samples[i].T
	}
	if ascending {
		return
	}
	places := make([]int, len(s.samples))
	for i := range places {
		places[i] = i
	}
	slices.SortStableFunc(places, func(a, b int) int {
		switch {
		case s.samples[a].T < s.samples[b].T:
			return -1
		case s.samples[a].T > s.samples[b].T:
			return 1
		}
		return 0
	})
	kept := make([]bus.Sample, 0, len(places))
	for _, at := range places {
		x := s.samples[at]
		if n := len(kept); n == 0 || kept[n-1].T != x.T {
			kept = append(kept, x)
		} else if math.Float64bits(kept[n-1].V) != math.Float64bits(x.V) {
			g.report.lineError(int(s.lines[at]), refusedDuplicate, func() string {
				return "there is another value at " + instant(x.T) + " in the request; the first is kept"
			})
		}
	}
	s.samples = kept
}
