package live

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stripchart/internal/bus"
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
	*recent
	*tasks
	follower *follower
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
	h := &Hub{o: o, tasks: newTasks(), recent: newRecent(o.RingBytes, o.RingAge.Milliseconds(), o.Store.MaxTime(), o.Registry)}
	h.audience = newAudience(&h.o, h.recent, h.tasks)
	h.follower = newFollower(logOptions{
		Bus: o.Bus, Store: o.Store, Log: o.Log, Registry: o.Registry, Replica: o.Replica, Accept: o.Accept, MaxShown: o.maxShown,
		Window: time.Duration(o.Limits.Window) * time.Second,
	}, h.recent, h.audience)
	h.audience.defaultSeries, h.audience.logSide = sel, h.follower
	return h, nil
}

// Run tails the log until ctx ends (then it returns nil) or the bus fails for
// good. It is called once.
func (h *Hub) Run(ctx context.Context) error {
	from, err := h.follower.prepare(ctx)
	if err != nil {
		return err
	}
	h.mu.Lock()
	for _, f := range []func(){h.audience.flusher.run, h.audience.matcher.run, h.audience.watch} {
		h.start(f)
	}
	for _, f := range []func(context.Context){h.follower.saveNotes, h.follower.judgeWhileIdle} {
		h.start(func() { f(h.ctx) })
	}
	h.mu.Unlock()
	return h.follower.run(ctx, from)
}

// Ready is closed once viewers may join.
func (h *Hub) Ready() <-chan struct{} { return h.follower.readiness() }

// IsReady reports whether viewers may join.
func (h *Hub) IsReady() bool { return h.follower.isReady() }

// Behind returns how much of the log, in its own time, is still to be applied before
// viewers may join. It is false while that is not known, because the bus is away or
// nothing was read yet.
func (h *Hub) Behind() (time.Duration, bool) { return h.follower.behind() }

// Stalled returns why nothing can be applied, or nil. A full disk is no reason: what
// comes is shown. It does not wait for the hub's lock.
func (h *Hub) Stalled() error { return h.follower.stalled() }

// Bye sends what is pending, then tells every page that the server is about to
// stop, and when to come back.
func (h *Hub) Bye(retry time.Duration) { h.audience.bye(retry) }

// NewClient registers a connection. Close must be called when it ends.
func (h *Hub) NewClient(c Conn) *Client { return h.audience.clients.newClient(c) }

// Pulse returns once the hub's lock was free, or somebody has let go of it: the hub may be
// busy, but it is not stuck.
func (h *Hub) Pulse() { h.mu.awaitProgress() }

// Close ends every goroutine and waits for it. Call it after Run has returned
// and before the store is closed. Calls after the first return at once.
func (h *Hub) Close() error {
	h.mu.Lock()
	h.tasks.close()
	h.mu.Unlock()
	h.wait()
	return nil
}
