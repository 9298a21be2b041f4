package live

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/apply"
	"stripchart/internal/bus"
	"stripchart/internal/recent"
	"stripchart/internal/wire"
)

// CheckSelector returns an error that says what is wrong with a query, for flags.
func CheckSelector(query string) error {
	_, err := parseSelector(query)
	return err
}

// Options of New. Zero values mean the defaults.
type Options struct {
	Bus       bus.Bus
	Store     Store
	Transport Transport
	Log       *slog.Logger
	Registry  prometheus.Registerer // nil: metrics are kept but not published

	Build         string         // version that hello tells
	Window        time.Duration  // default window; 100 s
	DefaultSeries string         // selector of namespace /; required
	Zone          *time.Location // of the times in namespace /; time.Local

	// Replica says that the log outlives this process and is read by others as well:
	// how far it was applied is saved, and a bus that is away is waited for.
	Replica bool

	Accept    time.Duration // W of the acceptance rule; 24 h
	RingBytes int           // 32 MiB
	RingAge   time.Duration // 5 min
	Limits    wire.Limits   // 32 rooms, 200 series, 20,000 points, 30 days

	maxShown int // as in apply.Options
}

func (o *Options) setDefaults() {
	def := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	if o.Window == 0 {
		o.Window = 100 * time.Second
	}
	if o.Zone == nil {
		o.Zone = time.Local
	}
	if o.Accept == 0 {
		o.Accept = 24 * time.Hour
	}
	if o.RingAge == 0 {
		o.RingAge = 5 * time.Minute
	}
	def(&o.RingBytes, 32<<20)
	def(&o.Limits.Rooms, 32)
	def(&o.Limits.Series, 200)
	def(&o.Limits.Points, 20_000)
	if o.Limits.Window == 0 {
		o.Limits.Window = int64((30 * 24 * time.Hour).Seconds())
	}
}

// Hub applies the log and feeds rooms and viewers; see the package comment.
type Hub struct {
	recent *recent.Log
	*tasks
	follower *apply.Follower
	audience *audience
	o        Options
}

// New returns a hub that is started by Run.
func New(o Options) (*Hub, error) {
	o.setDefaults()
	sel, err := parseSelector(o.DefaultSeries)
	if err != nil {
		return nil, fmt.Errorf("default series %q: %w", o.DefaultSeries, err)
	}
	h := &Hub{o: o, tasks: newTasks(), recent: recent.New(o.RingBytes, o.RingAge.Milliseconds(), o.Store.MaxTime(), o.Registry)}
	h.audience = newAudience(&h.o, h.recent, h.tasks)
	h.follower = apply.New(apply.Options{
		Bus: o.Bus, Store: o.Store, Log: o.Log, Registry: o.Registry, Replica: o.Replica, Accept: o.Accept, MaxShown: o.maxShown,
		Window: time.Duration(o.Limits.Window) * time.Second,
	}, h.recent, intake{h.audience})
	h.audience.defaultSeries, h.audience.follower = sel, h.follower
	return h, nil
}

// Run tails the log until ctx ends (then it returns nil) or the bus fails for
// good. It is called once.
func (h *Hub) Run(ctx context.Context) error {
	from, err := h.follower.Prepare(ctx)
	if err != nil {
		return err
	}
	h.recent.Mu.Lock()
	for _, f := range []func(){h.audience.flusher.run, h.audience.matcher.run, h.audience.watch} {
		h.start(f)
	}
	for _, f := range []func(context.Context){h.follower.SaveNotes, h.follower.JudgeWhileIdle} {
		h.start(func() { f(h.ctx) })
	}
	h.recent.Mu.Unlock()
	return h.follower.Run(ctx, from)
}

// Ready is closed once viewers may join.
func (h *Hub) Ready() <-chan struct{} { return h.follower.Ready() }

// IsReady reports whether viewers may join.
func (h *Hub) IsReady() bool { return h.follower.IsReady() }

// Behind returns how much of the log, in its own time, is still to be applied before
// viewers may join. It is false while that is not known, because the bus is away or
// nothing was read yet.
func (h *Hub) Behind() (time.Duration, bool) { return h.follower.Behind() }

// Stalled returns why nothing can be applied, or nil. A full disk is no reason: what
// comes is shown. It does not wait for the hub's lock.
func (h *Hub) Stalled() error { return h.follower.Stalled() }

// Bye sends what is pending, then tells every page that the server is about to
// stop, and when to come back.
func (h *Hub) Bye(retry time.Duration) { h.audience.bye(retry) }

// NewClient registers a connection. Close must be called when it ends. bound are the matchers of
// a reader that may see only the series that all of them match; none: every series.
func (h *Hub) NewClient(c Conn, bound ...*labels.Matcher) *Client {
	return h.audience.clients.newClient(c, bound)
}

// GapsIn returns the declared gaps that reach into a span, Unix ms.
func (h *Hub) GapsIn(from, to int64) []*recent.Gap {
	h.recent.Mu.Lock()
	defer h.recent.Mu.Unlock()
	return h.follower.GapsIn(from, to)
}

// Pulse returns once the hub's lock was free, or somebody has let go of it: the hub may be
// busy, but it is not stuck.
func (h *Hub) Pulse() { h.recent.Mu.AwaitProgress() }

// Close ends every goroutine and waits for it. Call it after Run has returned
// and before the store is closed. Calls after the first return at once.
func (h *Hub) Close() error {
	h.recent.Mu.Lock()
	h.tasks.close()
	h.recent.Mu.Unlock()
	h.wait()
	return nil
}

// Series returns how many series are held that were written to lately.
func (h *Hub) Series() int {
	h.recent.Mu.Lock()
	defer h.recent.Mu.Unlock()
	return h.recent.Index.Len()
}

// knownAtOnce bounds how many series Knows looks up while it holds the lock.
const knownAtOnce = 512

// Knows reports which of ls are among Series.
func (h *Hub) Knows(ls []labels.Labels) []bool {
	known := make([]bool, len(ls))
	for from := 0; from < len(ls); from += knownAtOnce {
		to := min(from+knownAtOnce, len(ls))
		h.recent.Mu.Lock()
		for i := from; i < to; i++ {
			known[i] = h.recent.Index.Get(ls[i]) != nil
		}
		h.recent.Mu.Unlock()
	}
	return known
}

// Heard returns the highest sequence number of a source that was applied, and the log
// time of its newest batch; false where the source is not known.
func (h *Hub) Heard(name string) (seq uint64, at time.Time, known bool) {
	return h.follower.Heard(name)
}

// tasks are the goroutines of a hub, but for Run's own. recent.Log.Mu guards closed.
type tasks struct {
	ctx     context.Context // ends with close
	cancel  context.CancelFunc
	closed  bool
	running sync.WaitGroup
}

func newTasks() *tasks {
	t := &tasks{}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

// start runs f in a goroutine that wait waits for. It does nothing once t is closed. The caller
// holds recent.Log.Mu.
func (t *tasks) start(f func()) {
	if !t.closed {
		t.running.Go(f)
	}
}

// close lets no more goroutines start. The caller holds recent.Log.Mu.
func (t *tasks) close() { t.closed = true }

// wait has every goroutine end, and waits for them.
func (t *tasks) wait() {
	t.cancel()
	t.running.Wait()
}
