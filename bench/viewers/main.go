//go:build linux

// Command viewers measures what viewers cost: the program as it is shipped,
// against a floor that sends the same bytes to the same connections. See
// bench/README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"stripchart/bench/child"
	"stripchart/bench/load"
)

// floorRole as the first argument makes this program the floor; see child.go.
const floorRole = "floor"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var err error
	if len(os.Args) > 1 && os.Args[1] == floorRole {
		err = serveFloor(ctx, os.Args[2:], os.Stdin, os.Stdout)
	} else {
		err = run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "viewers:", err)
		os.Exit(1)
	}
}

// bench is what every scenario needs.
type bench struct {
	ctx    context.Context // ends with an interrupt; a scenario ends at its next step
	binary string          // the program under test
	self   string          // this program
	dir    string          // for data; removed at the end
	out    io.Writer       // the report
	log    io.Writer       // progress
	pairs  int
	times  times
	choice choice
	limit  int // viewers that the limit of open files lets this process have
	dirs   int // data directories made so far
}

// times are the lengths of a run's phases.
type times struct {
	settle  time.Duration // after the start, before memory is read; after connecting
	warmup  time.Duration
	measure time.Duration
}

// scenarios in the order in which they run.
var scenarios = []struct {
	name string
	run  func(b *bench, quick bool) error
}{
	{"fanout", (*bench).fanout},
	{"stalled", (*bench).stalled},
	{"storm", (*bench).storm},
	{"churn", (*bench).churn},
}

func run(ctx context.Context, args []string, out, log io.Writer) error {
	flags := flag.NewFlagSet("viewers", flag.ContinueOnError)
	flags.SetOutput(log)
	names := make([]string, len(scenarios))
	for i, s := range scenarios {
		names[i] = s.name
	}
	quick := flags.Bool("quick", false, "a small form of everything, in about two minutes")
	only := flags.String("scenario", "all", "what to run: "+strings.Join(names, ", ")+", several with commas, or all")
	binary := flags.String("binary", "", "the stripchart program to measure; built from ./cmd/stripchart unless given")
	pairs := flags.Int("pairs", 5, "paired runs of which the median is reported; 1 when quick")
	measured := flags.Duration("measure", 10*time.Second, "how long a run is measured; 4s when quick")
	b := &bench{ctx: ctx, out: out, log: log}
	b.choice.define(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := b.choice.check(flags, *quick); err != nil {
		return err
	}
	wanted := strings.Split(*only, ",")
	for _, name := range wanted {
		if name != "all" && !slices.Contains(names, name) {
			return fmt.Errorf("there is no scenario %q; there are %s", name, strings.Join(names, ", "))
		}
	}
	b.pairs, b.times = *pairs, times{settle: 3 * time.Second, warmup: 4 * time.Second, measure: *measured}
	if *quick {
		b.pairs, b.times = 1, times{settle: time.Second, warmup: time.Second, measure: 4 * time.Second}
	}
	limit, err := load.RaiseFileLimit()
	if err != nil {
		return err
	}
	b.limit = int(limit) - 500

	// The generator's memory is small and nobody's figure; its collector would
	// take processors from what is measured.
	debug.SetGCPercent(1000)

	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "stripchart-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if b.binary = *binary; b.binary == "" {
		if b.binary, err = child.Build(ctx, b.dir); err != nil {
			return err
		}
	}
	fmt.Fprintln(out, child.Machine())
	for _, s := range scenarios {
		if !slices.Contains(wanted, "all") && !slices.Contains(wanted, s.name) {
			continue
		}
		fmt.Fprintf(out, "\n## %s\n\n", s.name)
		if err := s.run(b, *quick); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// progress tells what is going on.
func (b *bench) progress(format string, args ...any) {
	fmt.Fprintf(b.log, "%s "+format+"\n", append([]any{time.Now().Format(time.TimeOnly)}, args...)...)
}
