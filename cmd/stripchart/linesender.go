package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"stripchart/internal/backoff"
	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
)

const (
	// maxRequest bounds the numbers of one request, so that it fits into what proxies allow
	// (nginx 1 MiB).
	maxRequest = 10_000
	// lastTries is how long the sender waits for a server that is away after the end of the input, and
	// stopTries how long after the program was told to stop.
	lastTries = time.Minute
	stopTries = 5 * time.Second
)

// lineSender sends readings: at once what is there, and while that is under way the next
// request gathers. It sends a request until it has an answer; the server knows a duplicate
// by its series and time.
type lineSender struct {
	publish  func(context.Context, *bus.Batch) error
	readings <-chan reading
	ended    <-chan struct{} // closed when nothing more is read
	to       string          // where to, for messages
	say      func(format string, args ...any)

	reached  bool         // the server has taken something
	partly   bool         // and has not taken everything
	lines    int          // whose last number the server has answered
	progress atomic.Int64 // Unix ms when it last answered
}

// run sends until there are no more readings, or ctx ends. Its error says what was not
// written.
func (s *lineSender) run(ctx context.Context) error {
	tries, giveUp := context.WithCancel(context.Background())
	defer giveUp()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(stopTries, giveUp) })()
	go s.watch(tries, giveUp)
	for more := true; more || len(s.readings) > 0; {
		var batch []reading
		if batch, more = s.next(ctx); len(batch) == 0 {
			continue
		}
		if err := s.deliver(tries, batch); err != nil {
			return fmt.Errorf("%w; numbers that were not sent: %d", err, len(batch)+len(s.readings))
		}
	}
	if s.partly {
		return errors.New("not every number was written; see the messages above for the reasons")
	}
	return nil
}

// stopped returns an error, once run has returned, if ctx ended before the input did: the server then
// has only a part of the input.
func (s *lineSender) stopped(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	select {
	case <-s.ended:
		if len(s.readings) == 0 {
			return nil
		}
	default:
	}
	return fmt.Errorf("stopped before the end of the input; %d lines were read and acknowledged", s.lines)
}

// watch gives up when, after the last line, the server has not answered for lastTries.
func (s *lineSender) watch(tries context.Context, giveUp func()) {
	select {
	case <-s.ended:
	case <-tries.Done():
		return
	}
	for from := time.Now(); ; {
		if at := time.UnixMilli(s.progress.Load()); at.After(from) {
			from = at
		}
		left := time.Until(from.Add(lastTries))
		if left <= 0 {
			giveUp()
			return
		}
		select {
		case <-time.After(left):
		case <-tries.Done():
			return
		}
	}
}

// next waits for a reading and returns it with those that have gathered; more is false when
// none will come: they have ended, or ctx has.
func (s *lineSender) next(ctx context.Context) (batch []reading, more bool) {
	select {
	case x, open := <-s.readings:
		if !open {
			return nil, false
		}
		batch = append(batch, x)
	case <-ctx.Done():
	}
	for len(batch) < maxRequest {
		select {
		case x, open := <-s.readings:
			if !open {
				return batch, false
			}
			batch = append(batch, x)
			continue
		default:
		}
		break
	}
	return batch, ctx.Err() == nil
}

// deliver sends a batch until it has an answer, or tries ends. The error says why it gave up.
func (s *lineSender) deliver(tries context.Context, readings []reading) error {
	b := s.batch(readings)
	away := false
	pause := backoff.Backoff{First: 100 * time.Millisecond, Max: 2 * time.Second}
	for {
		// The bus owns the batch that it is given, so every try has a batch of its own.
		err := s.publish(tries, &bus.Batch{Series: b.Series})
		wrongAddress := errors.Is(err, httpbus.ErrWrongAddress)
		switch {
		case err == nil,
			errors.Is(err, bus.ErrNotAllWritten), errors.Is(err, bus.ErrNotStored),
			errors.Is(err, bus.ErrRefused) && !wrongAddress:
			if away {
				s.say("%s takes numbers again", s.to)
			}
			if err != nil {
				s.partly = true
				s.say("%v", err)
			}
			s.reached = true
			for _, x := range readings {
				if x.ends {
					s.lines++
				}
			}
			s.progress.Store(time.Now().UnixMilli())
			return nil
		case wrongAddress && !s.reached:
			return fmt.Errorf("%w. stripchart says its address when it starts; give that with --to", err)
		case tries.Err() != nil:
			return fmt.Errorf("%s does not take numbers", s.to)
		case !away:
			s.say("%s does not take numbers: %v. They wait, at most %d, and are sent when it does", s.to, err, maxWaiting)
			away = true
		}
		pause.Wait(tries)
	}
}

// batch makes one of readings. Of two values at one time the first is kept.
func (s *lineSender) batch(readings []reading) *bus.Batch {
	slices.SortStableFunc(readings, func(a, b reading) int { return cmp.Compare(a.sample.T, b.sample.T) })
	b := &bus.Batch{}
	places := map[*lineSeries]int{}
	for _, x := range readings {
		place, known := places[x.series]
		if !known {
			place = len(b.Series)
			places[x.series] = place
			b.Series = append(b.Series, bus.Series{Labels: x.series.labels})
		}
		samples := &b.Series[place].Samples
		if n := len(*samples); n > 0 && (*samples)[n-1].T == x.sample.T {
			if math.Float64bits((*samples)[n-1].V) != math.Float64bits(x.sample.V) {
				s.partly = true
				s.say("line %d: there is another value at this time; the first is kept", x.line)
			}
			continue
		}
		*samples = append(*samples, x.sample)
	}
	return b
}
