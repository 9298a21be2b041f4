//go:build linux

package main

import (
	"bytes"
	"flag"
	"io"
	"strings"
	"testing"
	"time"
)

func TestWrongFlagsAreRefusedBeforeAnythingIsStarted(t *testing.T) {
	for _, args := range []string{
		"-scenario fanuot", "-viewers 0", "-viewers many", "-rates 3", "-rates 25", "-rooms 2", "-unreading 100", "-no-such-flag",
	} {
		if err := run(t.Context(), strings.Fields(args), io.Discard, io.Discard); err == nil {
			t.Errorf("%s was taken", args)
		}
	}
}

func TestWhatIsMeasured(t *testing.T) {
	for _, c := range []struct {
		args        string
		quick       bool
		first, last situation
		n           int
	}{
		{"", false, situation{1000, time.Second, oneRoom, 0, false}, situation{5000, time.Second, oneRoom, 0, true}, 20},
		{"", true, situation{1000, 200 * time.Millisecond, oneRoom, 0, false}, situation{1000, 200 * time.Millisecond, twelveRooms, 0, false}, 2},
		{"-viewers 5,70 -rates 20 -rooms 12 -unreading 2", false, situation{5, 50 * time.Millisecond, twelveRooms, 2, false}, situation{70, 50 * time.Millisecond, twelveRooms, 2, false}, 2},
	} {
		var b bench
		flags := flag.NewFlagSet("", flag.ContinueOnError)
		b.choice.define(flags)
		if err := flags.Parse(strings.Fields(c.args)); err != nil {
			t.Fatal(err)
		}
		if err := b.choice.check(flags, c.quick); err != nil {
			t.Fatal(err)
		}
		got := b.situations(c.quick)
		if len(got) != c.n || got[0].String() != c.first.String() || got[len(got)-1].String() != c.last.String() {
			t.Errorf("%q, quick %v: %d, from %v to %v", c.args, c.quick, len(got), got[0], got[len(got)-1])
		}
	}
}

func TestTheTableHasMediansAndTheMedianOfPairs(t *testing.T) {
	table := newFanoutTable()
	run := func(cpu time.Duration) outcome {
		return outcome{cpu: cpu, deliveries: 1000, due: 2000, bytes: 200, p50: time.Millisecond, p99: 2 * time.Millisecond, sentP99: time.Millisecond, memory: 7000, writes: 1000}
	}
	ms := time.Millisecond
	table.add(situation{1000, time.Second, oneRoom, 0, false}, []outcome{run(10 * ms), run(30 * ms), run(20 * ms)}, []outcome{run(10 * ms), run(10 * ms), run(5 * ms)})
	var out bytes.Buffer
	table.print(&out)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[2], "| 1000 | 1 | 1 |  | 200 | 20.0 | 10.0 | **3.00** | 3.00 | 1.0 | 1.0 | 2.0 | 2.0 | **1.00** |") {
		t.Errorf("%s", out.String())
	}
	for i, line := range lines {
		if got, want := strings.Count(line, "|"), strings.Count(lines[0], "|"); got != want {
			t.Errorf("line %d has %d cells, not %d", i, got-1, want-1)
		}
	}
}
