package access

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// pollEvery is how often the file is looked at.
	pollEvery = time.Second
	// settled is the age of a file from which on its time, size and identity tell whether it
	// was changed. A younger one may change again within one tick of the file system's clock,
	// so it is read and compared.
	settled = 3 * time.Second
)

// Tokens are the tokens of a file, as it is at the moment, and that of this run (AddForRun). Open makes
// them, and Run keeps them up to date.
type Tokens struct {
	path    string // "": there is no file
	rules   Rules
	log     *slog.Logger
	changed func() // Run calls it after a change

	list    atomic.Pointer[[]*Token]
	damaged atomic.Bool

	mu   sync.Mutex // guards what follows: what was read last
	info fs.FileInfo
	text []byte
	says string // the error that was logged; "": none
	run  *Token // nil: none
}

// Open reads a token file, which must be there and must be right.
func Open(path string, rules Rules, log *slog.Logger) (*Tokens, error) {
	t := &Tokens{path: path, rules: rules, log: log, changed: func() {}}
	t.list.Store(&[]*Token{})
	if _, err := t.read(); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w; make it with `stripchart token add NAME --scope read --token-file %s`", err, path)
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// OnChange has f called after each change of the tokens. It is called before Run.
func (t *Tokens) OnChange(f func()) { t.changed = f }

// Run reads the file anew when it changes, until ctx ends. A file that has changed since the last look
// may be half written, or empty for a moment: it is read at the first look that finds it unchanged.
func (t *Tokens) Run(ctx context.Context) {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	last, _ := os.Stat(t.path) // Poll reports a failure
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now, _ := os.Stat(t.path)
		if isSame(last, now) {
			t.Poll()
		}
		last = now
	}
}

// isSame reports whether two looks at a file have found the same; nil: none was there.
func isSame(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && a.Mode() == b.Mode()
}

// Poll looks at the file once. A file that is away, or cannot be read, or is damaged, changes
// nothing: an editor may be at work. The log says so once.
func (t *Tokens) Poll() {
	if t.path == "" {
		return
	}
	changed, err := t.read()
	t.damaged.Store(err != nil)
	t.tell(changed, err)
	if changed {
		t.changed()
	}
}

// tell logs what has become of the file, if that is news.
func (t *Tokens) tell(changed bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err != nil && err.Error() != t.says:
		t.says = err.Error()
		t.log.Error("the token file cannot be used; the tokens that were read before stay valid", "file", t.path, "err", err)
	case err == nil && (changed || t.says != ""):
		t.says = ""
		t.log.Info("the token file was read", "file", t.path, "tokens", len(*t.list.Load()))
	}
}

// read reads the file if it may have changed, and reports whether it has.
func (t *Tokens) read() (changed bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f, err := os.Open(t.path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	if isSame(t.info, info) && time.Since(info.ModTime()) > settled {
		return false, nil
	}
	if err := checkMode(info); err != nil {
		return false, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return false, err
	case len(text) > maxFile:
		return false, fmt.Errorf("the file has more than %d bytes", maxFile)
	case t.text != nil && bytes.Equal(text, t.text):
		t.info = info
		return false, nil
	}
	all, err := t.rules.parse(text)
	if err != nil {
		return false, err
	}
	t.info, t.text = info, append([]byte{}, text...)
	t.replace(all)
	return true, nil
}

// Find returns the token of a text, or nil. It compares with every token, each in constant
// time.
func (t *Tokens) Find(text string) *Token {
	sum := sha256.Sum256([]byte(text))
	var found *Token
	for _, x := range *t.list.Load() {
		if subtle.ConstantTimeCompare(sum[:], x.hash[:]) == 1 {
			found = x
		}
	}
	return found
}

// named returns the token of a name, or nil.
func (t *Tokens) named(name string) *Token {
	for _, x := range *t.list.Load() {
		if x.Name == name {
			return x
		}
	}
	return nil
}

// holds reports whether the file still has the entry of x.
func (t *Tokens) holds(x *Token) bool {
	now := t.named(x.Name)
	return now != nil && now.equal(x)
}

var (
	tokensDesc  = prometheus.NewDesc("stripchart_tokens", "Tokens in the token file, as it was read last.", nil, nil)
	damagedDesc = prometheus.NewDesc("stripchart_token_file_damaged", "1 while the token file cannot be read, and the tokens that were read before are in use.", nil, nil)
)

// Describe implements prometheus.Collector.
func (t *Tokens) Describe(out chan<- *prometheus.Desc) {
	out <- tokensDesc
	out <- damagedDesc
}

// Collect implements prometheus.Collector.
func (t *Tokens) Collect(out chan<- prometheus.Metric) {
	damaged := 0.0
	if t.damaged.Load() {
		damaged = 1
	}
	out <- prometheus.MustNewConstMetric(tokensDesc, prometheus.GaugeValue, float64(len(*t.list.Load())))
	out <- prometheus.MustNewConstMetric(damagedDesc, prometheus.GaugeValue, damaged)
}
