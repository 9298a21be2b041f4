package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
	"stripchart/internal/bus/redisbus"
	"stripchart/internal/bus/redisbus/redistest"
	"stripchart/internal/bus/rw"
	"stripchart/internal/spool"
	"stripchart/internal/testkit"
	"stripchart/internal/wire"
)

// host is a machine with a spool, whose batches the test makes.
type host struct {
	t     *testing.T
	name  string
	spool *spool.Spool
	sent  samples // everything that its spool has acknowledged
}

// startHost opens the spool in dir on a machine of that name, and sends from it
// until the test ends.
func startHost(t *testing.T, dir, name string, publish spool.Publish) *host {
	t.Helper()
	s, err := spool.Open(spool.Options{
		Dir: dir, Encode: rw.Encode, Decode: (&program{log: slog.New(slog.DiscardHandler)}).decode, Machine: func() string { return name },
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(context.Background(), publish) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, spool.ErrClosed) {
			t.Error(err)
		}
	})
	return &host{t, name, s, samples{}}
}

// measures appends a batch of one sample.
func (h *host) measures(at int64) {
	h.t.Helper()
	v := float64(at % 1000)
	b := &bus.Batch{Sequence: bus.Sequence{Source: h.spool.Source(), Seq: h.spool.NextSeq()}, Series: []bus.Series{{
		Labels: labels.FromStrings("__name__", "copied", "host", h.name), Samples: []bus.Sample{{T: at, V: v}},
	}}}
	if err := h.spool.Append(h.t.Context(), b); err != nil {
		h.t.Fatal(err)
	}
	h.sent[at] = v
}

func (h *host) caughtUp() {
	h.t.Helper()
	testkit.Eventually(h.t, h.name+" has sent everything", func() bool { return h.spool.Waiting() == 0 })
}

// copied returns what a server's history has of a host.
func (p *process) copied(host string) samples {
	p.t.Helper()
	var h wire.HistoryAnswer
	now, points := time.Now().UnixMilli(), 20_000
	c := dial(p.t, p.url)
	defer c.Close()
	c.ask(wire.EventHistory, wire.History{Query: fmt.Sprintf("copied{host=%q}", host), From: now - 600_000, To: now + 60_000, Points: &points}, &h)
	if !h.OK {
		p.t.Fatal("the history was refused")
	}
	out := samples{}
	for _, b := range h.Blocks {
		for k, x := range b.X {
			out[x] = b.Y[0][k]
		}
	}
	return out
}

// A virtual machine that is cloned with the data directory of its collector, and
// given a name of its own, goes on beside the original from the numbers that the
// original had. What one has in numbers that the other was heard with, and not newer,
// was taken for a copy and never seen.
func TestTwoMachinesWithACopyOfOneSpoolLoseNothing(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) (*process, func() spool.Publish){
		"over Redis": func(t *testing.T) (*process, func() spool.Publish) {
			redis := redistest.Start(t, redistest.Options{})
			return startServer(t, t.TempDir(), redis.URL), func() spool.Publish {
				b, err := redisbus.Open(t.Context(), redisbus.Options{URL: redis.URL, ResendAge: -1})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { b.Close() })
				return b.Publish
			}
		},
		"over HTTP": func(t *testing.T) (*process, func() spool.Publish) {
			server := startServer(t, t.TempDir(), "memory")
			return server, func() spool.Publish {
				b, err := httpbus.New(httpbus.Options{URL: server.url, Encode: rw.Encode})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { b.Close() })
				return b.Publish
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			server, connect := open(t)
			dirs := [2]string{filepath.Join(t.TempDir(), "spool"), filepath.Join(t.TempDir(), "spool")}
			at := time.Now().Add(-time.Minute).UnixMilli()
			original := startHost(t, dirs[0], "web1", connect())
			for range 30 {
				at += 100
				original.measures(at)
			}
			original.caughtUp()
			if err := os.CopyFS(dirs[1], os.DirFS(dirs[0])); err != nil {
				t.Fatal(err)
			}
			for range 40 { // it is ahead by as many numbers
				at += 100
				original.measures(at)
			}
			original.caughtUp()
			clone := startHost(t, dirs[1], "web2", connect())
			for range 50 {
				at += 100
				original.measures(at)
				original.caughtUp()
				clone.measures(at - 30) // not newer than what was heard last
				clone.caughtUp()
			}
			for _, h := range []*host{original, clone} {
				testkit.Eventually(t, "all of "+h.name, func() bool { return len(server.copied(h.name)) >= len(h.sent) })
				if got := server.copied(h.name); !maps.Equal(got, h.sent) {
					t.Errorf("of %s there are %d samples, it sent %d, or others", h.name, len(got), len(h.sent))
				}
			}
			if clone.spool.Source() == original.spool.Source() {
				t.Errorf("both are %s", clone.spool.Source())
			}
			server.mustNotHaveLost()
		})
	}
}
