package ingest

import (
	"fmt"
	"strings"
	"time"

	"stripchart/internal/bus"
)

// Report says what a request held and its batch does not.
type Report struct {
	Histograms int // histogram samples, which are not taken
	Exemplars  int // likewise
	Refused    []Refusal
	// Lines are the first of what was refused in a format of lines, each also counted in
	// Refused.
	Lines []LineError
	Unit  string // what they are, "line" if nothing else
}

// LineError says what of a line was refused.
type LineError struct {
	Line    int // from 1
	Reason  string
	Message string
}

// maxLines bounds Report.Lines.
const maxLines = 100

// Refusal counts the samples that were left out for one reason.
type Refusal struct {
	Reason  string // one of a few fixed words, also in /metrics
	Samples int
	First   string // the first of them, and what is wrong with it
}

// Reasons of this package's own.
const (
	refusedTooOld = "too_old"
	refusedTooNew = "too_new"
)

// refuse counts samples of one series.
func (r *Report) refuse(reason string, samples int, first func() string) {
	for i := range r.Refused {
		if r.Refused[i].Reason == reason {
			r.Refused[i].Samples += samples
			return
		}
	}
	r.Refused = append(r.Refused, Refusal{Reason: reason, Samples: samples, First: first()})
}

// only reports whether everything that was refused was refused for one reason.
func (r *Report) only(reason string) bool {
	return len(r.Refused) == 1 && r.Refused[0].Reason == reason && r.Histograms == 0 && r.Exemplars == 0
}

// sentence tells a writer what was not written; "" when everything was.
func (r *Report) sentence(written int) string {
	var parts []string
	for _, x := range r.Refused {
		parts = append(parts, fmt.Sprintf("%d %s (the first: %s)", x.Samples, x.Reason, x.First))
	}
	if r.Histograms > 0 {
		parts = append(parts, fmt.Sprintf("%d histogram (not supported)", r.Histograms))
	}
	if r.Exemplars > 0 {
		parts = append(parts, fmt.Sprintf("%d exemplar (not supported)", r.Exemplars))
	}
	if len(parts) == 0 {
		return ""
	}
	return fmt.Sprintf("samples written: %d; not written: %s", written, strings.Join(parts, "; "))
}

// judgeTimes removes the samples from b that the rule of acceptance refuses at time now, and reports
// them, so that the writer learns the reason. The log time of the batch will be about now.
//
// It judges only batches without a sequence. A batch with a sequence must reach the log as its source
// has made it. Package apply judges such a batch by log time, with the same result on every server and
// at every replay; the clock of this endpoint may differ. If this endpoint removed samples, a batch
// that is sent again (the first answer was lost, or a spool kept the batch) would lose more samples
// than the first time, and readers would take either of the two duplicates for the whole batch. Even a
// batch that has grown too old in a spool must use up its number, or servers would declare a gap for
// samples that are only old. The metric stripchart_samples_refused_total counts the samples that apply
// refuses.
func (e *Endpoint) judgeTimes(b *bus.Batch, report *Report, now time.Time) {
	accepted := e.acceptance(now)
	series := b.Series[:0]
	for _, s := range b.Series {
		samples := s.Samples[:0]
		for _, x := range s.Samples {
			reason, says := accepted.refusal(x.T)
			if reason == "" {
				samples = append(samples, x)
				continue
			}
			report.refuse(reason, 1, func() string { return name(&s) + " at " + instant(x.T) + " " + says })
		}
		if s.Samples = samples; len(samples) > 0 {
			series = append(series, s)
		}
	}
	b.Series = series
}

// name names a series, in a bounded number of bytes.
func name(s *bus.Series) string {
	const most = 200
	name := s.Labels.String()
	if len(name) > most {
		name = name[:most] + "..."
	}
	return name
}
