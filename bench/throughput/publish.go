//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"stripchart/internal/bus"
)

// publisher is the source process: any number of sources with one Publish in
// flight each.
type publisher struct {
	ctx     context.Context
	bus     bus.Bus
	sources []*source
	batches atomic.Int64 // acknowledged
	samples atomic.Int64

	mu     sync.Mutex
	failed error // the first failure

	stopPhase context.CancelFunc
	phase     sync.WaitGroup
}

func newPublisher(ctx context.Context, b bus.Bus, sources int, s shape) *publisher {
	p := &publisher{ctx: ctx, bus: b, stopPhase: func() {}}
	for i := range sources {
		p.sources = append(p.sources, newSource(i, s))
	}
	return p
}

// totals is the answer to each command.
type totals struct {
	Batches, Samples int64 // acknowledged so far
	Err              string
}

func (p *publisher) totals() totals {
	t := totals{Batches: p.batches.Load(), Samples: p.samples.Load()}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed != nil {
		t.Err = p.failed.Error()
	}
	return t
}

// serve obeys commands, one a line, until there are no more, and answers each.
//
//	count        nothing
//	stop         publish nothing more, and wait for what is in flight
//	pace RATE    publish RATE batches a second, all sources together; 0: as fast as they are acknowledged
//	fill N       publish N batches of each source, and wait for them
//	past AGO N   the same, with one sample of each series, a second apart, the first one AGO seconds ago
func (p *publisher) serve(commands io.Reader, answers io.Writer) error {
	defer p.stop()
	lines := bufio.NewScanner(commands)
	for lines.Scan() {
		verb, arguments, _ := strings.Cut(lines.Text(), " ")
		var numbers [2]float64
		for i, text := range strings.Fields(arguments) {
			n, err := strconv.ParseFloat(text, 64)
			if err != nil || i >= len(numbers) {
				return fmt.Errorf("command %q: cannot be read", lines.Text())
			}
			numbers[i] = n
		}
		switch verb {
		case "count":
		case "stop":
			p.stop()
		case "pace":
			p.begin(numbers[0], 0, (*source).next)
		case "fill":
			p.begin(0, int(numbers[0]), (*source).next)
			p.phase.Wait()
		case "past":
			from := time.Now().Add(-time.Duration(numbers[0] * float64(time.Second))).UnixMilli()
			first := p.sources[0].seq
			p.begin(0, int(numbers[1]), func(s *source, _ time.Time) *bus.Batch {
				return s.at(from + int64(s.seq-first)*1000)
			})
			p.phase.Wait()
		default:
			return fmt.Errorf("command %q is not known", lines.Text())
		}
		answer, err := json.Marshal(p.totals())
		if err != nil {
			return err
		}
		if _, err := answers.Write(append(answer, '\n')); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (p *publisher) stop() {
	p.stopPhase()
	p.phase.Wait()
}

// begin ends what is under way and publishes anew: each source at most most
// batches (0: no limit), rate of all sources a second (0: no pace).
func (p *publisher) begin(rate float64, most int, next func(*source, time.Time) *bus.Batch) {
	p.stop()
	var ctx context.Context
	ctx, p.stopPhase = context.WithCancel(p.ctx)
	began := time.Now()
	for i, s := range p.sources {
		p.phase.Go(func() {
			for k := 0; most == 0 || k < most; k++ {
				if rate > 0 {
					// Sources take turns. One that is late goes on at once.
					due := began.Add(time.Duration(float64(i+k*len(p.sources)) / rate * float64(time.Second)))
					select {
					case <-ctx.Done():
					case <-time.After(time.Until(due)):
					}
				}
				if ctx.Err() != nil {
					return
				}
				if err := p.publish(next(s, time.Now())); err != nil {
					p.fail(err)
					return
				}
			}
		})
	}
}

func (p *publisher) publish(b *bus.Batch) error {
	n := b.Samples() // it is the bus's afterwards
	if err := p.bus.Publish(p.ctx, b); err != nil {
		return fmt.Errorf("publish batch %d of %s: %w", b.Seq, b.Source, err)
	}
	p.batches.Add(1)
	p.samples.Add(int64(n))
	return nil
}

func (p *publisher) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed == nil && !errors.Is(err, context.Canceled) {
		p.failed = err
	}
}
