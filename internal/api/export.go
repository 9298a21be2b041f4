package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"stripchart/internal/bus"
	"stripchart/internal/export"
)

const (
	// maxExports is how many exports may be under way. Each needs up to 6 MiB: of its pieces
	// one is being made, exportPieces wait, and one is being sent.
	maxExports   = 2
	exportPieces = 3
	exportPiece  = 1 << 20
	// turnTime is how long a turn of an export holds a querier open, and turnWait how long a
	// turn waits for its client. Then the querier is closed, and opened again where the
	// export has got to: an open querier holds up compaction. turnTimeout ends a turn that
	// gets nowhere.
	turnTime    = 2 * time.Second
	turnWait    = 50 * time.Millisecond
	turnTimeout = 30 * time.Second
	// maxColumns is how many labels a CSV file has columns for.
	maxColumns = 1000

	// warningTrailer is behind an answer that lacks something.
	warningTrailer = "Stripchart-Warning"
)

// export answers with the raw samples of series, as a file. It is read in turns: each opens a
// querier, reads on from where the one before has ended, and closes it. In between, and while
// the client does not read, nothing is open. What was acknowledged before the request is in
// the file; what comes meanwhile may be.
func (a *API) export(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	kind := success
	defer func() { a.metrics.answered("export", kind, time.Since(start)) }()
	x, err := a.newExport(w, r)
	if err == nil {
		select {
		case a.exporting <- struct{}{}:
			defer func() { <-a.exporting }()
			err = x.prepare(r.Context())
		default:
			err = &apiError{unavailable, fmt.Errorf("%d exports are under way, and more may not be; try again later", maxExports)}
		}
	}
	if err != nil {
		kind = a.fail(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", x.format.ContentType())
	h.Set("Content-Disposition", `attachment; filename="stripchart.`+fileEndings[x.format]+`"`)
	h.Set("Trailer", warningTrailer)
	h.Add("Vary", "Accept-Encoding")
	if r.Method == http.MethodHead {
		return
	}
	if err := x.run(w, r); err != nil {
		if kind = typed(err, a.exports).kind; r.Context().Err() != nil {
			kind = canceled
		}
		if kind != canceled {
			a.o.Log.Warn("an export has ended before its end; its connection is cut, so that the client sees it", "err", err)
		}
		panic(http.ErrAbortHandler) // the status is out: only this tells the client
	}
}

var fileEndings = map[export.Format]string{export.CSV: "csv", export.JSONLines: "jsonl", export.OpenMetrics: "om"}

// exporting is an export and how far it has got.
type exporting struct {
	a         *API
	format    export.Format
	times     export.Times
	selectors [][]*labels.Matcher
	from, to  int64

	enc   export.Encoder
	names []string // of metrics that are still to be read, sorted; the first may be in part
	// last is the series of names[0] that was read last; empty: none. If inside, it was read
	// up to lastTime, and otherwise to its end.
	last     labels.Labels
	inside   bool
	lastTime int64

	chunk    []bus.Sample
	warnings []string
}

func (a *API) newExport(w http.ResponseWriter, r *http.Request) (*exporting, error) {
	req, err := a.read(w, r, endpoint{path: "export"})
	if err != nil {
		return nil, err
	}
	x := &exporting{a: a, format: export.CSV}
	if s := req.Form.Get("format"); s != "" {
		if x.format, err = export.ParseFormat(s); err != nil {
			return nil, badParameter("format", err)
		}
	}
	switch x.times = export.Times(req.Form.Get("times")); x.times {
	case "", export.RFC3339, export.Unix:
	default:
		return nil, badParameter("times", errors.New("want rfc3339 or unix_ms"))
	}
	if x.selectors, err = req.selectors(a.parser); err != nil {
		return nil, err
	}
	if len(x.selectors) == 0 {
		return nil, bad(errors.New(`no match[] parameter provided; match[]={__name__!=""} is everything`))
	}
	if x.from, x.to, err = req.span(); err != nil {
		return nil, err
	}
	if x.to < x.from {
		return nil, badParameter("end", errors.New("end timestamp must not be before start time"))
	}
	return x, nil
}

// prepare lists the metrics, so that the file has one after the other, and, for CSV, the labels.
func (x *exporting) prepare(ctx context.Context) error {
	columns := map[string]struct{}{}
	err := x.turn(ctx, x.from, func(ctx context.Context, q storage.Querier) error {
		names := map[string]struct{}{}
		for _, ms := range x.selectors {
			found, _, err := q.LabelValues(ctx, model.MetricNameLabel, nil, ms...)
			if err != nil {
				return err
			}
			for _, s := range found {
				names[string([]byte(s))] = struct{}{} // the index that it is part of may be unmapped
			}
			if x.format != export.CSV {
				continue
			}
			if found, _, err = q.LabelNames(ctx, nil, ms...); err != nil {
				return err
			}
			for _, s := range found {
				columns[string([]byte(s))] = struct{}{}
			}
		}
		x.names = sorted(names)
		return nil
	})
	if err != nil {
		return err
	}
	if len(columns) > maxColumns {
		return &apiError{execution, fmt.Errorf("the series have %d labels, and a CSV file has columns for %d: ask for fewer series, or for format=jsonl", len(columns), maxColumns)}
	}
	x.enc = export.NewEncoder(export.Options{Format: x.format, Times: x.times, Labels: sorted(columns)})
	return nil
}

func sorted(set map[string]struct{}) []string {
	all := make([]string, 0, len(set))
	for s := range set {
		all = append(all, s)
	}
	slices.Sort(all)
	return all
}

// turn calls f with a querier from a time on.
func (x *exporting) turn(ctx context.Context, from int64, f func(context.Context, storage.Querier) error) error {
	lost, err := x.a.view(ctx, x.a.exports, func(ctx context.Context, db storage.Queryable) error {
		q, err := db.Querier(from, x.to)
		if err != nil {
			return err
		}
		return f(ctx, q)
	})
	for text := range damaged(lost) {
		x.warn(text)
	}
	return err
}

func (x *exporting) warn(text string) {
	if !slices.Contains(x.warnings, text) && len(x.warnings) < mostNotes {
		x.warnings = append(x.warnings, text)
	}
}

// run reads and sends everything.
func (x *exporting) run(w http.ResponseWriter, r *http.Request) error {
	out := newStream(w, r)
	defer out.close()
	out.buf = x.enc.Begin(out.buf)
	for len(x.names) > 0 {
		if err := out.wait(r.Context()); err != nil {
			return err
		}
		from := x.from
		if x.inside {
			from = x.lastTime + 1
		}
		if err := x.turn(r.Context(), from, func(ctx context.Context, q storage.Querier) error { return x.read(ctx, q, out) }); err != nil {
			return err
		}
	}
	for text := range x.a.recorded() {
		x.warn(text)
	}
	for _, text := range x.warnings {
		out.buf = x.enc.Warning(out.buf, text)
		w.Header().Add(warningTrailer, text)
	}
	out.buf = x.enc.End(out.buf)
	return out.finish(r.Context())
}

// errTurn ends a turn that is not the last.
var errTurn = errors.New("the turn is over")

// read is a turn: it reads metric after metric, until its time is over or the client does not
// keep up. Where it begins inside of a series, it reads that one only: the querier begins there.
func (x *exporting) read(ctx context.Context, q storage.Querier, out *stream) error {
	end := time.Now().Add(turnTime)
	for len(x.names) > 0 {
		inside := x.inside
		err := x.metric(ctx, q, out, end)
		if errors.Is(err, errTurn) {
			return nil
		}
		if err != nil {
			return err
		}
		if inside {
			return nil
		}
		x.names, x.last = x.names[1:], labels.EmptyLabels()
	}
	return nil
}

// metric reads the series of names[0] behind x.last.
func (x *exporting) metric(ctx context.Context, q storage.Querier, out *stream, end time.Time) error {
	name := labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, x.names[0])
	hints := &storage.SelectHints{Start: x.from, End: x.to}
	sets := make([]storage.SeriesSet, 0, len(x.selectors))
	for _, ms := range x.selectors {
		sets = append(sets, q.Select(ctx, true, hints, append(slices.Clone(ms), name)...))
	}
	set := sets[0]
	if len(sets) > 1 {
		set = storage.NewMergeSeriesSet(sets, 0, storage.ChainedSeriesMerge)
	}
	inside := x.inside
	var it chunkenc.Iterator
	for n := 1; set.Next(); n++ {
		if n%checkEvery == 0 {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if !inside && time.Now().After(end) && !x.last.IsEmpty() {
				return errTurn
			}
		}
		s := set.At()
		ls := s.Labels()
		if !x.last.IsEmpty() {
			if c := labels.Compare(ls, x.last); c < 0 || c == 0 && !x.inside {
				continue
			} else if inside && c > 0 {
				break
			}
		}
		it = s.Iterator(it)
		if err := x.samples(ctx, it, ls, out, end); err != nil {
			return err
		}
	}
	if err := set.Err(); err != nil {
		return err
	}
	x.inside = false // it has come to its end, or is gone
	return nil
}

// samples reads what is left of a series.
func (x *exporting) samples(ctx context.Context, it chunkenc.Iterator, ls labels.Labels, out *stream, end time.Time) error {
	for more := true; more; {
		x.chunk = x.chunk[:0]
		for len(x.chunk) < export.MaxRun {
			kind := it.Next()
			if kind == chunkenc.ValNone {
				more = false
				break
			}
			if kind != chunkenc.ValFloat {
				return errHistogram
			}
			t, v := it.At()
			if t > x.to || x.inside && t <= x.lastTime {
				continue
			}
			x.chunk = append(x.chunk, bus.Sample{T: t, V: v})
		}
		if err := it.Err(); err != nil {
			return err
		}
		if len(x.chunk) > 0 {
			// A series with a label without a column has come after the request.
			out.buf, _ = x.enc.Run(out.buf, ls, x.chunk)
			x.last, x.inside, x.lastTime = ls, true, x.chunk[len(x.chunk)-1].T
		}
		if !more {
			x.last, x.inside = ls, false
		}
		if len(out.buf) < exportPiece {
			continue
		}
		// The querier may be closed behind this: what comes next begins at x.last.
		if !out.offer(ctx, turnWait) || time.Now().After(end) {
			return errTurn
		}
	}
	return nil
}
