package chaos

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/bus/redisbus"
	"stripchart/internal/bus/rw"
	"stripchart/internal/spool"
)

// seriesOf returns the labels of series k of a source.
func seriesOf(source, k int) labels.Labels {
	return labels.FromStrings("__name__", everySource, "k", strconv.Itoa(k), "source", strconv.Itoa(source))
}

// Source runs a source of the harness until its standard input ends: numbers that
// can be worked out again, by the way that `stripchart collect` publishes, and a
// journal of what was acknowledged. It returns the exit code. Lines on standard
// input:
//
//	shift 30s    the clock is wrong by that from now on
func Source(args []string) int {
	f := flag.NewFlagSet("source", flag.ContinueOnError)
	s := source{}
	f.IntVar(&s.number, "source", 1, "number of the source")
	f.IntVar(&s.series, "series", 1, "number of its series")
	dir := f.String("data-dir", "", "folder of the spool")
	journal := f.String("journal", "", "file of what was acknowledged")
	url := f.String("bus", "", "redis://host:port/0")
	if err := f.Parse(args); err != nil {
		return 2
	}
	if err := s.run(*dir, *journal, *url); err != nil {
		fmt.Fprintln(os.Stderr, "source:", err)
		return 1
	}
	return 0
}

// source is one life of a source.
type source struct {
	number, series int
	journal        *journal
	spool          *spool.Spool
	lives          string       // file of a byte for each life
	life           int64        // 0 to lives-1
	shift          atomic.Int64 // of the clock, ms
	shifted        atomic.Bool  // since the last tick
}

func (s *source) run(dir, path, url string) (err error) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	s.lives = livesOf(path)
	if s.journal, err = openJournal(path); err != nil {
		return err
	}
	if err := s.begin(); err != nil {
		return err
	}
	b, err := redisbus.Open(ctx, redisbus.Options{URL: url, Logger: log, ResendAge: -1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	s.spool, err = spool.Open(spool.Options{
		Dir: filepath.Join(dir, "spool"), Encode: rw.Encode, Logger: log,
		Decode: func(p []byte) (*bus.Batch, error) {
			b, _, err := rw.Decode(p, rw.Limits{})
			return b, err
		},
		NewSource: func() string {
			return "chaos-" + strconv.Itoa(s.number) + "-" + strconv.FormatInt(time.Now().UnixNano(), 36)
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.spool.Close()) }()

	sent := make(chan error, 1)
	go func() {
		sent <- s.spool.Run(ctx, func(ctx context.Context, x *bus.Batch) error {
			first, last := x.First(), x.Seq
			if err := b.Publish(ctx, x); err != nil {
				return err
			}
			return s.journal.acknowledged(first, last)
		})
	}()
	go s.listen(stop)
	err = s.measure(ctx, log)
	stop()
	<-sent
	return err
}

// listen obeys standard input, and ends the source with it: the harness is gone.
func (s *source) listen(stop func()) {
	defer stop()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		d, err := time.ParseDuration(strings.TrimPrefix(lines.Text(), "shift "))
		if err != nil {
			fmt.Fprintln(os.Stderr, "source:", err)
			return
		}
		s.shift.Store(d.Milliseconds())
		s.shifted.Store(true)
	}
}

// begin begins a new life.
func (s *source) begin() error {
	f, err := os.OpenFile(s.lives, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write([]byte{'.'}); err != nil {
		return err
	}
	n, err := livesIn(s.lives)
	s.life = int64(n) % lives
	return err
}

// measure appends a batch at each tick until ctx ends. A tick at which the spool
// cannot be written is nobody's loss: it was not acknowledged.
func (s *source) measure(ctx context.Context, log *slog.Logger) error {
	for n := 0; ; n++ {
		now := time.Now()
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(now.Truncate(tick * time.Millisecond).Add(tick * time.Millisecond).Sub(now)):
		}
		if s.shifted.Swap(false) {
			if err := s.begin(); err != nil {
				return err
			}
		}
		now = time.Now()
		t := (now.UnixMilli()+s.shift.Load())/tick*tick + s.life
		late := int64(0)
		if n%lateEvery == 0 && n > 2*lateBy/tick {
			late = t - lateBy + tick/2
		}
		b := s.batch(t, late)
		seq := b.Seq
		if err := s.journal.attempt(t, late, now); err != nil {
			return err
		}
		switch err := s.spool.Append(ctx, b); {
		case err == nil:
			if err := s.journal.spooled(t, seq); err != nil {
				return err
			}
		case errors.Is(err, spool.ErrNotWritten):
			log.Warn("not spooled", "err", err)
		case ctx.Err() != nil:
			return nil
		default:
			return err
		}
	}
}

// batch measures every series at t, and at late unless it is 0.
func (s *source) batch(t, late int64) *bus.Batch {
	b := &bus.Batch{Source: s.spool.Source(), Seq: s.spool.NextSeq()}
	for k := range s.series {
		var samples []bus.Sample
		if late != 0 {
			samples = append(samples, bus.Sample{T: late, V: valueAt(s.number, k, late)})
		}
		samples = append(samples, bus.Sample{T: t, V: valueAt(s.number, k, t)})
		b.Series = append(b.Series, bus.Series{Labels: seriesOf(s.number, k), Samples: samples})
	}
	return b
}

// livesOf is the file beside the journal that has a byte for each life.
func livesOf(journal string) string { return journal + ".lives" }

func livesIn(path string) (int, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return int(info.Size()), nil
}

// lives returns how many lives the source has had.
func (s *sourceProcess) lives() int {
	n, _ := livesIn(livesOf(s.journal)) // none yet
	return n
}
