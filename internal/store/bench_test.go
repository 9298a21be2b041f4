package store

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
)

// BenchmarkAppend has the default, which leaves it to the system when to write, beside an
// fsync for each batch. What an fsync costs is the disk's: TMPDIR chooses it.
func BenchmarkAppend(b *testing.B) {
	for _, sync := range []bool{false, true} {
		for _, samples := range []int{100, 1000} {
			b.Run(fmt.Sprintf("sync_%v/%d_series_a_batch", sync, samples), func(b *testing.B) { benchmarkAppend(b, samples, sync) })
		}
	}
}

func benchmarkAppend(b *testing.B, samples int, sync bool) {
	o := options(b.TempDir())
	o.Sync = sync
	s := open(b, o)
	refs, rows := make([]Ref, samples), make([]Row, samples)
	for i := range rows {
		rows[i] = Row{Ref: &refs[i], Labels: series("bench", "n", fmt.Sprint(i)), Samples: make([]bus.Sample, 1)}
	}
	var took []time.Duration
	k := int64(0)
	for b.Loop() {
		k++
		for i := range rows {
			rows[i].Samples[0] = bus.Sample{T: base + k*1000, V: float64(k)}
		}
		began := time.Now()
		appendRows(b, s, rows...)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(samples)*float64(b.N)/b.Elapsed().Seconds(), "samples/s")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
}

// BenchmarkAppendLate appends the first late sample of each of 1,000 new series, so many to an
// Append. B/op shows the square that LateRows is about.
func BenchmarkAppendLate(b *testing.B) {
	const all = 1000
	for _, rows := range []int{32, LateRows, 512, all} {
		b.Run(fmt.Sprint(rows, "_to_an_append"), func(b *testing.B) {
			s := open(b, options(b.TempDir()))
			appendRows(b, s, row(series("newest"), bus.Sample{T: base + 20*3600_000, V: 1}))
			b.ReportAllocs()
			for k := 0; b.Loop(); k++ {
				b.StopTimer()
				late := make([]Row, all)
				for i := range late {
					late[i] = row(series("late", "k", fmt.Sprint(k), "n", fmt.Sprint(i)), bus.Sample{T: base, V: 1})
				}
				b.StartTimer()
				for part := range slices.Chunk(late, rows) {
					appendRows(b, s, part...)
				}
			}
		})
	}
}

// daySeries is four series of percentages over 24 hours at one second.
func daySeries(b *testing.B) (*Store, int64) {
	b.Helper()
	const day = 24 * 3600
	s := open(b, options(b.TempDir()))
	r := rand.New(rand.NewPCG(9, 9))
	rows := make([]Row, 4)
	for i := range rows {
		rows[i] = row(series("bench", "n", fmt.Sprint(i)), make([]bus.Sample, 60)...)
	}
	value := []float64{10, 20, 30, 40}
	for at := int64(0); at < day; at += 60 {
		for i := range rows {
			for k := range rows[i].Samples {
				value[i] += r.NormFloat64()
				rows[i].Samples[k] = bus.Sample{T: base + (at+int64(k))*1000, V: math.Round(value[i]*10) / 10}
			}
		}
		appendRows(b, s, rows...)
	}
	// Blocks as a running server would have them.
	if err := s.eng.db.Compact(context.Background()); err != nil {
		b.Fatal(err)
	}
	return s, base + day*1000
}

// BenchmarkSizeOnDisk reports what a sample takes in a block: noise with one
// decimal, which compresses worse than counters and constants do.
func BenchmarkSizeOnDisk(b *testing.B) {
	s, _ := daySeries(b)
	var bytes, samples float64
	for _, block := range s.eng.db.Blocks() {
		bytes += float64(block.Size())
		samples += float64(block.Meta().Stats.NumSamples)
	}
	for b.Loop() {
	}
	b.ReportMetric(bytes/samples, "B/sample")
}

func BenchmarkHistoryOf24HoursOf4Series(b *testing.B) {
	s, to := daySeries(b)
	for name, points := range map[string]int{"raw": 1 << 20, "1200_columns": 4800} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				q, err := s.Snapshot(base, to)
				if err != nil {
					b.Fatal(err)
				}
				hs, err := q.History(context.Background(), all(), base, to, points)
				if err != nil || len(hs) != 4 {
					b.Fatal(len(hs), err)
				}
				if err := q.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSnapshot(b *testing.B) {
	s, to := daySeries(b)
	for b.Loop() {
		q, err := s.Snapshot(to-100_000, to)
		if err != nil {
			b.Fatal(err)
		}
		if err := q.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWindowOf100Seconds(b *testing.B) {
	s, to := daySeries(b)
	for b.Loop() {
		q, err := s.Snapshot(to-100_000, to)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := q.History(context.Background(), all(), to-100_000, to, 1200); err != nil {
			b.Fatal(err)
		}
		if err := q.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkExisting(b *testing.B) {
	s, to := daySeries(b)
	l := series("bench", "n", "1")
	for b.Loop() {
		if _, there, err := existing(s, l, []int64{to - 500_000, to - 499_000}); err != nil || !slices.Equal(there, []bool{true, true}) {
			b.Fatal(there, err)
		}
	}
}

func BenchmarkSeries(b *testing.B) {
	s := open(b, options(b.TempDir()))
	var rows []Row
	for i := range 10_000 {
		rows = append(rows, row(series("bench", "n", fmt.Sprint(i)), ramp(120, 1000)...))
	}
	appendRows(b, s, rows...)
	ms := []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, nameLabel, "bench")}
	for b.Loop() {
		if ls, err := s.Series(context.Background(), ms, base+60_000, base+100_000); err != nil || len(ls) != 10_000 {
			b.Fatal(len(ls), err)
		}
	}
}

// BenchmarkStart starts with three hours of 100 series at one second in the
// head, and reports the memory they take and the Go runtime has.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	s := open(b, options(dir))
	refs, rows := make([]Ref, 100), make([]Row, 100)
	for i := range rows {
		rows[i] = Row{Ref: &refs[i], Labels: series("bench", "n", fmt.Sprint(i)), Samples: make([]bus.Sample, 1)}
	}
	for k := range int64(3 * 3600) {
		for i := range rows {
			rows[i].Samples[0] = bus.Sample{T: base + k*1000, V: math.Round(1000*rand.Float64()) / 10}
		}
		appendRows(b, s, rows...)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for _, after := range []string{"close", "kill"} {
		b.Run("after_"+after, func(b *testing.B) {
			var before, now runtime.MemStats
			runtime.GC()
			runtime.GC() // what the first leaves to pools
			runtime.ReadMemStats(&before)
			for b.Loop() {
				b.StopTimer()
				if after == "kill" {
					if err := os.WriteFile(filepath.Join(dir, "running.json"), nil, 0o600); err != nil {
						b.Fatal(err)
					}
				}
				b.StartTimer()
				s = open(b, options(dir))
				b.StopTimer()
				runtime.GC()
				runtime.GC()
				runtime.ReadMemStats(&now)
				b.ReportMetric((float64(now.HeapAlloc)-float64(before.HeapAlloc))/(1<<20), "MiB-head")
				b.ReportMetric(float64(now.Sys-now.HeapReleased)/(1<<20), "MiB-runtime")
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}
