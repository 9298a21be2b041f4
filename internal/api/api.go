package api

import (
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"stripchart/internal/store"
)

// DefaultMaxSamples is Options.MaxSamples where it is 0: 160 MB.
const DefaultMaxSamples = 10_000_000

const (
	// lookback is how far back an instant looks for the newest sample of a series, and
	// subqueryStep the step of a subquery that has none: Prometheus's defaults.
	lookback     = 5 * time.Minute
	subqueryStep = time.Minute

	sampleBytes = 16 // that the engine needs for a sample
)

// Options of New. Store and Log are required.
type Options struct {
	Store *store.Store
	Log   *slog.Logger
	// MaxSamples is how many samples a query may have in memory at once; 0 means
	// DefaultMaxSamples. It is lowered to what the memory allows, see MemoryLimit.
	MaxSamples int
	// MemoryLimit is how many bytes the process may use: the samples of all queries that are
	// under way have at most half of it, and answers that wait to be read an eighth. 0 means the limit of Go's collector
	// (debug.SetMemoryLimit), which internal/memory sets; without one there is none.
	MemoryLimit int64
	// Ready reports whether the store has caught up with the log; nil: always. Until then
	// there are no answers, for want of what is still in the log.
	Ready func() bool
	// Short reports whether memory is short: nothing is evaluated then. nil: never.
	Short func() bool
	// Gaps returns the declared gaps that reach into a span, Unix ms; nil: there are none.
	Gaps func(from, to int64) []Gap
	// Registry gets the metrics; may be nil.
	Registry prometheus.Registerer
}

// API answers requests.
type API struct {
	o       Options
	store   *store.Store
	share   *store.Share
	engine  *promql.Engine
	parser  parser.Parser
	metrics *metrics
	waiting answers

	exports   *store.Share  // the reads of exports
	exporting chan struct{} // a place for each export

	maxAnswer int
}

// New returns an API on o.Store.
func New(o Options) (*API, error) {
	if o.MaxSamples == 0 {
		o.MaxSamples = DefaultMaxSamples
	}
	if o.Ready == nil {
		o.Ready = func() bool { return true }
	}
	if o.Short == nil {
		o.Short = func() bool { return false }
	}
	if o.MemoryLimit == 0 {
		o.MemoryLimit = debug.SetMemoryLimit(-1)
	}
	if most := o.MemoryLimit / (2 * sampleBytes * int64(o.Store.QueryReads().Reads())); int64(o.MaxSamples) > most {
		o.Log.Info("queries may have fewer samples at once than configured, for want of memory", "configured", o.MaxSamples, "samples", most)
		o.MaxSamples = int(max(most, 1)) // 0 would be none
	}
	a := &API{o: o, store: o.Store, share: o.Store.QueryReads(), exports: store.NewShare(maxExports, turnTimeout), exporting: make(chan struct{}, maxExports), parser: parser.NewParser(parser.Options{})}
	a.waiting.max = min(maxAnswers, o.MemoryLimit/8)
	a.maxAnswer = int(min(maxAnswer, a.waiting.max/2))
	a.engine = promql.NewEngine(promql.EngineOpts{
		Logger:                   o.Log,
		MaxSamples:               o.MaxSamples,
		Timeout:                  a.share.Timeout(),
		LookbackDelta:            lookback,
		NoStepSubqueryIntervalFn: func(int64) int64 { return subqueryStep.Milliseconds() },
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		Parser:                   a.parser,
	})
	var err error
	a.metrics, err = newMetrics(o.Registry, a)
	return a, err
}

// root is what the paths of all endpoints begin with.
const root = "/api/v1/"

// endpoints are those whose answer is made as a whole; there is one more, whose is not.
func (a *API) endpoints() []endpoint {
	const get, form = false, true // form: POST with a form, too
	return []endpoint{
		{"query", form, a.query},
		{"query_range", form, a.queryRange},
		{"series", form, a.series},
		{"labels", form, a.labelNames},
		{"label/{name}/values", get, a.labelValues},
		{"metadata", get, a.metadata},
		{"format_query", form, a.formatQuery},
		{"parse_query", form, a.parseQuery},
		{"query_exemplars", form, constant([]struct{}{})},
		{"rules", get, constant(map[string][]struct{}{"groups": {}})},
		{"alerts", get, constant(map[string][]struct{}{"alerts": {}})},
		{"status/buildinfo", get, constant(buildInfo())},
	}
}

const exportPath = root + "export"

// Paths are the patterns of all endpoints.
func Paths() []string {
	paths := []string{exportPath}
	for _, e := range (*API)(nil).endpoints() {
		paths = append(paths, root+e.path)
	}
	return paths
}

// Register passes the pattern and the handler of every endpoint to handle, which is that of a
// http.ServeMux, or leads to one.
func (a *API) Register(handle func(pattern string, h http.Handler)) {
	for _, e := range a.endpoints() {
		handle(root+e.path, a.handler(e))
	}
	handle(exportPath, http.HandlerFunc(a.export))
}

// Limits are the bounds, for /metrics.
func (a *API) Limits() map[string]float64 {
	return map[string]float64{
		"queries":             float64(a.share.Reads()),
		"query_seconds":       a.share.Timeout().Seconds(),
		"query_samples":       float64(a.o.MaxSamples),
		"query_points":        maxPoints,
		"query_form_bytes":    maxForm,
		"exports":             maxExports,
		"answer_bytes":        float64(a.maxAnswer),
		"answers_total_bytes": float64(a.waiting.max),
	}
}
