package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"stripchart/internal/sdnotify"
)

const (
	// stopTimeout bounds the stop of viewers and requests; with the collector's
	// own bound the whole stop stays under 5 s.
	stopTimeout = 1500 * time.Millisecond
	// retryAfter is when pages are told to come back after a planned stop.
	retryAfter = 1500 * time.Millisecond
	// lastSend is how long a stopping collector goes on sending what waits; the
	// rest stays in the spool.
	lastSend = time.Second
	// stillMeasuring is how long a collector may be silent, beyond three intervals,
	// before it is taken for stuck.
	stillMeasuring = 20 * time.Second
)

// Run runs until ctx ends or a part fails. It stops the parts in an order in which no acknowledged
// batch is lost and no part waits for a part that has ended: first the collector, which publishes its
// last batches; then the viewers, which are sent these batches and told goodbye; then the hub. Close
// closes the store and the spool.
func (p *program) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	lateCtx, stopLate := context.WithCancel(context.Background()) // ends after ctx's parts
	defer stopLate()

	parts := &parts{stop: stop}
	ready := make(chan struct{})
	if p.hub == nil {
		close(ready)
	} else {
		parts.start(func() error { return p.hub.Run(lateCtx) })
		parts.start(func() error {
			p.memory.Run(lateCtx)
			return nil
		})
		if p.tokens != nil {
			parts.start(func() error {
				p.tokens.Run(lateCtx)
				return nil
			})
		}
		parts.start(func() error {
			select {
			case <-p.hub.Ready():
				close(ready)
			case <-ctx.Done():
			}
			return nil
		})
		select {
		// In memory this takes moments; nobody need see "starting" for that.
		case <-p.hub.Ready():
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
		parts.start(func() error { return p.server.Serve(p.listener) })
	}
	p.measured.Store(time.Now().UnixMilli())
	parts.start(func() error {
		sdnotify.Run(ctx, sdnotify.Options{Ready: ready, Alive: p.alive, Status: p.status, Log: p.log})
		return nil
	})
	sendCtx, stopSending := context.WithCancel(context.Background())
	defer stopSending()
	sender := closedChannel
	if p.spool != nil {
		sender = parts.start(func() error {
			if err := p.spool.Run(sendCtx, p.send); sendCtx.Err() == nil {
				return err
			}
			return nil
		})
	}
	collector := closedChannel
	if p.collector != nil {
		collector = parts.start(func() error { return p.collector.Run(ctx) })
	}

	<-ctx.Done()
	p.log.Info("stopping")
	<-collector
	if p.spool != nil {
		p.sendTheRest(sender, lastSend)
	}
	stopSending()
	<-sender
	var errServer error
	if p.server != nil {
		limit, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		errServer = p.server.Shutdown(limit, retryAfter)
		if errors.Is(errServer, context.DeadlineExceeded) {
			errServer = nil // who had not read by then was cut off, as intended
		}
	}
	stopLate()
	return errors.Join(parts.wait(), errServer)
}

// closedChannel is a part that has ended.
var closedChannel = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// parts are the goroutines of a Run. The first that fails stops it.
type parts struct {
	stop    func()
	wg      sync.WaitGroup
	mu      sync.Mutex // guards failure
	failure error
}

// start runs f; the channel is closed when it has returned.
func (p *parts) start(f func() error) <-chan struct{} {
	done := make(chan struct{})
	p.wg.Go(func() {
		defer close(done)
		if err := f(); err != nil {
			p.mu.Lock()
			p.failure = errors.Join(p.failure, err)
			p.mu.Unlock()
			p.stop()
		}
	})
	return done
}

// wait returns the failures of all parts once they have ended.
func (p *parts) wait() error {
	p.wg.Wait()
	return p.failure
}

// sendTheRest waits until the spool is empty, for a bounded time, or until its
// sender has ended.
func (p *program) sendTheRest(sender <-chan struct{}, most time.Duration) {
	late := time.After(most)
	for sending := true; sending && p.spool.Waiting() > 0; {
		select {
		case <-sender:
			sending = false
		case <-late:
			sending = false
		case <-time.After(10 * time.Millisecond):
		}
	}
	if n := p.spool.Waiting(); n > 0 {
		p.log.Info("batches stay in the spool until the next start", "waiting", n)
	}
}

// alive reports whether the program still works, for the watchdog of systemd: the hub's lock can be
// taken, and the collector measures.
func (p *program) alive() bool {
	if p.hub != nil {
		p.hub.Pulse()
	}
	if p.collector == nil {
		return true
	}
	silent := time.Since(time.UnixMilli(p.measured.Load()))
	return silent < stillMeasuring+3*p.interval
}

// fewWaiting is how many batches may wait in the spool before the status mentions them: some are always
// on their way to the bus.
const fewWaiting = 5

// status is what `systemctl status` shows.
func (p *program) status() string {
	if p.hub != nil && !p.hub.IsReady() {
		behind, known := p.hub.Behind()
		if !known {
			return "waiting for the bus"
		}
		return fmt.Sprintf("catching up with the log: %v behind", behind.Round(time.Second))
	}
	status := "running"
	if p.busErr != nil && p.busErr() != nil {
		status += "; the bus is away"
	}
	if p.spool != nil {
		if n := p.spool.Waiting(); n > fewWaiting {
			status += fmt.Sprintf("; %d batches wait in the spool", n)
		}
	}
	return status
}
