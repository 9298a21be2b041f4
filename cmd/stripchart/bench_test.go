package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/store"
	"stripchart/internal/wire"
)

// The figures of docs/PERFORMANCE.md that concern the program as a whole. Each
// starts the program as a process of its own. Run them without -race:
//
//	go test -run '^$' -bench . ./cmd/stripchart

// hostSeries is about what a machine with 40 cores and a few disks has.
const hostSeries = 100

func benchLabels(n int) labels.Labels {
	return labels.FromStrings("__name__", "bench_value", "host", "bench", "n", fmt.Sprintf("%03d", n))
}

// idler is the program with a source that adds to the collector's series what
// this machine lacks to hostSeries, once a second, as the collector publishes.
func idler(args []string) int {
	const collected = 14 // the collector's own on a machine with two cores, one disk and one network
	return runWith(args, func(ctx context.Context, p *program) {
		all := make([]labels.Labels, hostSeries-collected)
		for n := range all {
			all[n] = benchLabels(n)
		}
		seq := uint64(0)
		for now := range time.Tick(time.Second) {
			seq++
			b := &bus.Batch{Sequence: bus.Sequence{Source: "bench", Seq: seq}, Series: make([]bus.Series, len(all))}
			for n, ls := range all {
				b.Series[n] = bus.Series{Labels: ls, Samples: []bus.Sample{{T: now.UnixMilli(), V: math.Round(rand.Float64()*10000) / 100}}}
			}
			if p.bus.Publish(ctx, b) != nil {
				return
			}
		}
	})
}

// prefill writes one sample a second of n series up to now.
func prefill(b *testing.B, dir string, n int, span time.Duration) {
	b.Helper()
	st, err := store.Open(store.Options{Dir: dir, OutOfOrder: acceptance + acceptanceMargin, ReserveBytes: -1})
	if err != nil {
		b.Fatal(err)
	}
	refs := make([]store.Ref, n)
	rows := make([]store.Row, n)
	for i := range rows {
		rows[i] = store.Row{Ref: &refs[i], Labels: benchLabels(i)}
	}
	now := time.Now().Truncate(time.Second)
	value := 50.0
	for t := now.Add(-span); t.Before(now); t = t.Add(time.Second) {
		for i := range rows {
			value = min(max(value+rand.Float64()*4-2, 0), 100)
			rows[i].Samples = []bus.Sample{{T: t.UnixMilli(), V: math.Round(value*100) / 100}}
		}
		if err := st.Append(rows); err != nil {
			b.Fatal(err)
		}
	}
	if err := st.Close(); err != nil {
		b.Fatal(err)
	}
}

// usage returns the CPU time that a process has used, and its resident memory in bytes.
func usage(b *testing.B, pid int) (cpu time.Duration, rss float64) {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	const ticks = 100 // a second, on every Linux
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if kb, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, _ := strconv.Atoi(strings.Fields(kb)[0])
			rss = float64(n) * 1024
		}
	}
	return time.Duration(user+system) * time.Second / ticks, rss
}

// withHistories runs f with an empty data directory, and with one of 3 hours of the series of
// a host.
func withHistories(b *testing.B, f func(b *testing.B, dir string)) {
	b.Run("fresh", func(b *testing.B) { f(b, b.TempDir()) })
	b.Run("3h", func(b *testing.B) {
		dir := b.TempDir()
		prefill(b, dir, hostSeries, 3*time.Hour)
		f(b, dir)
	})
}

// BenchmarkIdle measures what the program costs while nobody watches, with about
// 100 series at 1 s: fresh, and with 3 hours of them in the database's head.
func BenchmarkIdle(b *testing.B) {
	withHistories(b, func(b *testing.B, dir string) {
		p := start(b, "idler", "--data-dir", dir, "--listen", "127.0.0.1:0")
		time.Sleep(15 * time.Second) // the start is another figure
		const measured = time.Minute
		before, _ := usage(b, p.cmd.Process.Pid)
		highest := 0.0
		for range 12 {
			time.Sleep(measured / 12)
			_, rss := usage(b, p.cmd.Process.Pid)
			highest = max(highest, rss)
		}
		after, _ := usage(b, p.cmd.Process.Pid)
		b.ReportMetric(100*float64(after-before)/float64(measured), "%core")
		b.ReportMetric(highest/1e6, "MB")
		b.ReportMetric(0, "ns/op")
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		_ = p.cmd.Wait()
	})
}

// BenchmarkStart measures from the start of the process to the page's first byte,
// with nothing and with 3 hours of 100 series to read again.
func BenchmarkStart(b *testing.B) {
	withHistories(b, func(b *testing.B, dir string) {
		for b.Loop() {
			p := start(b, "program", "--data-dir", dir, "--listen", "127.0.0.1:0")
			if code, _ := get(b, p.url+"/"); code != 200 {
				b.Fatalf("/ answered %d", code)
			}
			b.StopTimer()
			_ = p.cmd.Process.Kill()
			<-p.done
			b.StartTimer()
		}
	})
}

// BenchmarkJoin measures from a page's subscribe to the last part of its bootstrap,
// for a room of four series at 1 s. Every second join finds a bootstrap to share
// unless the window differs, so each has a window of its own.
func BenchmarkJoin(b *testing.B) {
	dir := b.TempDir()
	prefill(b, dir, 4, 24*time.Hour)
	p := start(b, "program", "--data-dir", dir, "--listen", "127.0.0.1:0")
	c := dial(b, p.url)
	for _, w := range []struct {
		name   string
		window float64
		points int
	}{{"100s", 100, 1200}, {"1h", 3600, 4800}, {"24h", 86_400, 4800}} {
		for _, kind := range []string{"read", "shared"} {
			b.Run(w.name+"/"+kind, func(b *testing.B) {
				window := w.window
				size := 0
				for b.Loop() {
					b.StopTimer()
					time.Sleep(25 * time.Millisecond) // a page may send 50 events a second
					b.StartTimer()
					if kind == "read" {
						window += 0.001
					}
					points := w.points
					var a wire.Subscribed
					c.ask(wire.EventSubscribe, wire.Subscribe{Query: "bench_value", Window: &window, Points: &points}, &a)
					if !a.OK || a.Matched != 4 {
						b.Fatalf("answer %+v", a)
					}
					size = 0
					for {
						arg := c.next(wire.EventBootstrap)
						size += len(arg)
						var m struct {
							More bool `json:"more"`
						}
						if err := json.Unmarshal(arg, &m); err != nil {
							b.Fatal(err)
						}
						if !m.More {
							break
						}
					}
				}
				b.ReportMetric(float64(size)/1000, "kB")
			})
		}
	}
	_ = p.cmd.Process.Kill()
	<-p.done
}
