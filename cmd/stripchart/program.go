package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"stripchart/internal/bus"
	"stripchart/internal/bus/membus"
	"stripchart/internal/collect"
	"stripchart/internal/live"
	"stripchart/internal/server"
	"stripchart/internal/socketio"
	"stripchart/internal/store"
)

const (
	// acceptance is W: how far behind log time a sample may lie. tsdb's own window
	// is a little longer, so that it never refuses what was accepted.
	acceptance       = 24 * time.Hour
	acceptanceMargin = 5 * time.Minute

	// stopTimeout bounds the stop of viewers and requests; with the collector's
	// own bound the whole stop stays under 5 s.
	stopTimeout = 1500 * time.Millisecond
	// retryAfter is when pages are told to come back after a planned stop.
	retryAfter = 1500 * time.Millisecond
)

// program is everything that runs, wired.
type program struct {
	log       *slog.Logger
	store     *store.Store
	bus       *membus.Bus
	sockets   *socketio.Server
	hub       *live.Hub
	server    *server.Server
	collector *collect.Collector
	listener  net.Listener
}

// open makes the parts and the listener. What it has opened it closes again
// when it fails.
func open(o options, stderr io.Writer) (p *program, err error) {
	p = &program{log: o.logger(stderr)}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	host, err := os.Hostname()
	if err != nil {
		return p, fmt.Errorf("find this host's name: %w", err)
	}
	if !server.PageBuilt() {
		p.log.Warn("this binary was built without its page; build it with `make build`")
	}

	p.store, err = store.Open(store.Options{
		Dir: o.DataDir, Retention: time.Duration(o.Retention), OutOfOrder: acceptance + acceptanceMargin,
		Logger: p.log, Registerer: registry,
	})
	if err != nil {
		return p, err
	}
	p.bus = membus.New(membus.Options{})
	p.sockets = socketio.NewServer(o.sockets(p.log))
	p.hub, err = live.New(live.Options{
		Bus: p.bus, Store: live.NewStore(p.store), Transport: server.Transport(p.sockets), Log: p.log, Registry: registry,
		Build: version, Window: time.Duration(o.Window), DefaultSeries: o.defaultSeries(host), Accept: acceptance,
	})
	if err != nil {
		return p, err
	}
	p.collector, err = collect.New(collect.Options{
		Interval: time.Duration(o.Interval), Host: host, Source: "collect-" + host + "-" + rand.Text()[:12],
		Publish: p.publish, Logger: p.log, Registerer: registry,
	})
	if err != nil {
		return p, err
	}
	p.server, err = server.New(server.Options{
		Sockets: p.sockets, Hub: p.hub, Registry: registry, Log: p.log, Window: time.Duration(o.Window), AnyHost: o.Insecure,
	})
	if err != nil {
		return p, err
	}
	if p.listener, err = server.Listen(o.listen(), o.Listen != ""); err != nil {
		return p, err
	}
	url := "http://" + reachable(p.listener.Addr())
	if err = p.store.SetAddress(url); err != nil {
		return p, err
	}
	p.log.Info("open this page", "url", url, "version", version)
	p.log.Info("history is kept here", "data_dir", o.DataDir, "size", megabytes(p.store.Size()), "retention", time.Duration(o.Retention))
	return p, nil
}

// publish is the collector's way to the bus. A batch that was shown but cannot
// be recorded is done with: the pages say so, and a second try would show it twice.
func (p *program) publish(ctx context.Context, b *bus.Batch) error {
	if err := p.bus.Publish(ctx, b); !errors.Is(err, bus.ErrNotStored) {
		return err
	}
	return nil
}

// Run runs until ctx ends, or a part fails, and stops in an order in which
// nothing that was acknowledged is lost and nobody waits for somebody gone: the
// collector, which publishes what it has measured; then the viewers, who are sent
// it and told goodbye; then the hub. The store is left to Close.
func (p *program) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	hubCtx, stopHub := context.WithCancel(context.Background())
	defer stopHub()

	var parts sync.WaitGroup
	var mu sync.Mutex // guards failure
	var failure error
	start := func(f func() error) <-chan struct{} {
		done := make(chan struct{})
		parts.Go(func() {
			defer close(done)
			if err := f(); err != nil {
				mu.Lock()
				failure = errors.Join(failure, err)
				mu.Unlock()
				stop()
			}
		})
		return done
	}
	start(func() error { return p.hub.Run(hubCtx) })
	select {
	// In memory this takes moments; nobody need see "starting" for that.
	case <-p.hub.Ready():
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
	start(func() error { return p.server.Serve(p.listener) })
	collector := start(func() error { return p.collector.Run(ctx) })

	<-ctx.Done()
	p.log.Info("stopping")
	<-collector
	limit, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	errServer := p.server.Shutdown(limit, retryAfter)
	if errors.Is(errServer, context.DeadlineExceeded) {
		errServer = nil // who had not read by then was cut off, as intended
	}
	stopHub()
	parts.Wait()
	return errors.Join(failure, errServer)
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

// defaultSeries returns the selector of namespace /.
func (o *options) defaultSeries(host string) string {
	if o.DefaultSeries != "" {
		return o.DefaultSeries
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
