//go:build linux

package main

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"stripchart/internal/bus"
)

func TestWrongFlagsAreRefusedBeforeAnythingIsStarted(t *testing.T) {
	for _, args := range []string{"-scenario rate", "-viewers 0", "-sources 7", "-quick -sources 1000", "-no-such-flag"} {
		if err := run(t.Context(), strings.Fields(args), io.Discard, io.Discard); err == nil {
			t.Errorf("%s was taken", args)
		}
	}
}

func TestTimesOfASourceAscend(t *testing.T) {
	for _, s := range []shape{{3, 1}, {2, 10}} {
		x := newSource(7, s)
		now := time.UnixMilli(1_700_000_000_000)
		last := now.UnixMilli() - 1000
		// A second, nothing, less than a batch has samples, a step back, a second.
		for i, d := range []time.Duration{time.Second, 0, 3 * time.Millisecond, -time.Second, 2 * time.Second} {
			now = now.Add(d)
			b := x.next(now)
			if b.Seq != uint64(i+1) || len(b.Series) != s.series || b.Samples() != s.size() {
				t.Fatalf("%v: batch %d of %d series with %d samples", s, b.Seq, len(b.Series), b.Samples())
			}
			for _, series := range b.Series {
				at := last
				for _, sample := range series.Samples {
					if sample.T <= at {
						t.Errorf("%v, batch %d: %d is not after %d", s, i, sample.T, at)
					}
					at = sample.T
				}
			}
			first := b.Series[0].Samples
			if got := first[s.samples-1].V; got != float64(now.UnixMicro()) {
				t.Errorf("%v: stamp %v, want %d", s, got, now.UnixMicro())
			}
			last = first[s.samples-1].T
		}
		if last != now.UnixMilli() {
			t.Errorf("%v: the newest sample is of %d, published at %d", s, last, now.UnixMilli())
		}
	}
}

func TestWatchFindsEverySampleAndStamp(t *testing.T) {
	w := newWatch(2)
	w.record(1, []byte(`42/live,["bootstrap",{"blocks":[{"ids":[0],"x":[1],"y":[[1700000000000000]]}]}]`))
	w.record(1, []byte(`42/live,["update",{"room":"r","position":"e-1-0","now":5,"blocks":[`+
		`{"ids":[0,1],"x":[7,8],"y":[[1.5,1700000000000000],[2,1700000000000001.25]]},{"ids":[2],"x":[9],"y":[[3]]}],"matched":200}]`))
	if w.samples[0] != 0 || w.samples[1] != 5 || w.delays.Len() != 2 {
		t.Errorf("samples %v, %d stamps", w.samples, w.delays.Len())
	}
}

// counter is a bus that counts what each source has published, in order.
type counter struct {
	bus.Bus
	seqs chan uint64
}

func (c counter) Publish(_ context.Context, b *bus.Batch) error { c.seqs <- b.Seq; return nil }

func TestCommandsAreAnsweredWithWhatWasAcknowledged(t *testing.T) {
	c := counter{seqs: make(chan uint64, 1000)}
	p := newPublisher(t.Context(), c, 3, shape{2, 5})
	var answers strings.Builder
	if err := p.serve(strings.NewReader("fill 4\npast 9 2\ncount\nstop\n"), &answers); err != nil {
		t.Fatal(err)
	}
	want := `{"Batches":12,"Samples":120,"Err":""}
{"Batches":18,"Samples":132,"Err":""}
{"Batches":18,"Samples":132,"Err":""}
{"Batches":18,"Samples":132,"Err":""}
`
	if answers.String() != want {
		t.Errorf("answers:\n%s", answers.String())
	}
	if err := p.serve(strings.NewReader("past 1 2 3\n"), io.Discard); err == nil {
		t.Error("a command with too many numbers was obeyed")
	}
}

func TestKeepingUp(t *testing.T) {
	for _, c := range []struct {
		i    interval
		want bool
	}{
		{interval{offered: 300, published: 300, applied: 299, behind: 20}, true},
		{interval{offered: 300, published: 250, applied: 250}, false},
		{interval{offered: 300, published: 300, applied: 250}, false},
		{interval{offered: 300, published: 300, applied: 300, behind: 200}, false},
	} {
		if c.i.kept() != c.want {
			t.Errorf("%v: %v", c.i, !c.want)
		}
	}
}
