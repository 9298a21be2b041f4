package spool

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"stripchart/internal/bus"
)

// childEnv makes the test binary the collector that is going to be killed.
const childEnv = "STRIPCHART_SPOOL_KILL_TEST_DIR"

// runChild appends batches until it is killed, and prints each one's number and
// value after it was acknowledged; "b" is the number when the bus took it. The
// bus is away half of the time and fails at times.
func runChild(dir string) int {
	o := options(dir)
	o.MaxBytes = 64 << 20
	s, err := Open(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	base, _ := strconv.ParseInt(os.Getenv(childEnv+"_BASE"), 10, 64)
	go s.Run(context.Background(), func(_ context.Context, b *bus.Batch) error {
		if rand.N(10) == 0 || time.Now().UnixMilli()/200%2 == 0 {
			return errors.New("away")
		}
		for _, series := range b.Series {
			for _, sample := range series.Samples {
				// One write each, whole in the pipe.
				fmt.Printf("b %d %v\n", (sample.T-base)/step, sample.V)
			}
		}
		return nil
	})
	for {
		seq, v := s.NextSeq(), rand.Float64()
		b := batch(seq, v, rand.N(20_000)*rand.N(4))
		b.Series[0].Samples[0].T = base + int64(seq)*step
		if err := s.Append(context.Background(), b); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		time.Sleep(rand.N(2 * time.Millisecond))
		if rand.N(20) == 0 { // what keep does, at more moments
			s.save(0, false)
			s.logMu.Lock()
			s.prune(0)
			s.logMu.Unlock()
		}
		fmt.Printf("a %d %v\n", seq, v)
	}
}

func TestKilledCollectorLosesNothingThatWasAppended(t *testing.T) {
	dir := t.TempDir()
	appended, published := map[int64]float64{}, map[int64]float64{}
	kills := 12
	if testing.Short() {
		kills = 5
	}
	for range kills {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childEnv+"="+dir, childEnv+"_BASE="+strconv.FormatInt(base, 10))
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		var death *time.Timer
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if death == nil { // it works
				death = time.AfterFunc(rand.N(300*time.Millisecond), func() { child.Process.Kill() })
			}
			var kind string
			var n int64
			var v float64
			if _, err := fmt.Sscan(lines.Text(), &kind, &n, &v); err != nil {
				continue // cut off by the kill
			}
			into := published
			if kind == "a" {
				into = appended
				if _, ok := appended[n]; ok {
					t.Fatalf("number %d was given twice", n)
				}
			}
			if old, ok := into[n]; ok && old != v {
				t.Fatalf("number %d was published with %v and %v", n, old, v)
			}
			into[n] = v
		}
		child.Wait() // killed
		if death == nil {
			t.Fatal("the collector wrote nothing")
		}
		death.Stop()
	}
	if len(appended) < kills {
		t.Fatalf("only %d batches were appended in %d lives", len(appended), kills)
	}
	o := options(dir)
	o.MaxBytes = 64 << 20
	s := open(t, o)
	next := s.NextSeq()
	v := newServer()
	send(t, s, v)
	for _, b := range v.broken {
		t.Error(b)
	}
	for n, value := range v.values {
		if old, ok := published[n]; ok && old != value {
			t.Errorf("number %d was published with %v and %v", n, old, value)
		}
		published[n] = value
	}
	for n, value := range appended {
		if got, ok := published[n]; !ok || got != value {
			t.Errorf("batch %d with %v was published as %v, %v", n, value, got, ok)
		}
	}
	// Those whose acknowledgement was cut off count, too: no number is left out.
	for n := int64(1); n < int64(next); n++ {
		if _, ok := published[n]; !ok {
			t.Errorf("number %d was jumped over", n)
		}
	}
	if len(v.missing) > 0 || s.Dropped() > 0 {
		t.Errorf("missing %v, dropped %d", v.missing, s.Dropped())
	}
	t.Logf("%d kills, %d batches appended, %d numbers, %d left to the last life", kills, len(appended), next-1, len(v.values))
}
