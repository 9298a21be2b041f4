package spool

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
)

// coded is the tests' own form of a series.
type coded struct {
	Labels  []string
	Samples []bus.Sample
}

func encode(b *bus.Batch) []byte {
	var series []coded
	for _, s := range b.Series {
		c := coded{Samples: s.Samples}
		s.Labels.Range(func(l labels.Label) { c.Labels = append(c.Labels, l.Name, l.Value) })
		series = append(series, c)
	}
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(series); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

func decode(body []byte) (*bus.Batch, error) {
	var series []coded
	if err := gob.NewDecoder(bytes.NewReader(body)).Decode(&series); err != nil {
		return nil, err
	}
	b := &bus.Batch{}
	for _, c := range series {
		b.Series = append(b.Series, bus.Series{Labels: labels.FromStrings(c.Labels...), Samples: c.Samples})
	}
	return b, nil
}

func options(dir string) Options {
	return Options{Dir: dir, Encode: encode, Decode: decode, NewSource: func() string { return "source" }}
}

func open(t testing.TB, o Options) *Spool {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func shut(t testing.TB, s *Spool) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// base is the time of batch 0; batch n has the time base + n*step. It is now, so
// that nothing is too old.
var base = time.Now().UnixMilli()

const step = 1000

// batch returns batch n, of one sample with value v and about pad bytes besides.
func batch(n uint64, v float64, pad int) *bus.Batch {
	return &bus.Batch{Sequence: bus.Sequence{Source: "source", Seq: n}, Series: []bus.Series{{
		Labels:  labels.FromStrings("__name__", "a", "pad", string(bytes.Repeat([]byte{'x'}, pad))),
		Samples: []bus.Sample{{T: base + int64(n)*step, V: v}},
	}}}
}

// put appends the next n batches, whose values are their numbers.
func put(t testing.TB, s *Spool, n, pad int) {
	t.Helper()
	for range n {
		seq := s.NextSeq()
		if err := s.Append(t.Context(), batch(seq, float64(seq), pad)); err != nil {
			t.Fatal(err)
		}
	}
}

// server is a reader of the bus: it skips what it has seen, and notes gaps.
type server struct {
	mu        sync.Mutex
	source    string // that it expects
	seen      uint64
	values    map[int64]float64 // by number of the batch
	missing   []uint64
	published []*bus.Batch
	broken    []string // promises that were
	fail      func(*bus.Batch) error
}

func newServer() *server { return &server{source: "source", values: map[int64]float64{}} }

// clone returns a server that has heard the same.
func (v *server) clone() *server {
	v.mu.Lock()
	defer v.mu.Unlock()
	return &server{source: v.source, seen: v.seen, values: maps.Clone(v.values), missing: slices.Clone(v.missing), broken: slices.Clone(v.broken)}
}

func (v *server) publish(_ context.Context, b *bus.Batch) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.fail != nil {
		if err := v.fail(b); err != nil {
			return err
		}
	}
	v.published = append(v.published, b)
	if b.Source != v.source {
		v.broken = append(v.broken, fmt.Sprintf("batch %d is of %q", b.Seq, b.Source))
	}
	for _, s := range b.Series {
		for i, sample := range s.Samples {
			if i > 0 && sample.T <= s.Samples[i-1].T {
				v.broken = append(v.broken, fmt.Sprintf("batch %d: times do not ascend", b.Seq))
			}
			n := (sample.T - base) / step
			if uint64(n) < b.First() || uint64(n) > b.Seq {
				v.broken = append(v.broken, fmt.Sprintf("sample of %d in batch %d to %d", n, b.First(), b.Seq))
			}
			if old, ok := v.values[n]; ok && old != sample.V {
				v.broken = append(v.broken, fmt.Sprintf("batch %d was %v and is %v", n, old, sample.V))
			}
			if b.Seq > v.seen {
				v.values[n] = sample.V
			}
		}
	}
	if b.Seq <= v.seen {
		return nil
	}
	if v.seen > 0 {
		for n := v.seen + 1; n < b.First(); n++ {
			v.missing = append(v.missing, n)
		}
	}
	v.seen = b.Seq
	return nil
}

// check fails the test unless the server has exactly the batches first to last,
// and declared no gap.
func (v *server) check(t testing.TB, first, last int) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.broken) > 0 {
		t.Errorf("broken: %q", v.broken[:min(len(v.broken), 5)])
	}
	if len(v.missing) > 0 {
		t.Errorf("declared missing: %v", v.missing[:min(len(v.missing), 5)])
	}
	for n := first; n <= last; n++ {
		if v.values[int64(n)] != float64(n) {
			t.Errorf("batch %d has value %v", n, v.values[int64(n)])
		}
	}
	if len(v.values) != last-first+1 {
		t.Errorf("%d batches, want %d to %d", len(v.values), first, last)
	}
}

func (v *server) spans() (spans [][2]uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, b := range v.published {
		spans = append(spans, [2]uint64{b.First(), b.Seq})
	}
	return spans
}

// send runs the sender until everything that was appended is sent.
func send(t testing.TB, s *Spool, v *server) {
	t.Helper()
	stop := run(t, s, v.publish)
	caught(t, s)
	stop()
}

// run starts the sender, and returns what ends it.
func run(t testing.TB, s *Spool, publish Publish) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, publish) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) && !errors.Is(err, ErrClosed) {
				t.Errorf("Run: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// caught waits until the sender has caught up.
func caught(t testing.TB, s *Spool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		s.mu.Lock()
		done := s.sent >= s.newest
		s.mu.Unlock()
		if done {
			return
		}
	}
	t.Fatalf("the sender did not catch up: sent %d of %d", s.sentMark(), s.NextSeq()-1)
}

func numbers(from, to int) (n []uint64) {
	for i := from; i <= to; i++ {
		n = append(n, uint64(i))
	}
	return n
}

func equal[T comparable](t testing.TB, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
