package chaos

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
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
	url := f.String("bus", "", "redis://host:port/0, or http://server")
	f.BoolVar(&s.small, "small-spool", false, "the spool holds little: its batches are large, and its bound is the least there is")
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
	small          bool
	journal        *journal
	spool          *spool.Spool
	lives          string       // file of a byte for each life
	life           int64        // 0 to lives-1
	shift          atomic.Int64 // of the clock, ms
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
	publish, closeBus, err := openBus(ctx, url, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeBus()) }()
	o := spool.Options{
		Dir: filepath.Join(dir, "spool"), Encode: s.encode, Decode: decode, Logger: log,
		NewSource: func() string {
			return "chaos-" + strconv.Itoa(s.number) + "-" + strconv.FormatInt(time.Now().UnixNano(), 36)
		},
	}
	if s.small {
		o.MaxBytes = spool.MinMaxBytes
	}
	if s.spool, err = spool.Open(o); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.spool.Close()) }()

	sent := make(chan error, 1)
	go func() {
		sent <- s.spool.Run(ctx, func(ctx context.Context, x *bus.Batch) error {
			first, last := x.First(), x.Seq
			if err := publish(ctx, x); err != nil {
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

// openBus opens the way to the bus that `stripchart collect` takes for the URL.
func openBus(ctx context.Context, url string, log *slog.Logger) (publish spool.Publish, closeBus func() error, err error) {
	if !strings.HasPrefix(url, "http:") {
		b, err := redisbus.Open(ctx, redisbus.Options{URL: url, Logger: log, ResendAge: -1})
		if err != nil {
			return nil, nil, err
		}
		return b.Publish, b.Close, nil
	}
	p, err := httpbus.New(httpbus.Options{URL: url, Encode: rw.Encode, UserAgent: "stripchart-chaos"})
	if err != nil {
		return nil, nil, err
	}
	return p.Publish, p.Close, nil
}

// smallRecord is the size of a record in a spool that is to be full after two
// seconds; it cannot be compressed.
const smallRecord = 24 << 10

// encode writes a batch of the spool's: its length, the batch, and what makes it large.
func (s *source) encode(b *bus.Batch) []byte {
	p := rw.Encode(b)
	p = append(binary.BigEndian.AppendUint32(nil, uint32(len(p))), p...)
	if n := smallRecord - len(p); s.small && n > 0 {
		ballast := make([]byte, n)
		_, _ = rand.Read(ballast) // it never fails
		p = append(p, ballast...)
	}
	return p
}

func decode(p []byte) (*bus.Batch, error) {
	if len(p) < 4 || uint64(len(p)) < 4+uint64(binary.BigEndian.Uint32(p)) {
		return nil, io.ErrUnexpectedEOF
	}
	b, _, err := rw.Decode(p[4:4+binary.BigEndian.Uint32(p)], rw.Limits{})
	return b, err
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

// measure appends a batch at each tick until ctx ends. What the spool only holds in
// memory is acknowledged by the bus alone. A batch that it refuses is offered again,
// as a collector does; ticks that pass meanwhile are not measured.
func (s *source) measure(ctx context.Context, log *slog.Logger) error {
	shift := s.shift.Load()
	var gathered []measurement
	for n := 0; ; n++ {
		now := time.Now()
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(now.Truncate(tick * time.Millisecond).Add(tick * time.Millisecond).Sub(now)):
		}
		if x := s.shift.Load(); x != shift {
			shift, gathered = x, nil // what was not published yet was not measured
			if err := s.begin(); err != nil {
				return err
			}
		}
		now = time.Now()
		m := measurement{t: (now.UnixMilli()+shift)/tick*tick + s.life}
		if n%lateEvery == 0 && n > 2*lateBy/tick {
			m.late = m.t - lateBy + tick/2
		}
		if gathered = append(gathered, m); len(gathered) < timesOf(s.number) {
			continue
		}
		if err := s.publish(ctx, gathered, now, log); err != nil {
			return err
		}
		gathered = nil
	}
}

// measurement is when every series is measured, and when a sample that came late was;
// that is 0 when there is none.
type measurement struct{ t, late int64 }

// publish appends what was measured as one batch.
func (s *source) publish(ctx context.Context, all []measurement, now time.Time, log *slog.Logger) error {
	b := s.batch(all)
	seq := b.Seq
	for _, m := range all {
		if err := s.journal.attempt(m.t, m.late, now); err != nil {
			return err
		}
	}
	note := s.journal.spooled
	switch err := s.append(ctx, b, log); {
	case err == nil:
	case errors.Is(err, spool.ErrHeld):
		note = s.journal.held
	case ctx.Err() != nil:
		return nil
	default:
		return err
	}
	for _, m := range all {
		if err := note(m.t, seq); err != nil {
			return err
		}
	}
	return nil
}

// append appends b until it is taken, or ctx has ended.
func (s *source) append(ctx context.Context, b *bus.Batch, log *slog.Logger) error {
	for {
		err := s.spool.Append(ctx, b)
		if !errors.Is(err, spool.ErrNotWritten) {
			return err
		}
		log.Warn("not spooled", "seq", b.Seq, "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(tick * time.Millisecond):
		}
	}
}

// batch measures every series at all times, and late ones. A series that lags is
// measured earlier.
func (s *source) batch(all []measurement) *bus.Batch {
	var times []int64
	for _, m := range all {
		if m.late != 0 {
			times = append(times, m.late)
		}
		times = append(times, m.t)
	}
	slices.Sort(times)
	b := &bus.Batch{Sequence: bus.Sequence{Source: s.spool.Source(), Seq: s.spool.NextSeq()}}
	for k := range s.series {
		var samples []bus.Sample
		for _, t := range times {
			t -= lagOf(s.number, k)
			samples = append(samples, bus.Sample{T: t, V: valueAt(s.number, k, t)})
		}
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
