package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/alecthomas/kong"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/access"
	"stripchart/internal/api"
	"stripchart/internal/apply"
	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
	"stripchart/internal/bus/membus"
	"stripchart/internal/bus/redisbus"
	"stripchart/internal/bus/rw"
	"stripchart/internal/collect"
	"stripchart/internal/flask"
	"stripchart/internal/ingest"
	"stripchart/internal/live"
	"stripchart/internal/memory"
	"stripchart/internal/recent"
	"stripchart/internal/scrape"
	"stripchart/internal/server"
	"stripchart/internal/socketio"
	"stripchart/internal/spool"
	"stripchart/internal/store"
)

const (
	// acceptance is W: how far behind log time a sample may lie. tsdb's own window
	// is a little longer, so that it never refuses what was accepted.
	acceptance       = 24 * time.Hour
	acceptanceMargin = 5 * time.Minute
)

// program is everything that runs, wired. What a command does not need is nil.
type program struct {
	log      *slog.Logger
	registry *prometheus.Registry
	bus      bus.Bus
	busErr   func() error // why Redis is away, if it is; nil without Redis

	// A server has these.
	memory   *memory.Watermark
	store    *store.Store
	sockets  *socketio.Server
	hub      *live.Hub
	tokens   *access.Tokens // nil: everybody may look and write
	server   *server.Server
	listener net.Listener
	shared   *shared // nil without --share

	// A collector has these; the spool and its way out only with a bus that can be away.
	collector *collect.Collector
	spool     *spool.Spool
	out       bus.Bus // of the spool alone, which resends what it has to
	pusher    *httpbus.Publisher
	measured  atomic.Int64 // Unix ms when it last had a batch to publish
	interval  time.Duration
}

// open makes the parts that a command needs, and the listener. What it has
// opened it closes again when it fails.
func open(o options, command string, stderr io.Writer) (p *program, err error) {
	p = &program{log: o.logger(stderr), registry: prometheus.NewRegistry(), interval: time.Duration(o.Interval)}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	p.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	host, err := os.Hostname()
	if err != nil {
		return p, fmt.Errorf("find this host's name: %w", err)
	}
	host = strings.ToValidUTF8(host, "_") // it becomes a label, which selectors name
	if command != commandCollect {
		if err := p.openBus(o); err != nil {
			return p, err
		}
		if err := p.openServer(o, command, host); err != nil {
			return p, err
		}
	}
	if command != commandServe {
		if err := p.openCollector(o, host); err != nil {
			return p, err
		}
	}
	return p, nil
}

// openBus opens a server's bus, which batches come from, and those of its writers
// go to.
func (p *program) openBus(o options) error {
	if o.Bus == busMemory {
		p.bus = membus.New(membus.Options{})
		return nil
	}
	b, err := redisbus.Open(context.Background(), redisbus.Options{
		URL: o.Bus, Stream: o.Stream, Logger: p.log, Registerer: p.registry,
		Trim: true, RetainAge: time.Duration(o.BusRetention), RetainBytes: int64(o.BusBytes),
	})
	if err != nil {
		return fmt.Errorf("--bus: %w", err)
	}
	p.bus = b
	p.busErr = func() error { return b.Status().Err }
	return nil
}

// openOut opens the spool's way to a bus that can be away.
func (p *program) openOut(o options) (err error) {
	if scheme, _, _ := strings.Cut(o.Bus, "://"); scheme == "http" || scheme == "https" {
		var push httpbus.Options
		if push, err = o.calling.publisher(o.Bus); err == nil {
			push.Registerer = p.registry
			p.pusher, err = httpbus.New(push)
		}
	} else {
		out := redisbus.Options{URL: o.Bus, Stream: o.Stream, Logger: p.log, ResendAge: -1}
		if p.bus == nil { // a server's has the metrics
			out.Registerer = p.registry
		}
		var b *redisbus.Bus
		if b, err = redisbus.Open(context.Background(), out); err == nil {
			p.out = b
			p.busErr = func() error { return b.Status().Err }
		}
	}
	if err != nil {
		return fmt.Errorf("--bus: %w", err)
	}
	return nil
}

// openServer opens the history and what serves it.
func (p *program) openServer(o options, command, host string) (err error) {
	if !server.PageBuilt() {
		p.log.Warn("this binary was built without its page; build it with `make build`")
	}
	// Before the store is opened, which may take more memory than anything later.
	p.memory = memory.New(o.memoryLimit(), p.log)
	p.registry.MustRegister(p.memory)
	p.store, err = store.Open(store.Options{
		Dir: o.DataDir, Retention: time.Duration(o.Retention), OutOfOrder: acceptance + acceptanceMargin, Sync: o.Sync == syncAlways,
		QueryReads: o.MaxQueries, QueryTimeout: time.Duration(o.QueryTimeout), Logger: p.log, Registerer: p.registry,
	})
	if err != nil {
		return err
	}
	capacity := o.capacity(descriptors())
	p.sockets = socketio.NewServer(o.sockets(capacity, p.log))
	p.hub, err = live.New(live.Options{
		Bus: p.bus, Store: live.NewStore(p.store), Transport: server.Transport(p.sockets), Log: p.log, Registry: p.registry,
		Build: version, Window: time.Duration(o.Window), DefaultSeries: o.defaultSeries(command, host), Accept: acceptance,
		Replica: o.Bus != busMemory,
	})
	if err != nil {
		return err
	}
	writes, err := ingest.New(ingest.Options{
		Publish: p.bus.Publish, Writable: p.store.Writable,
		Heard: p.hub.Heard, Series: held{p.hub, p.store}, MaxSeries: o.MaxSeries, MaxNewSeries: o.MaxNewSeries, CountsLate: o.Bus != busMemory, Short: p.memory.High,
		Behind: acceptance, Ahead: apply.FutureBound * time.Millisecond, Logger: p.log, Registerer: p.registry,
	})
	if err != nil {
		return err
	}
	queries, err := api.New(api.Options{
		Store: p.store, MaxSamples: o.MaxQuerySamples, Ready: p.hub.IsReady, Short: p.memory.High, Log: p.log, Registry: p.registry,
		Gaps: gapsOf(p.hub),
	})
	if err != nil {
		return err
	}
	cookies, err := p.openTokens(o)
	if err != nil {
		return err
	}
	reach, err := o.reach()
	if err != nil {
		return err
	}
	certificate, err := o.certificate()
	if err != nil {
		return err
	}
	p.server, err = server.New(server.Options{
		Tokens: p.tokens, Cookies: cookies, PublicRead: o.PublicRead,
		Sockets: p.sockets, Hub: p.hub, Registry: p.registry, Log: p.log, Window: time.Duration(o.Window), AnyHost: o.anyHost(), Reach: reach,
		Ingest: writes, API: queries, MaxOpen: capacity.open, MaxOpenPerAddress: capacity.openPerAddress, Overloaded: p.memory.High,
		Limits: map[string]float64{"memory_bytes": float64(p.memory.Bound())}, Certificate: certificate,
	})
	if err != nil {
		return err
	}
	if p.listener, err = server.Listen(o.listen(), o.Listen != ""); err != nil {
		return err
	}
	url := o.scheme() + "://" + reachable(p.listener.Addr())
	if err := p.store.SetAddress(url); err != nil {
		return err
	}
	if !o.Share {
		p.log.Info("open this page", "url", url, "version", version)
	} else { // without its token, which no log has, the page asks for one
		p.log.Info("it listens; the link that opens it is printed below", "url", url, "version", version)
		s := o.share(p.listener.Addr(), reach.Public, p.tokens.AddForRun(), ownAddresses())
		p.shared = &s
	}
	if reach.Public != nil {
		p.log.Info("browsers reach it here", "url", reach.Public)
	}
	p.log.Info("history is kept here", "data_dir", o.DataDir, "size", megabytes(p.store.Size()), "retention", time.Duration(o.Retention))
	return nil
}

// openTokens reads the token file, if there is one. With --share alone there are tokens, too.
func (p *program) openTokens(o options) (cookies *access.Cookies, err error) {
	switch {
	case o.TokenFile != "":
		if p.tokens, err = access.Open(kong.ExpandPath(o.TokenFile), tokenRules(), p.log); err != nil {
			return nil, named("--token-file", err)
		}
	case o.Share:
		p.tokens = access.WithoutFile(p.log)
	default:
		return nil, nil
	}
	return access.OpenCookies(p.tokens, o.DataDir)
}

// held is the set of series that the server holds in memory: the series of the hub and those of the
// database, which forget series at different times.
type held struct {
	hub   *live.Hub
	store *store.Store
}

// Count is the larger of the two numbers. The database forgets series only as newer samples are
// written. When nothing was written for as long as the hub remembers series, the number of the database
// stands still; Count then returns 0, because that number would keep all new series out for ever.
func (h held) Count() int {
	lately := h.hub.Series()
	if lately == 0 {
		return 0
	}
	return max(lately, h.store.SeriesInMemory())
}

func (h held) Known(ls []labels.Labels) []bool {
	known := h.hub.Knows(ls)
	var others []labels.Labels // that the hub has forgotten, or never knew
	for i, there := range known {
		if !there {
			others = append(others, ls[i])
		}
	}
	there := h.store.InMemory(others)
	for i := range known {
		if !known[i] {
			known[i], there = there[0], there[1:]
		}
	}
	return known
}

// openCollector opens what measures this host. To a bus in memory it publishes
// directly: there is nothing between them that could be away.
func (p *program) openCollector(o options, host string) (err error) {
	c := collect.Options{
		Interval: p.interval, Host: host, Source: bus.NewSource(host),
		Publish: p.publish, Logger: p.log, Registerer: p.registry,
	}
	if c.Feeds, err = p.feeds(o); err != nil {
		return err
	}
	if o.Bus != busMemory {
		if err := p.openOut(o); err != nil {
			return err
		}
		dir := filepath.Join(o.DataDir, "spool")
		p.spool, err = spool.Open(spool.Options{
			Dir: dir, MaxBytes: int64(o.Spool), MaxAge: acceptance - time.Hour, Sync: o.Sync == syncAlways, Encode: rw.Encode, Decode: p.decode,
			NewSource: func() string { return c.Source }, Logger: p.log, Registerer: p.registry,
		})
		if err != nil {
			return err
		}
		c.Source, c.FirstSeq, c.Publish = p.spool.Source(), p.spool.NextSeq(), p.toSpool
		p.log.Info("batches wait here while the bus is away", "spool", dir, "waiting", p.spool.Waiting(), "source", c.Source)
	}
	p.collector, err = collect.New(c)
	return err
}

// feeds returns what brings batches beside what is measured of this host.
func (p *program) feeds(o options) (feeds []collect.Feed, err error) {
	if len(o.Scrape) > 0 {
		so := scrape.Options{
			Behind: acceptance, Ahead: apply.FutureBound * time.Millisecond, UserAgent: "stripchart/" + version, Logger: p.log, Registerer: p.registry,
		}
		if so.Targets, err = o.targets(); err != nil {
			return nil, err
		}
		s, err := scrape.New(so)
		if err != nil {
			return nil, err
		}
		feeds = append(feeds, s.Run)
	}
	if o.FromFlask != "" {
		fo := flask.Options{URL: o.FromFlask, Behind: acceptance, Ahead: apply.FutureBound * time.Millisecond, Logger: p.log, Registerer: p.registry}
		if fo.Series, err = flask.ParseSeries(o.flaskSeries()); err != nil {
			return nil, err
		}
		l, err := flask.New(fo)
		if err != nil {
			return nil, err
		}
		feeds = append(feeds, l.Run)
	}
	return feeds, nil
}

// decode reads a batch of the spool's.
func (p *program) decode(b []byte) (*bus.Batch, error) {
	batch, report, err := rw.Decode(b, rw.Kept())
	if err == nil && report.Lost() {
		p.log.Error("series in the spool cannot be read; they are left out", "err", errors.Join(report.Errors...))
	}
	return batch, err
}

// publish is the collector's way to a bus in memory. A batch that was shown but cannot be recorded is
// not retried: the pages say that it was not recorded, and a second try would show it twice.
func (p *program) publish(ctx context.Context, b *bus.Batch) error {
	p.measured.Store(time.Now().UnixMilli())
	if err := p.bus.Publish(ctx, b); !errors.Is(err, bus.ErrNotStored) {
		return err
	}
	return nil
}

// toSpool is the collector's way to a bus that can be away. The spool also sends a batch that it could
// hold only in memory, so such a batch counts as accepted.
func (p *program) toSpool(ctx context.Context, b *bus.Batch) error {
	p.measured.Store(time.Now().UnixMilli())
	if err := p.spool.Append(ctx, b); !errors.Is(err, spool.ErrHeld) {
		return err
	}
	return nil
}

// send is the spool's way to the bus.
func (p *program) send(ctx context.Context, b *bus.Batch) error {
	if p.pusher == nil {
		return p.out.Publish(ctx, b)
	}
	return p.pusher.Publish(ctx, b)
}

// Close closes what is open, in the reverse order. It can be called at any time
// that Run does not run, and again.
func (p *program) Close() error {
	var errs []error
	if p.listener != nil {
		if err := p.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if p.spool != nil {
		errs = append(errs, p.spool.Close())
	}
	if p.pusher != nil {
		errs = append(errs, p.pusher.Close())
	}
	if p.out != nil {
		errs = append(errs, p.out.Close())
	}
	if p.sockets != nil {
		errs = append(errs, p.sockets.Close())
	}
	if p.hub != nil {
		errs = append(errs, p.hub.Close())
	}
	if p.bus != nil {
		errs = append(errs, p.bus.Close())
	}
	if p.store != nil {
		errs = append(errs, p.store.Close())
	}
	return errors.Join(errs...)
}

// syncAlways is the value of --sync that has acknowledgements wait for the disk.
const syncAlways = "always"

// busMemory is the value of --bus for a bus within this process.
const busMemory = "memory"

// defaultSeries returns the selector of namespace /. A server without a collector
// of its own shows the first host there is.
func (o *options) defaultSeries(command, host string) string {
	switch {
	case o.DefaultSeries != "":
		return o.DefaultSeries
	case command == commandServe:
		return `cpu_usage_percent{cpu="total"}`
	}
	return "cpu_usage_percent{cpu=\"total\",host=" + strconv.Quote(host) + "}"
}

// reachable returns an address that a browser on this machine can open.
func reachable(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

func megabytes(n int64) string { return strconv.FormatFloat(float64(n)/1e6, 'f', 1, 64) + " MB" }

// gapsOf returns what the API asks for the declared gaps.
func gapsOf(h *live.Hub) func(from, to int64) []api.Gap {
	return func(from, to int64) (found []api.Gap) {
		for _, g := range h.GapsIn(from, to) {
			of := func(ls labels.Labels) bool { return g.Series.Has(recent.Hash(ls)) }
			found = append(found, api.Gap{From: g.From, To: g.To, Reason: g.Reason, Of: of})
		}
		return found
	}
}
