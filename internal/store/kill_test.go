package store

import (
	"bufio"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
)

// childEnv makes the test binary the writer that is going to be killed.
const childEnv = "STRIPCHART_STORE_KILL_TEST_DIR"

const (
	killSeries = 20
	killStep   = 1000 // ms between the samples of a series; late ones lie between
)

// killValue is the value that a series has at a time, so that a sample found in
// the wrong series or at the wrong time is noticed.
func killValue(series int, t int64) float64 { return float64(series)*1e9 + float64(t-base) }

// runChild appends until it is killed, and prints the numbers of each batch
// after it was acknowledged: "n late". Batch n has one sample at step n of
// every series, and, when late is not 0, one between the steps late-1 and late.
func runChild(dir string) int {
	s, err := Open(options(dir))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	refs := make([]Ref, killSeries)
	n := int64(1)
	if newest := s.MaxTime(); newest > base {
		n = (newest-base)/killStep + 2
	}
	for ; ; n++ {
		late := int64(0)
		if n%3 == 0 {
			late = max(1, n-rand.Int64N(100))
		}
		var rows []Row
		for i := range refs {
			name := series("kill", "n", strconv.Itoa(i))
			t := base + n*killStep
			rows = append(rows, Row{Ref: &refs[i], Labels: name, Samples: []bus.Sample{{T: t, V: killValue(i, t)}}})
			if late > 0 {
				// Each batch has its own place between two steps.
				t = base + (late-1)*killStep + 1 + n%(killStep-1)
				rows = append(rows, Row{Ref: &refs[i], Labels: name, Samples: []bus.Sample{{T: t, V: killValue(i, t)}}})
			}
		}
		// A record of more than a page, so that some kills fall between the two
		// writes of one commit.
		for i := range 3000 {
			rows = append(rows, row(series("bulk", "n", strconv.Itoa(i)), bus.Sample{T: base + n*killStep, V: rand.Float64()}))
		}
		if err := s.Append(rows); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Println(n, late)
	}
}

func TestKillLosesNothingThatWasAcknowledged(t *testing.T) {
	dir := t.TempDir()
	want := map[int64]bool{} // times, of every series
	for round := range 5 {
		// More than one kill before the next clean close, the second often
		// before the first batch: what a start does after a kill must survive
		// one, too.
		for kill := range 3 {
			after := time.Duration(50+rand.IntN(200)) * time.Millisecond
			for _, ack := range killWriter(t, dir, kill == 1, after) {
				n, late := ack[0], ack[1]
				want[base+n*killStep] = true
				if late > 0 {
					want[base+(late-1)*killStep+1+n%(killStep-1)] = true
				}
			}
		}
		s, err := Open(options(dir))
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if r := s.Repaired(); r != nil {
			t.Logf("round %d: %d batches, repaired: %+v", round, len(want), *r)
			if !r.Torn {
				t.Errorf("round %d: a kill tore more than the end of a log: %+v", round, r)
			}
		}
		got := map[string][]bus.Sample{}
		for i := range killSeries { // not all at once: there may be too many values
			maps.Copy(got, rawOf(t, s, base, base+1e9, labels.MustNewMatcher(labels.MatchEqual, nameLabel, "kill"), labels.MustNewMatcher(labels.MatchEqual, "n", strconv.Itoa(i))))
		}
		for i := range killSeries {
			samples := got[series("kill", "n", strconv.Itoa(i)).String()]
			there := map[int64]bool{}
			for _, sample := range samples { // ascending: each time once
				if sample.V != killValue(i, sample.T) {
					t.Fatalf("round %d, series %d: %v at %d", round, i, sample.V, sample.T)
				}
				there[sample.T] = true
			}
			var gone []int64
			for at := range want {
				if !there[at] {
					gone = append(gone, at-base)
				}
			}
			if len(gone) > 0 {
				slices.Sort(gone)
				t.Errorf("round %d, series %d: %d of %d acknowledged samples are gone: %d ms after the first, ...", round, i, len(gone), len(want), gone[:min(5, len(gone))])
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(want) < 8 {
		t.Errorf("only %d batches were acknowledged", len(want))
	}
}

// killWriter runs a writer, kills it with SIGKILL some time after its start or
// its first batch, and returns what it had acknowledged.
func killWriter(t *testing.T, dir string, fromStart bool, after time.Duration) (acks [][2]int64) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	if fromStart {
		kill.Reset(after)
	}
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // an unfinished line is no acknowledgement
		}
		if len(acks) == 0 && !fromStart {
			kill.Reset(after)
		}
		var ack [2]int64
		if _, err := fmt.Sscan(strings.TrimSpace(line), &ack[0], &ack[1]); err != nil {
			t.Errorf("writer said %q", line)
		}
		acks = append(acks, ack)
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
		t.Fatalf("the writer ended by itself: %v", cmd.ProcessState)
	}
	return acks
}
