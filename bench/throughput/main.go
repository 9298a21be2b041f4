//go:build linux

// Command throughput measures what goes through Redis, from sources' Publish to
// viewers: batches and samples a second, delays, and processor time. See
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
	"syscall"
	"time"

	"stripchart/bench/child"
	"stripchart/bench/load"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var err error
	if len(os.Args) > 1 && (os.Args[1] == roleSource || os.Args[1] == roleMemory) {
		err = play(ctx, os.Args[1], os.Args[2:], os.Stdin, os.Stdout, os.Stderr)
	} else {
		err = run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "throughput:", err)
		os.Exit(1)
	}
}

// bench is what every scenario needs.
type bench struct {
	ctx     context.Context // ends with an interrupt, and every child with it
	binary  string          // the program under test
	self    string          // this program
	dir     string          // for data; removed at the end
	out     io.Writer       // the report
	log     io.Writer       // progress
	viewers int
	sources int  // 0: all situations
	memory  bool // the yardstick is measured too
	systems int  // started so far
}

type scenario struct {
	name string
	run  func(b *bench, quick bool) error
}

// scenarios in the order in which they run.
var scenarios = []scenario{
	{"rates", (*bench).rates},
	{"away", (*bench).away},
}

func run(ctx context.Context, args []string, out, log io.Writer) (err error) {
	flags := flag.NewFlagSet("throughput", flag.ContinueOnError)
	flags.SetOutput(log)
	quick := flags.Bool("quick", false, "a small form of everything, in about half a minute")
	only := flags.String("scenario", "all", "what to run: rates, away, or all")
	b := &bench{out: out, log: log}
	flags.StringVar(&b.binary, "binary", "", "the stripchart program to measure; built from ./cmd/stripchart unless given")
	flags.IntVar(&b.viewers, "viewers", 100, "viewers, each of whom watches a series of each source")
	flags.IntVar(&b.sources, "sources", 0, "rates: only situations with so many sources: 10, 100 or 1000")
	flags.BoolVar(&b.memory, "yardstick", true, "rates: the bus in memory too")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if b.viewers < 1 || b.viewers > 10_000 {
		return fmt.Errorf("-viewers must be 1 to 10000, not %d", b.viewers)
	}
	if len(b.chosen(situations(*quick))) == 0 {
		return fmt.Errorf("-sources must be one of those measured, not %d", b.sources)
	}
	if *only != "all" && !slices.ContainsFunc(scenarios, func(s scenario) bool { return s.name == *only }) {
		return fmt.Errorf("there is no scenario %q; there are rates and away", *only)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	b.ctx = ctx
	if _, err := load.RaiseFileLimit(); err != nil {
		return err
	}
	// The viewers' memory is small and nobody's figure; its collector would take
	// processors from what is measured.
	debug.SetGCPercent(1000)
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "stripchart-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if b.binary == "" {
		if b.binary, err = child.Build(ctx, b.dir); err != nil {
			return err
		}
	}
	fmt.Fprintln(out, child.Machine())
	for _, s := range scenarios {
		if *only != "all" && *only != s.name {
			continue
		}
		fmt.Fprintf(out, "\n## %s\n\n", s.name)
		if err := s.run(b, *quick); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// chosen are the situations that the flags leave.
func (b *bench) chosen(all []situation) []situation {
	return slices.DeleteFunc(all, func(s situation) bool {
		return b.sources != 0 && s.sources != b.sources || s.memory && !b.memory
	})
}

// progress tells what is going on.
func (b *bench) progress(format string, args ...any) {
	fmt.Fprintf(b.log, "%s "+format+"\n", append([]any{time.Now().Format(time.TimeOnly)}, args...)...)
}
