package backfill

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"

	"stripchart/internal/bus"
	"stripchart/internal/store"
)

const (
	// blockSpan is the longest span of a block: a step of tsdb's, 2 h x 3 x 3 x 3.
	blockSpan = int64(54 * time.Hour / time.Millisecond)
	// chunkSamples is how many samples a chunk has, as tsdb's own.
	chunkSamples = 120
	// futureBound is how far ahead of the clock a sample may lie, as for every endpoint: one
	// that lies further would keep tsdb from taking what comes.
	futureBound = time.Minute
	// defaultMemory is Options.Memory where it is 0.
	defaultMemory = 256 << 20

	workDir = "import.tmp" // below the data directory
)

// Options of Open. Dir is required.
type Options struct {
	Dir string
	// Memory is how many bytes what is known about series and chunks may take; 0: 256 MiB.
	Memory int64
	// Log gets what tsdb says; nil discards.
	Log *slog.Logger
}

// Result is what an import has done.
type Result struct {
	Samples   int // that were added
	Duplicate int // that were there already, at the same time of the same series
	Future    int // that lie more than a minute ahead
	Blocks    int
	From, To  int64 // times of the oldest and of the newest sample that was added, Unix ms
}

// Writer takes samples. It is for one goroutine.
type Writer struct {
	o      Options
	dir    *store.Offline
	work   string
	latest int64 // no sample may be newer
	chunks *chunkFile
	blocks []string // finished, in work
	result Result

	existing storage.Querier // of the history; nil: there is none
	db       *tsdb.DBReadOnly
	opened   bool // whether existing was looked for
}

// Open takes the data directory. The error is that of store.TakeOffline.
func Open(o Options) (w *Writer, err error) {
	if o.Memory == 0 {
		o.Memory = defaultMemory
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	w = &Writer{
		o: o, work: filepath.Join(o.Dir, workDir), latest: time.Now().Add(futureBound).UnixMilli(),
		result: Result{From: math.MaxInt64, To: math.MinInt64},
	}
	if w.dir, err = store.TakeOffline(o.Dir); err != nil {
		return nil, err
	}
	if err = os.RemoveAll(w.work); err == nil { // of one that was killed
		err = os.MkdirAll(w.work, 0o777)
	}
	if err == nil {
		w.chunks, err = newChunkFile(filepath.Join(w.work, "chunks"))
	}
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// Add takes samples of a series. An error says that the series cannot be stored, or that
// the disk does not take it; then nothing will be imported.
func (w *Writer) Add(ls labels.Labels, samples []bus.Sample) error {
	s, err := w.chunks.series(ls)
	if err != nil {
		return err
	}
	for _, x := range samples {
		if x.T > w.latest {
			w.result.Future++
			continue
		}
		if err := w.chunks.add(s, x); err != nil {
			return err
		}
	}
	if w.chunks.memory() > w.o.Memory {
		return w.seal()
	}
	return nil
}

// seal makes blocks of the chunks that there are, and begins anew.
func (w *Writer) seal() error {
	if err := w.openExisting(); err != nil {
		return fmt.Errorf("read the history: %w", err)
	}
	if err := w.chunks.finish(); err != nil {
		return err
	}
	for _, span := range w.chunks.spans() {
		dir, err := w.block(w.chunks.parts[span])
		if err != nil {
			return fmt.Errorf("write a block: %w", err)
		}
		if dir != "" {
			w.blocks = append(w.blocks, dir)
		}
	}
	return w.chunks.reset()
}

// openExisting opens the history, if there is one.
func (w *Writer) openExisting() (err error) {
	if w.opened {
		return nil
	}
	w.opened = true
	if _, err := os.Stat(filepath.Join(w.dir.Database, "wal")); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if w.db, err = tsdb.OpenDBReadOnly(w.dir.Database, w.work, w.o.Log); err != nil {
		return err
	}
	w.existing, err = w.db.Querier(math.MinInt64, math.MaxInt64)
	return err
}

// Commit puts everything that was added into the history.
func (w *Writer) Commit() (Result, error) {
	if err := w.seal(); err != nil {
		return Result{}, err
	}
	if err := w.closeExisting(); err != nil {
		return Result{}, err
	}
	if err := os.MkdirAll(w.dir.Database, 0o777); err != nil {
		return Result{}, err
	}
	for i, dir := range w.blocks {
		if err := os.Rename(dir, filepath.Join(w.dir.Database, filepath.Base(dir))); err != nil {
			return Result{}, fmt.Errorf("%d of %d blocks were put in place; import the file again: %w", i, len(w.blocks), err)
		}
	}
	w.result.Blocks, w.blocks = len(w.blocks), nil
	return w.result, syncDir(w.dir.Database)
}

// syncDir makes sure of the names in a directory. Where the system cannot, its own time does.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	_ = d.Sync()
	return d.Close()
}

func (w *Writer) closeExisting() error {
	var errs []error
	if w.existing != nil {
		errs = append(errs, w.existing.Close())
	}
	if w.db != nil {
		errs = append(errs, w.db.Close())
	}
	w.existing, w.db = nil, nil
	return errors.Join(errs...)
}

// Close removes what was not committed, and gives the directory back. Further calls do nothing.
func (w *Writer) Close() error {
	if w.dir == nil {
		return nil
	}
	errs := []error{w.closeExisting()}
	if w.chunks != nil {
		errs = append(errs, w.chunks.close())
	}
	errs = append(errs, os.RemoveAll(w.work), w.dir.Release())
	w.dir = nil
	return errors.Join(errs...)
}

func newID() ulid.ULID { return ulid.Make() }
