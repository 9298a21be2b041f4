package live

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stripchart/internal/bus"
	"stripchart/internal/store"
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
	o             Options
	defaultSeries selector
	bus           bus.Bus
	store         Store
	storeWatch    storeWatch
	transport     Transport
	log           *slog.Logger
	metrics       metrics

	ctx        context.Context // ends with Close
	cancel     context.CancelFunc
	background sync.WaitGroup // every goroutine but Run's; Add under mu while not closed
	ready      chan struct{}  // closed when viewers may join
	setReady   func()
	behind     atomic.Int64  // see Behind, ms; -1: not known
	wake       chan struct{} // buffered, capacity 1: the flusher has something to do
	searchable chan struct{} // buffered, capacity 1: the matcher has something to do
	listing    chan struct{} // buffered, capacity 1: held while a catalogue's list is made
	toSave     chan struct{} // buffered, capacity 1: the saver has something to do
	applying   chan struct{} // buffered, capacity 1: held while a batch is applied, or an idle log judged
	reads      *store.Share
	// saving is of one: who holds it writes notes. Two at a time could put back the
	// older one, and neither could tell that what it was to keep is kept. Taken before mu.
	saving chan struct{}

	// mu is "apply's lock". It is held for a commit, for opening a querier, and for
	// taking what a flush sends; never while reading history, encoding samples or
	// writing to a connection. It is the only lock of this package.
	mu             lock
	closed         bool
	ring           ring
	index          index
	rooms          map[string]*Room
	idle           []*Room // without viewers, in the order in which they were left
	searches       map[*search]struct{}
	searchCost     int // of all searches
	compiled       compiled
	dirty          []*Room
	inFlight       <-chan struct{} // closed at the end of the flush under way; nil: none is
	drains         uint64          // how often a Client's Drained was called
	clients        map[*Client]struct{}
	feeds          map[string]*feed // by canonical selectors
	bootstrapBytes int
	newestT        int64                          // newest time of any series, Unix ms
	notStored      bool                           // the last commit found the disk full
	doubts         map[*series]map[int64]struct{} // times of the samples of failed commits
	doubtful       int                            // times in doubts, doubly counted where one was tried twice
	progress       progress
	sources        sources
	loss           *loss // the newest; nil: none so far
	begun          bool  // progress was saved once, by this life or one before; used by Run alone
	losses         int   // counts those that are judged apart
	late           reach // how old samples of writers without numbers are when they come
	gaps           []*gap
	gapsDeclared   uint64       // how many were, ever
	gapsSaved      uint64       // of those, in order
	lossesTold     []store.Loss // that the store keeps and gaps are declared for; written by the goroutine that applies
	receipts       []receipt    // batches that wait for gaps to be saved; as many as wait for an answer

	// Used by the apply goroutine alone. All but the first are its scratch.
	shown    shown
	rows     []store.Row
	incoming []incoming
	writing  []writing

	// Scratch of the flusher.
	outgoing  []Outgoing
	addressed []*Client
	parcels   parcels
}

// New returns a hub that is started by Run.
func New(o Options) (*Hub, error) {
	o.setDefaults()
	sel, err := parseSelector(o.DefaultSeries)
	if err != nil {
		return nil, fmt.Errorf("default series %q: %w", o.DefaultSeries, err)
	}
	h := &Hub{
		o: o, defaultSeries: sel, bus: o.Bus, store: o.Store, transport: o.Transport, log: o.Log,
		metrics: newMetrics(o.Registry),
		wake:    make(chan struct{}, 1), searchable: make(chan struct{}, 1), listing: make(chan struct{}, 1), toSave: make(chan struct{}, 1),
		applying: make(chan struct{}, 1), reads: o.Store.PageReads(), saving: make(chan struct{}, 1),
		ring:  ring{maxBytes: o.RingBytes, maxAge: o.RingAge.Milliseconds()},
		index: newIndex(), rooms: map[string]*Room{}, clients: map[*Client]struct{}{}, feeds: map[string]*feed{},
		searches: map[*search]struct{}{}, compiled: compiled{},
		doubts: map[*series]map[int64]struct{}{}, newestT: o.Store.MaxTime(), sources: sources{}, shown: shown{most: maxShown},
	}
	h.mu.held = h.metrics.lockHeld
	h.ready = make(chan struct{})
	h.setReady = sync.OnceFunc(func() { close(h.ready) })
	h.behind.Store(-1)
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.store = h.storeWatch.of(o.Store)
	return h, nil
}

// Bye sends what is pending, then tells every page that the server is about to
// stop, and when to come back.
func (h *Hub) Bye(retry time.Duration) {
	h.awaitFlush()
	h.mu.Lock()
	var conns []Conn
	for c := range h.clients {
		if c.greeted {
			conns = append(conns, c.conn)
		}
	}
	h.mu.Unlock()
	p := h.encode(wire.EventBye, wire.Bye{RetryMS: int(retry.Milliseconds())})
	for _, c := range conns {
		c.Write(p)
	}
}

// Pulse returns once apply's lock was free, or somebody has let go of it: the hub may be
// busy, but it is not stuck.
func (h *Hub) Pulse() { h.mu.awaitProgress() }

// awaitFlush waits until nothing is pending, for at most a few flushes.
func (h *Hub) awaitFlush() {
	for range 40 {
		h.mu.Lock()
		idle := len(h.dirty) == 0 && h.inFlight == nil
		h.mu.Unlock()
		if idle {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Close ends every goroutine and waits for it. Call it after Run has returned
// and before the store is closed. Calls after the first return at once.
func (h *Hub) Close() error {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.cancel()
	h.background.Wait()
	return nil
}

// Hello greets a page in namespace /live.
func (c *Client) Hello() {
	h := c.hub
	h.mu.Lock()
	c.greeted = true
	h.mu.Unlock()
	c.conn.Write(h.encode(wire.EventHello, wire.Hello{
		Protocol: wire.Protocol, Build: h.o.Build, Now: h.now(), Window: h.o.Window.Seconds(), Limits: h.o.Limits,
	}))
}

// encode makes the packet of a message of /live that has no samples.
func (h *Hub) encode(event string, message any) Packet {
	b, err := json.Marshal(message)
	if err != nil {
		panic(fmt.Sprintf("live: %s: %v", event, err)) // our own types always have a JSON form
	}
	return h.transport.Encode(NamespaceLive, event, b)
}

// now is the server's clock in Unix ms.
func (h *Hub) now() int64 { return time.Now().UnixMilli() }
