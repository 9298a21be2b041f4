package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/wire"
)

// writer is the program with sources of its own, which print each sample to
// standard output once its batch was acknowledged.
func writer(args []string) int {
	return runWith(args, func(ctx context.Context, p *program) {
		var mu sync.Mutex // one line after another
		var sources sync.WaitGroup
		for n := range 4 {
			sources.Go(func() { source(ctx, p, n, &mu) })
		}
		sources.Wait()
	})
}

// lifeOfWriter is the environment variable that counts the starts of the writer, 0 to 15.
const lifeOfWriter = "STRIPCHART_TEST_LIFE"

// source publishes batches of three series as fast as they are acknowledged; some
// samples are late. No two lives of the writer use the same time: the first value
// of a time wins, also one whose acknowledgement the kill has cut off.
func source(ctx context.Context, p *program, n int, mu *sync.Mutex) {
	life, err := strconv.ParseInt(os.Getenv(lifeOfWriter), 10, 64)
	if err != nil {
		panic(err)
	}
	const step = 32 // ms
	start := (time.Now().UnixMilli()-60_000)/step*step + life
	for seq := int64(1); ctx.Err() == nil && seq < 1_800; seq++ {
		b := &bus.Batch{Sequence: bus.Sequence{Source: strconv.Itoa(n), Seq: uint64(seq)}}
		t := start + seq*step
		for k := range 3 {
			samples := []bus.Sample{{T: t, V: rand.Float64()}}
			if seq > 100 && seq%7 == int64(k) {
				samples = append([]bus.Sample{{T: t - 10*step + step/2, V: rand.Float64()}}, samples...)
			}
			b.Series = append(b.Series, bus.Series{
				Labels:  labels.FromStrings("__name__", "w", "k", strconv.Itoa(k), "n", strconv.Itoa(n)),
				Samples: samples,
			})
		}
		var lines strings.Builder
		for _, s := range b.Series {
			for _, x := range s.Samples {
				fmt.Fprintf(&lines, "%s %d %v\n", s.Labels.Get("n")+s.Labels.Get("k"), x.T, x.V)
			}
		}
		if err := p.bus.Publish(ctx, b); err != nil {
			return
		}
		mu.Lock()
		_, err := io.WriteString(os.Stdout, lines.String())
		mu.Unlock()
		if err != nil {
			return
		}
	}
}

// acknowledged is what the writers have printed: by series, by time.
type acknowledged map[string]map[int64]float64

// read takes in the lines of a writer until it ends, and calls then after as many as
// enough; it returns how many there were. A last line that the kill cut short was
// acknowledged as well, but cannot be read: it does not count.
func (a acknowledged) read(t *testing.T, r io.Reader, enough int, then func()) (n int) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return n
		}
		// By hand: fmt.Sscan took most of the test's time.
		words := append(strings.Fields(line), "", "", "")
		series := words[0]
		at, err1 := strconv.ParseInt(words[1], 10, 64)
		v, err2 := strconv.ParseFloat(words[2], 64)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatalf("the writer printed %q: %v", line, err)
		}
		if a[series] == nil {
			a[series] = map[int64]float64{}
		}
		a[series][at] = v
		if n++; n == enough {
			then()
		}
	}
}

// compare asks the program for everything and checks that each acknowledged
// sample is there, once. There may be more: what was committed but not yet
// acknowledged when the kill came.
func (a acknowledged) compare(t *testing.T, c *client, from, to int64) {
	t.Helper()
	const slice = 20_000 // ms; a sample an ms and series at most, which fits into the points
	missing, wrong, total := 0, 0, 0
	got := acknowledged{}
	for at := from; at <= to; at += slice {
		var h wire.HistoryAnswer
		points := 20_000
		c.ask(wire.EventHistory, wire.History{Query: "w", From: at, To: at + slice - 1, Points: &points}, &h)
		if !h.OK {
			t.Fatalf("history from %d was refused", at)
		}
		names := map[int]string{}
		for _, d := range h.Series {
			names[d.ID] = d.Labels.Get("n") + d.Labels.Get("k")
		}
		for _, b := range h.Blocks {
			for i, id := range b.IDs {
				for k, x := range b.X {
					if got[names[id]] == nil {
						got[names[id]] = map[int64]float64{}
					}
					if _, twice := got[names[id]][x]; twice {
						t.Errorf("%s at %d is there twice", names[id], x)
					}
					got[names[id]][x] = b.Y[i][k]
				}
			}
		}
	}
	for series, samples := range a {
		for at, v := range samples {
			total++
			switch w, ok := got[series][at]; {
			case !ok:
				missing++
			case w != v:
				wrong++
			}
		}
	}
	if missing+wrong > 0 {
		t.Errorf("of %d acknowledged samples %d are missing and %d have another value", total, missing, wrong)
	}
}

func TestKillNineLosesNothingThatWasAcknowledged(t *testing.T) {
	dir := t.TempDir()
	all := acknowledged{}
	from := time.Now().UnixMilli() - 65_000
	total := 0
	const kills = 8
	for n := range kills + 1 {
		t.Setenv(lifeOfWriter, strconv.Itoa(n))
		p := start(t, "writer", "--data-dir", dir, "--listen", "127.0.0.1:0", "--interval", "50ms")
		if p.url == "" {
			t.Fatalf("start %d failed:\n%s", n, p.log)
		}
		if strings.Contains(p.log.String(), "level=ERROR") {
			t.Errorf("start %d after a kill complains:\n%s", n, p.log)
		}
		// What earlier lives acknowledged, while this one writes.
		all.compare(t, dial(t, p.url), from, time.Now().UnixMilli()+20_000)
		if n == kills {
			_ = p.cmd.Process.Signal(syscall.SIGTERM)
			total += all.read(t, p.stdout, 0, nil)
			break
		}
		total += all.read(t, p.stdout, 1+rand.IntN(5000), func() { _ = p.cmd.Process.Kill() })
		_ = p.cmd.Wait()
	}
	t.Logf("%d samples acknowledged over %d kills", total, kills)
}
