package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stripchart/internal/access"
	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
	"stripchart/internal/bus/rw"
)

// Options of New. Zero values mean the default given with each.
type Options struct {
	// Publish is bus.Bus's. Required.
	Publish func(ctx context.Context, b *bus.Batch) error
	// Writable returns an error while the store has no room. nil: there always is.
	Writable func() error

	// Heard returns the newest number of a source that is in the log, and when it came;
	// false where the source is not known. nil: none is.
	Heard func(source string) (seq uint64, at time.Time, known bool)

	// MaxSeries bounds Series: new series beyond it are refused. MaxNewSeries bounds the new
	// series of a minute: the writers of more are told to send them again. CountsLate says
	// that the bus acknowledges a batch before Series has it. Without Series there is no bound.
	Series       Series
	MaxSeries    int // 100,000
	MaxNewSeries int // 50,000
	CountsLate   bool
	// Short reports whether memory is short; no new series is taken then. nil: never.
	Short func() bool

	MaxBody     int64 // bytes of a body as sent; 4 MiB
	MaxDecoded  int64 // bytes of it decompressed; 32 MiB
	MaxWrites   int   // requests under way whose body has arrived; 64
	MaxInFlight int64 // bytes of all requests, as they arrive, decompressed and as batches; 128 MiB

	Behind time.Duration // W, how old a sample may be; 24 h
	Ahead  time.Duration // how far in the future it may lie; 60 s

	ReadTimeout    time.Duration // for a body to arrive; 10 s
	PublishTimeout time.Duration // for the bus to acknowledge; 10 s

	Logger     *slog.Logger          // nil: none
	Registerer prometheus.Registerer // nil: none
}

// retrySoon is the Retry-After of a busy server: long enough to spread many writers, and short compared
// with what a source can buffer.
const retrySoon = time.Second

// Endpoint is the HTTP handler of all paths that Paths lists. It needs no Close: it has no
// goroutines, and requests end with their server.
type Endpoint struct {
	o       Options
	mux     *http.ServeMux
	load    load
	series  admission
	metrics metrics
	// decoding holds a place for each body that is being decoded, as many as there are
	// processors: more would only take turns, and need memory.
	decoding chan struct{}
	failing  atomic.Bool // the bus did not take the last batch; kept to log changes only
}

// Paths are the patterns, in the form of http.ServeMux, under which a server has to mount an
// Endpoint.
func Paths() []string {
	return []string{httpbus.WritePath, PushPath, influx1Path, influx2Path, otlpPath1, otlpPath2, InfluxPing, InfluxHealth, InfluxQuery}
}

// New returns an Endpoint.
func New(o Options) (*Endpoint, error) {
	setDefault(&o.MaxSeries, 100_000)
	setDefault(&o.MaxNewSeries, 50_000)
	setDefault(&o.MaxBody, 4<<20)
	setDefault(&o.MaxDecoded, 32<<20)
	setDefault(&o.MaxWrites, 64)
	setDefault(&o.MaxInFlight, 128<<20)
	setDefault(&o.Behind, 24*time.Hour)
	setDefault(&o.Ahead, time.Minute)
	setDefault(&o.ReadTimeout, 10*time.Second)
	setDefault(&o.PublishTimeout, 10*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Writable == nil {
		o.Writable = func() error { return nil }
	}
	if o.Short == nil {
		o.Short = func() bool { return false }
	}
	if o.MaxInFlight < o.MaxBody+o.MaxDecoded {
		return nil, fmt.Errorf("%d bytes in flight do not hold one request of the largest size, %d", o.MaxInFlight, o.MaxBody+o.MaxDecoded)
	}
	e := &Endpoint{
		o: o, mux: http.NewServeMux(), load: load{maxWrites: o.MaxWrites, maxBytes: o.MaxInFlight},
		series:   admission{max: o.MaxSeries, pace: pace{max: o.MaxNewSeries}, series: o.Series, isShort: o.Short, late: o.CountsLate},
		decoding: make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
	e.mux.Handle(httpbus.WritePath, e.speaking(newRemoteWrite(cap(e.decoding), rw.Limits{})))
	stamps := newStamps()
	e.mux.Handle(PushPath+"{name...}", e.speaking(&push{stamps: stamps, accept: e.acceptance}))
	e.mux.Handle(influx1Path, e.speaking(&lineProtocol{version: 1, stamps: stamps, accept: e.acceptance}))
	e.mux.Handle(influx2Path, e.speaking(&lineProtocol{version: 2, stamps: stamps, accept: e.acceptance}))
	added := newTotals()
	metrics := &otlp{accept: e.acceptance, stamps: stamps, totals: added}
	e.mux.Handle(otlpPath1, e.speaking(metrics))
	e.mux.Handle(otlpPath2, e.speaking(metrics))
	e.mux.HandleFunc(InfluxPing, e.ping)
	e.mux.HandleFunc(InfluxHealth, e.health)
	e.mux.HandleFunc(InfluxQuery, e.query)
	var err error
	e.metrics, err = newMetrics(o.Registerer, &e.load, &e.series, added)
	return e, err
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// ServeHTTP implements http.Handler.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) { e.mux.ServeHTTP(w, r) }

// speaking returns the handler of one format.
func (e *Endpoint) speaking(f format) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A body that trickles in must not keep its place, nor, where the answer comes before it, the
		// connection: net/http reads on for a while then. net/http lifts the deadline itself when the
		// body is complete.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(e.o.ReadTimeout)) // tests' writers have none
		x, refused := f.open(r)
		if x == nil {
			e.metrics.answered(f, refused.status)
			refused.send(w)
			return
		}
		out := outcome{answer: refused}
		if refused.status == 0 {
			out = e.write(w, r, f, x, access.Of(r.Context()))
		}
		out.answer = x.word(w.Header(), &out)
		e.metrics.answered(f, out.status)
		out.send(w)
	})
}
