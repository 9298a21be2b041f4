package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/backfill"
	"stripchart/internal/backoff"
	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
	"stripchart/internal/export"
	"stripchart/internal/store"
)

// importing are the arguments of stripchart import.
type importing struct {
	File    string `arg:"" help:"The file to read, as stripchart export writes it; - is standard input. Its end tells the format: .csv, .jsonl or .om, each also with .gz."`
	Format  string `help:"csv, jsonl or openmetrics, if the name of the file does not tell." placeholder:"FORMAT"`
	To      string `help:"Address of the running server, which takes samples of the last 24 hours." default:"http://127.0.0.1:5000" placeholder:"URL"`
	Offline bool   `help:"Put samples of any age into --data-dir, while no server uses it."`
}

func (o *importing) check(as calling) error {
	if err := as.check(o.To); !o.Offline && err != nil {
		return named("--to", err)
	}
	_, err := formatOf(o.Format, o.File)
	return err
}

// taker is what an import gives its samples to.
type taker interface {
	// take takes samples, which stay the caller's. An error ends the import.
	take(ctx context.Context, ls labels.Labels, samples []bus.Sample) error
	// finish takes the end, says what was done, and returns why not all of it was.
	finish(ctx context.Context) error
	Close() error
}

// runImport reads a file into a server, or into a data directory.
func runImport(ctx context.Context, o importing, as calling, dir string, stdin io.Reader, stderr io.Writer) (err error) {
	format, err := formatOf(o.Format, o.File)
	if err != nil {
		return err
	}
	in, size := stdin, int64(0)
	if o.File != "-" {
		f, err := os.Open(o.File)
		if err != nil {
			return err
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			size = info.Size()
		}
		in = f
	}
	bar := newProgress(stderr, "imported", size)
	defer bar.end()
	var text io.Reader = bufio.NewReaderSize(&watchedReader{r: in, bar: bar}, 256<<10)
	if strings.HasSuffix(strings.ToLower(o.File), ".gz") {
		if text, err = gzip.NewReader(text); err != nil {
			return fmt.Errorf("read %s: %w", o.File, err)
		}
	}
	say := func(format string, args ...any) {
		bar.end()
		fmt.Fprintf(stderr, "stripchart: "+format+"\n", args...)
	}
	var to taker
	if o.Offline {
		to, err = openOffline(dir, say)
	} else {
		to, err = openOnline(o.To, as, say)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	return importAll(ctx, export.NewDecoder(format, text), o.File, to, say)
}

// importAll gives everything that d reads to a taker.
func importAll(ctx context.Context, d export.Decoder, file string, to taker, say func(string, ...any)) error {
	missing := 0
	for {
		run, err := d.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
		switch {
		case ctx.Err() != nil:
			return errors.New("stopped before the end of the file")
		case run.Warning != "":
			say("the file says: %s", run.Warning)
			missing++
		case run.Gap != nil:
			missing++
		default:
			if err := to.take(ctx, run.Labels, run.Samples); err != nil {
				return err
			}
		}
	}
	err := to.finish(ctx)
	if missing > 0 {
		say("the file says in %d places that samples may be missing from it; the history has no mark there", missing)
	}
	return err
}

// offline puts samples into a data directory.
type offline struct {
	w   *backfill.Writer
	dir string
	say func(string, ...any)
}

func openOffline(dir string, say func(string, ...any)) (*offline, error) {
	w, err := backfill.Open(backfill.Options{Dir: dir})
	if errors.Is(err, store.ErrLocked) {
		return nil, fmt.Errorf("a server uses this data directory, and only it may write there; stop it, import, and start it again: %w", err)
	}
	if err != nil {
		return nil, err
	}
	return &offline{w, dir, say}, nil
}

func (o *offline) take(_ context.Context, ls labels.Labels, samples []bus.Sample) error {
	return o.w.Add(ls, samples)
}

func (o *offline) finish(context.Context) error {
	r, err := o.w.Commit()
	if err != nil {
		return err
	}
	o.say("samples added to %s: %d, in %d blocks; there already: %d", o.dir, r.Samples, r.Blocks, r.Duplicate)
	if r.Samples > 0 {
		age := time.Since(time.UnixMilli(r.From)).Hours() / 24
		o.say("the oldest is of %s: a server that is started with a --retention of less than %dd deletes what is older",
			time.UnixMilli(r.From).UTC().Format(time.RFC3339), int(age)+4)
	}
	if r.Future > 0 {
		return fmt.Errorf("samples that were left out because they lie in the future: %d", r.Future)
	}
	return nil
}

func (o *offline) Close() error { return o.w.Close() }

// online sends samples to a running server.
type online struct {
	publish  func(context.Context, *bus.Batch) error
	close    func() error
	say      func(string, ...any)
	name     string // of the server
	pauses   backoff.Backoff
	patience time.Duration // how long a server may be away

	batch   bus.Batch
	waiting int // samples in batch
	sent    int
	old     int // samples that the server would not take
	partly  int // requests of which some samples were refused
}

const (
	// maxImportSeries bounds the series of a request, whose labels count for its size.
	maxImportSeries = 1000
	// importPatience is how long a server may be away.
	importPatience = time.Minute
	// maxImportRefusals is how many refusals are written out.
	maxImportRefusals = 10
)

// importPauses are those between two attempts.
var importPauses = backoff.Backoff{First: 100 * time.Millisecond, Max: 2 * time.Second}

func openOnline(to string, as calling, say func(string, ...any)) (*online, error) {
	options, err := as.publisher(to)
	if err != nil {
		return nil, err
	}
	p, err := httpbus.New(options)
	if err != nil {
		return nil, err
	}
	return &online{
		publish: p.Publish, close: p.Close, say: say, name: userInfo.ReplaceAllString(to, "://"),
		pauses: importPauses, patience: importPatience,
	}, nil
}

func (o *online) take(ctx context.Context, ls labels.Labels, samples []bus.Sample) error {
	oldest := time.Now().Add(-acceptance).UnixMilli()
	n := len(o.batch.Series)
	for _, s := range samples {
		if s.T < oldest {
			o.old++
			continue
		}
		if n == 0 || len(o.batch.Series) == n && !labels.Equal(o.batch.Series[n-1].Labels, ls) {
			o.batch.Series = append(o.batch.Series, bus.Series{Labels: ls})
			n = len(o.batch.Series)
		}
		o.batch.Series[n-1].Samples = append(o.batch.Series[n-1].Samples, s)
		if o.waiting++; o.waiting >= maxRequest {
			if err := o.send(ctx); err != nil {
				return err
			}
			n = 0
		}
	}
	if len(o.batch.Series) >= maxImportSeries {
		return o.send(ctx)
	}
	return nil
}

// send sends what waits until it has an answer. A second time does no harm: the server knows
// a sample by its series and time.
func (o *online) send(ctx context.Context) error {
	if o.waiting == 0 {
		return nil
	}
	defer o.pauses.Reset()
	for until := time.Now().Add(o.patience); ; {
		err := o.publish(ctx, &bus.Batch{Series: o.batch.Series}) // each try has its own batch, and none changes the series
		switch {
		case err == nil, errors.Is(err, bus.ErrNotAllWritten):
			o.sent += o.waiting
			o.batch, o.waiting = bus.Batch{}, 0
			if err != nil {
				if o.partly++; o.partly <= maxImportRefusals {
					o.say("%v", err)
				}
			}
			return nil
		case errors.Is(err, bus.ErrRefused), errors.Is(err, bus.ErrNotStored):
			return fmt.Errorf("%s: %w; sent before: %d samples", o.name, err, o.sent)
		case time.Now().After(until) || ctx.Err() != nil:
			return fmt.Errorf("%s does not take samples: %w; sent before: %d; import the file again, what is there stays. "+
				"Without a running server, --offline puts them into --data-dir", o.name, err, o.sent)
		}
		o.pauses.Wait(ctx)
	}
}

func (o *online) finish(ctx context.Context) error {
	if err := o.send(ctx); err != nil {
		return err
	}
	o.say("samples sent to %s: %d", o.name, o.sent)
	var errs []error
	if o.old > 0 {
		errs = append(errs, fmt.Errorf("samples older than %d h, which a running server does not take: %d; stop it, run this with --offline and its --data-dir, and start it again",
			int(acceptance.Hours()), o.old))
	}
	if o.partly > 0 {
		errs = append(errs, fmt.Errorf("requests of which samples were refused: %d; the reasons stand above", o.partly))
	}
	return inOneLine(errs)
}

func (o *online) Close() error { return o.close() }
