package redisbus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/bus/rw"
	"stripchart/internal/spool"
	"stripchart/internal/testkit"
)

// An oracle for tests in which the master changes. Its sources note the acknowledged batches,
// and its readers follow the log as a server does.

// source publishes numbered batches until it is told to stop: through the bus alone, which
// sends the last seconds again by itself, or through a spool, which does it instead.
type source struct {
	name string
	stop func() // ends it, and waits until everything is acknowledged

	mu    sync.Mutex // guards what follows
	acked map[uint64]bool
	at    time.Time // of the newest acknowledgement
}

// theLog is the key that sources and followers share.
const theLog = "{" + DefaultStream + "}:log"

// interval is the time between two batches of a source.
const interval = 5 * time.Millisecond

func startSource(t *testing.T, name string, o Options, spooled bool) *source {
	t.Helper()
	s := &source{name: name, acked: map[uint64]bool{}}
	if spooled {
		o.ResendAge = -1
	}
	b := open(t, o)
	measuring, stop := context.WithCancel(t.Context())
	var measured sync.WaitGroup
	ticks := func(each func(seq uint64)) {
		measured.Go(func() {
			for seq := uint64(1); measuring.Err() == nil; seq++ {
				each(seq)
				time.Sleep(interval)
			}
		})
	}
	if !spooled {
		ticks(func(seq uint64) {
			for b.Publish(t.Context(), one(name, seq)) != nil {
				if t.Context().Err() != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
			s.note(seq, seq)
		})
		s.stop = func() { stop(); measured.Wait() }
		return s
	}
	decode := func(p []byte) (*bus.Batch, error) {
		batch, _, err := rw.Decode(p, rw.Limits{})
		return batch, err
	}
	sp, err := spool.Open(spool.Options{Dir: t.TempDir(), Encode: rw.Encode, Decode: decode, MaxAge: 100 * 365 * 24 * time.Hour, NewSource: func() string { return name }})
	if err != nil {
		t.Fatal(err)
	}
	sending, stopSending := context.WithCancel(t.Context())
	sent := make(chan error, 1)
	go func() {
		sent <- sp.Run(sending, func(ctx context.Context, x *bus.Batch) error {
			first, last := x.First(), x.Seq
			err := b.Publish(ctx, x)
			if err == nil {
				s.note(first, last)
			}
			return err
		})
	}()
	ticks(func(seq uint64) {
		if err := sp.Append(t.Context(), one(name, seq)); err != nil {
			t.Error(err)
		}
	})
	s.stop = func() {
		stop()
		measured.Wait()
		testkit.Eventually(t, "the spool is empty", func() bool { return sp.Waiting() == 0 })
		stopSending()
		if err := <-sent; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := sp.Close(); err != nil {
			t.Error(err)
		}
	}
	return s
}

func (s *source) note(first, last uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for seq := first; seq <= last; seq++ {
		s.acked[seq] = true
	}
	s.at = time.Now()
}

// newest returns when something was last acknowledged.
func (s *source) newest() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

// follower reads the log as a server does: on, and when it has lost its end, from
// where it is still the same.
type follower struct {
	mu     sync.Mutex // guards what follows
	held   map[string]map[uint64]bool
	at     bus.Position
	lost   int // times that the position was
	broken []string
}

func follow(t *testing.T, o Options) *follower {
	t.Helper()
	b := open(t, o)
	f := &follower{held: map[string]map[uint64]bool{}}
	go func() {
		for from := (bus.Position{}); ; {
			last := map[string]uint64{} // of this reading
			err := b.Tail(t.Context(), from, func(d bus.Delivery) error {
				d.Done(nil)
				f.take(d, last)
				return nil
			})
			var lost *bus.LostError
			if !errors.As(err, &lost) {
				return // the test is over
			}
			from = lost.Since
			f.mu.Lock()
			f.lost++
			f.mu.Unlock()
			b.log.Info("a position is lost", "error", err)
		}
	}()
	return f
}

// take notes a delivery, and a hole before it: copies are behind what has come, but
// nothing may be left out on the way to it.
func (f *follower) take(d bus.Delivery, last map[string]uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := d.Batch.Source
	if seen, ok := last[name]; ok && d.Batch.First() > seen+1 {
		f.broken = append(f.broken, fmt.Sprintf("%s: %d follows %d", name, d.Batch.First(), seen))
	}
	last[name] = max(last[name], d.Batch.Seq)
	if f.held[name] == nil {
		f.held[name] = map[uint64]bool{}
	}
	for seq := d.Batch.First(); seq <= d.Batch.Seq; seq++ {
		f.held[name][seq] = true
	}
	f.at = d.Position
}

// has reports whether everything was delivered that the sources were told is
// acknowledged.
func (f *follower) has(sources []*source) bool { return f.lacks(sources) == 0 }

func (f *follower) lacks(sources []*source) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range sources {
		s.mu.Lock()
		for seq := range maps.Keys(s.acked) {
			if !f.held[s.name][seq] {
				n++
			}
		}
		s.mu.Unlock()
	}
	return n
}

// seen returns the newest position and how often one was lost.
func (f *follower) seen() (bus.Position, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at, f.lost
}

// scene is sources and followers on one log.
type scene struct {
	t         *testing.T
	o         Options
	sources   []*source
	followers []*follower
	log       testkit.Log
}

func newScene(t *testing.T, url string) *scene {
	x := &scene{t: t, o: Options{URL: url}}
	x.o.Logger = x.log.Logger()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log:\n%s", &x.log)
		}
	})
	x.sources = []*source{startSource(t, "bus", x.o, false), startSource(t, "spool", x.o, true)}
	for range 2 {
		x.followers = append(x.followers, follow(t, x.o))
	}
	x.live()
	return x
}

// live waits until every source has something acknowledged, and every follower has
// everything, that is newer than the call. It returns how long that took.
func (x *scene) live() time.Duration {
	x.t.Helper()
	began := time.Now()
	for _, s := range x.sources {
		testkit.Eventually(x.t, s.name+" is acknowledged", func() bool { return s.newest().After(began) })
	}
	for _, f := range x.followers {
		testkit.Eventually(x.t, "everything is delivered", func() bool { return f.has(x.sources) })
	}
	return time.Since(began).Round(10 * time.Millisecond)
}

// epoch returns the one of all followers, and how often they have lost their positions.
func (x *scene) epoch() (epoch string, lost int) {
	x.t.Helper()
	testkit.Eventually(x.t, "all followers agree on the epoch", func() bool {
		p, n := x.followers[0].seen()
		q, _ := x.followers[1].seen()
		epoch, lost = p.Epoch, n
		return p.Epoch == q.Epoch
	})
	return epoch, lost
}

// end stops the sources and checks what has come.
func (x *scene) end() {
	x.t.Helper()
	acked := 0
	for _, s := range x.sources {
		s.stop()
		acked += len(s.acked)
	}
	for n, f := range x.followers {
		testkit.Eventually(x.t, "the last batch", func() bool { return f.has(x.sources) })
		f.mu.Lock()
		for _, b := range f.broken {
			x.t.Errorf("follower %d: a hole: %s", n+1, b)
		}
		f.mu.Unlock()
	}
	if acked == 0 {
		x.t.Error("nothing was acknowledged")
	}
	x.t.Logf("%d batches acknowledged, none lost", acked)
}
