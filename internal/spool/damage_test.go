package spool

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"stripchart/internal/bus"
	"stripchart/internal/testkit"
)

var (
	damages    = flag.Int("damages", 40, "how many damages TestDamage does")
	damageSeed = flag.Uint64("damages.seed", 1, "what they are chosen by")
)

// damagedServer takes batches as servers do: numbers that it knows are copies, and what it knows of
// a source tells it of gaps.
type damagedServer struct {
	t        *testing.T
	newest   map[string]uint64 // by source
	values   map[int64]float64 // by time; of them the first wins
	declared uint64            // batches that are missing, as numbers and headers tell
	copies   map[int64]bool    // times in batches that were skipped
}

func (s *damagedServer) take(b *bus.Batch) {
	known, there := s.newest[b.Source]
	if there && b.Seq <= known {
		for _, x := range b.Series {
			for _, sample := range x.Samples {
				if _, has := s.values[sample.T]; !has {
					s.copies[sample.T] = true
				}
			}
		}
		return
	}
	if there && b.First() > known+1 {
		s.declared += b.First() - known - 1
	} else {
		s.declared += b.Dropped
	}
	s.newest[b.Source] = b.Seq
	for _, x := range b.Series {
		for _, sample := range x.Samples {
			if want := float64((sample.T - base) / step); sample.V != want {
				s.t.Errorf("WRONG VALUE: %v at %v", sample.V, want)
			}
			s.values[sample.T] = sample.V
		}
	}
}

// life opens the spool, publishes what waits, appends and publishes some more.
func (s *damagedServer) life(o Options, from uint64) (appended []uint64, refused error) {
	sp, err := Open(o)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(s.t.Context())
	defer stop()
	ran := make(chan error, 1)
	go func() {
		ran <- sp.Run(ctx, func(_ context.Context, b *bus.Batch) error {
			s.take(b)
			return nil
		})
	}()
	for range 20 {
		seq := sp.NextSeq()
		b := batch(seq, 0, 50)
		b.Source = sp.Source()
		// What is measured next, whatever its number.
		b.Series[0].Samples[0] = bus.Sample{T: base + int64(from)*step, V: float64(from)}
		if err := sp.Append(s.t.Context(), b); err != nil {
			s.t.Error(err)
		}
		appended = append(appended, from)
		from++
	}
	testkit.Eventually(s.t, "every batch is sent", func() bool { return sp.Waiting() == 0 })
	stop()
	<-ran
	if err := sp.Close(); err != nil {
		s.t.Error(err)
	}
	return appended, nil
}

// TestDamage damages a file of a spool at random, and starts twice. Whatever it was: no
// value is wrong, and where batches are missing servers see that there are.
func TestDamage(t *testing.T) {
	made := t.TempDir()
	names := 0
	opts := func(dir string) Options {
		o := options(dir)
		o.MaxBytes = MinMaxBytes
		o.NewSource = func() string { names++; return fmt.Sprintf("source%d", names) }
		o.Logger = slog.New(slog.DiscardHandler)
		return o
	}
	// 400 batches in some segments, of which 100 were published.
	const all, sent = 400, 100
	o := opts(made)
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	first := s.Source()
	for n := range uint64(all) {
		b := batch(n+1, float64(n+1), 700)
		b.Source = first
		if err := s.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	before := &damagedServer{t: t, newest: map[string]uint64{}, values: map[int64]float64{}, copies: map[int64]bool{}}
	ctx, stop := context.WithCancel(t.Context())
	if err := s.Run(ctx, func(ctx context.Context, b *bus.Batch) error {
		if b.Seq > sent+64 {
			stop()
			return ctx.Err()
		}
		before.take(b)
		return nil
	}); err == nil {
		t.Fatal("Run ended")
	}
	stop()
	killed := t.TempDir()
	if err := os.CopyFS(killed, os.DirFS(made)); err != nil {
		t.Fatal(err)
	}
	shut(t, s)

	table := map[[2]string]*[3]int{} // cases, refused, batches missing
	r := rand.New(rand.NewPCG(*damageSeed, 15))
	for i := range *damages {
		from, isKilled := made, i%2 == 1
		if isKilled {
			from = killed
		}
		var files []string
		if err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
			rel, _ := filepath.Rel(from, path)
			if err == nil && !e.IsDir() && rel != "LOCK" {
				files = append(files, rel)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		rel := files[r.IntN(len(files))]
		seed := r.Uint64()
		t.Run(fmt.Sprintf("%d %s", i, rel), func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
				t.Fatal(err)
			}
			what := testkit.Harm(t, rand.New(rand.NewPCG(seed, 1)), filepath.Join(dir, rel))
			x := &damagedServer{t: t, newest: maps.Clone(before.newest), values: maps.Clone(before.values), copies: map[int64]bool{}}
			var appended []uint64
			var refused error
			for start := range 2 {
				var more []uint64
				if more, refused = x.life(opts(dir), all+1+100*uint64(start)); refused != nil {
					break
				}
				appended = append(appended, more...)
			}
			for n := range uint64(all) {
				appended = append(appended, n+1)
			}
			var missing []uint64
			for _, n := range appended {
				if _, there := x.values[base+int64(n)*step]; !there {
					missing = append(missing, n)
				}
			}
			// What a kill leaves of a write, and what another cuts off, look alike.
			excused := isKilled && strings.HasPrefix(rel, "log") && (what == "cut" || what == "file gone")
			if uint64(len(missing)) > x.declared && !excused || len(x.copies) > 0 && !excused {
				slices.Sort(missing)
				t.Errorf("MISSING WITHOUT A GAP: %d batches, %d ... %d; %d were taken for copies", len(missing), missing[0], missing[len(missing)-1], len(x.copies))
			}
			if refused != nil {
				t.Errorf("does not start: %v", refused)
			}
			if t.Failed() {
				t.Logf("%s of %s, killed %v, declared %d", what, rel, isKilled, x.declared)
			}
			kind, _, _ := strings.Cut(rel, string(filepath.Separator))
			cell := table[[2]string{kind, what}]
			if cell == nil {
				cell = new([3]int)
				table[[2]string{kind, what}] = cell
			}
			cell[0]++
			if refused != nil {
				cell[1]++
			}
			cell[2] += len(missing)
		})
	}
	var text strings.Builder
	for _, k := range slices.SortedFunc(maps.Keys(table), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		fmt.Fprintf(&text, "| spool: %s | %s | %d | %d | %d |\n", k[0], k[1], table[k][0], table[k][1], table[k][2])
	}
	t.Logf("\n%s", text.String())
}
