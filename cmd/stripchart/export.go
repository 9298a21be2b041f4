package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"stripchart/internal/export"
)

// exporting are the arguments of stripchart export.
type exporting struct {
	File   string   `arg:"" help:"The file to write; - is standard output. Its end tells the format: .csv, .jsonl or .om, each also with .gz."`
	Match  []string `help:"Selector of series, such as load1 or {host=\"web1\"}; may be given several times. Default: every series." placeholder:"SELECTOR" sep:"none"`
	Start  string   `help:"Time of the oldest sample, in Unix seconds or as 2026-01-01T00:00:00Z." placeholder:"TIME"`
	End    string   `help:"Time of the newest sample." placeholder:"TIME"`
	Format string   `help:"csv, jsonl or openmetrics, if the name of the file does not tell." placeholder:"FORMAT"`
	Times  string   `help:"Form of times in CSV and JSON lines: rfc3339 or unix_ms." placeholder:"FORM"`
	From   string   `help:"Address of the server." default:"http://127.0.0.1:5000" placeholder:"URL"`
}

// silence is how long a server may send nothing.
const silence = time.Minute

func (o *exporting) check(as calling) error {
	if err := as.check(o.From); err != nil {
		return named("--from", err)
	}
	_, err := formatOf(o.Format, o.File)
	return err
}

// formatOf returns the format that was asked for, or that the name of a file tells.
func formatOf(format, file string) (export.Format, error) {
	if format != "" {
		f, err := export.ParseFormat(format)
		return f, named("--format", err)
	}
	f, told := export.FormatOf(file)
	if !told {
		return "", fmt.Errorf("the name %s does not tell the format: give --format csv, jsonl or openmetrics", file)
	}
	return f, nil
}

// runExport writes a file of what a server has. The file is there as a whole, or not at all.
func runExport(ctx context.Context, o exporting, as calling, stdout, stderr io.Writer) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	res, err := o.ask(ctx, as)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	bar := newProgress(stderr, "exported", 0)
	defer bar.end()
	body := &watchedReader{r: res.Body, bar: bar, timer: time.AfterFunc(silence, func() {
		cancel(fmt.Errorf("the server has sent nothing for %v", silence))
	})}
	defer body.timer.Stop()
	failed := func(err error) error {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return fmt.Errorf("the export has ended before its end, and nothing was kept: %w", err)
	}
	if o.File == "-" {
		if _, err := io.Copy(stdout, body); err != nil {
			return fmt.Errorf("the export has ended before its end: %w", err)
		}
		return missing(res, "standard output")
	}
	f, err := os.OpenFile(o.File+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	err = copyTo(f, body, strings.HasSuffix(strings.ToLower(o.File), ".gz"))
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), o.File)
	}
	if err != nil {
		return errors.Join(failed(err), os.Remove(f.Name()))
	}
	bar.end()
	fmt.Fprintf(stderr, "stripchart: %s of samples are in %s\n", megabytes(body.n), o.File)
	return missing(res, o.File)
}

// copyTo writes what r reads, compressed if that is asked for.
func copyTo(w io.Writer, r io.Reader, zip bool) error {
	out := bufio.NewWriterSize(w, 1<<20)
	if !zip {
		if _, err := io.Copy(out, r); err != nil {
			return err
		}
		return out.Flush()
	}
	z := gzip.NewWriter(out)
	if _, err := io.Copy(z, r); err != nil {
		return err
	}
	return errors.Join(z.Close(), out.Flush())
}

// missing is the error of an export that is whole, as far as the server has what it should.
func missing(res *http.Response, where string) error {
	if warnings := res.Trailer.Values("Stripchart-Warning"); len(warnings) > 0 {
		return fmt.Errorf("the export is in %s, but: %s", where, strings.Join(warnings, "; "))
	}
	return nil
}

// ask sends the request.
func (o *exporting) ask(ctx context.Context, as calling) (*http.Response, error) {
	client, err := as.reader()
	if err != nil {
		return nil, err
	}
	token, err := as.token()
	if err != nil {
		return nil, err
	}
	format, err := formatOf(o.Format, o.File)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(o.From)
	if err != nil {
		return nil, err
	}
	u = u.JoinPath("/api/v1/export")
	match := o.Match
	if len(match) == 0 {
		match = []string{`{__name__!=""}`}
	}
	q := url.Values{"match[]": match, "format": {string(format)}}
	for name, v := range map[string]string{"start": o.Start, "end": o.End, "times": o.Times} {
		if v != "" {
			q.Set(name, v)
		}
	}
	u.RawQuery = q.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil) // user and password become a header
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "stripchart/"+version)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := client.Do(r)
	if err != nil {
		if e, is := errors.AsType[*url.Error](err); is {
			err = e.Err // without the URL, which may have a password
		}
		return nil, fmt.Errorf("%s does not answer: %w", userInfo.ReplaceAllString(o.From, "://"), err)
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // what there is of it
	var says struct{ Error string }
	if json.Unmarshal(text, &says) != nil || says.Error == "" {
		says.Error = "it is no stripchart that can export"
	}
	return nil, fmt.Errorf("%s answers %s: %s", userInfo.ReplaceAllString(o.From, "://"), res.Status, says.Error)
}

// watchedReader counts what is read, and sets the timer back with each byte.
type watchedReader struct {
	r     io.Reader
	n     int64
	bar   *progress
	timer *time.Timer // what happens when nothing comes
}

func (w *watchedReader) Read(b []byte) (int, error) {
	n, err := w.r.Read(b)
	w.n += int64(n)
	if n > 0 && w.timer != nil {
		w.timer.Reset(silence)
	}
	w.bar.at(w.n, "")
	return n, err
}
