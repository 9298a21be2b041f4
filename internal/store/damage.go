package store

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/index"
)

// damage collects what one querier could not read of blocks. tsdb's own reader ends a
// whole query at the first chunk whose checksum is wrong. Here the chunk is left out, the
// rest is read, and the reader asks what was left out.
type damage struct {
	mu     sync.Mutex
	chunks []Loss // since takeChunks was called last: of the series that is being read
	blocks []Loss // of series that are not known
}

func (d *damage) chunk(meta chunks.Meta) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.chunks = append(d.chunks, Loss{From: meta.MinTime - 1, To: meta.MaxTime + 1, What: "a chunk is damaged"})
}

func (d *damage) block(meta tsdb.BlockMeta) {
	l := Loss{From: meta.MinTime - 1, To: meta.MaxTime, What: "the index of block " + meta.ULID.String() + " is damaged"}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.ContainsFunc(d.blocks, l.Equal) {
		d.blocks = append(d.blocks, l)
	}
}

// takeChunks returns the chunks that were left out since it was called last.
func (d *damage) takeChunks() []Loss {
	d.mu.Lock()
	defer d.mu.Unlock()
	ls := d.chunks
	d.chunks = nil
	return ls
}

// indexes returns the blocks of whose index something was left out.
func (d *damage) indexes() []Loss {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.blocks)
}

// querier opens a querier on a block, or on the head, whose damage goes to d.
func (d *damage) querier(b tsdb.BlockReader, from, to int64) (storage.Querier, error) {
	if _, onDisk := b.(*tsdb.Block); onDisk {
		b = damagedBlock{b, d}
	}
	return tsdb.NewBlockQuerier(b, from, to)
}

type damagedBlock struct {
	tsdb.BlockReader
	d *damage
}

func (b damagedBlock) Chunks() (tsdb.ChunkReader, error) {
	r, err := b.BlockReader.Chunks()
	return damagedChunks{r, b.d}, err
}

func (b damagedBlock) Index() (tsdb.IndexReader, error) {
	r, err := b.BlockReader.Index()
	return damagedIndex{r, b.Meta(), b.d}, err
}

type damagedChunks struct {
	tsdb.ChunkReader
	d *damage
}

// ChunkOrIterable returns a chunk without samples in place of one that is damaged.
func (r damagedChunks) ChunkOrIterable(meta chunks.Meta) (chunkenc.Chunk, chunkenc.Iterable, error) {
	c, it, err := r.ChunkReader.ChunkOrIterable(meta)
	if err == nil && c != nil && !fits(c, meta) {
		err = errors.New("it is another chunk")
	}
	if err != nil {
		r.d.chunk(meta)
		return chunkenc.NewXORChunk(), nil, nil
	}
	return c, it, nil
}

// fits reports whether a chunk begins when the index says: its checksum does not say
// whose it is.
func fits(c chunkenc.Chunk, meta chunks.Meta) bool {
	if c.Encoding() != chunkenc.EncXOR {
		return true
	}
	const samples = 2 // bytes before the first time
	b := c.Bytes()
	if len(b) <= samples {
		return false
	}
	first, n := binary.Varint(b[samples:])
	return n > 0 && first == meta.MinTime
}

// damagedIndex passes over series, and lists of series, that are damaged.
type damagedIndex struct {
	tsdb.IndexReader
	meta tsdb.BlockMeta
	d    *damage
}

// passOver reports whether err is damage, which is noted then.
func (r damagedIndex) passOver(err error) bool {
	if err == nil || errors.Is(err, storage.ErrNotFound) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	r.d.block(r.meta)
	return true
}

func (r damagedIndex) Series(ref storage.SeriesRef, b *labels.ScratchBuilder, cs *[]chunks.Meta) error {
	err := r.IndexReader.Series(ref, b, cs)
	if r.passOver(err) {
		return storage.ErrNotFound
	}
	return err
}

func (r damagedIndex) Postings(ctx context.Context, name string, values ...string) (index.Postings, error) {
	p, err := r.IndexReader.Postings(ctx, name, values...)
	if r.passOver(err) {
		return index.EmptyPostings(), nil
	}
	return p, err
}

func (r damagedIndex) PostingsForLabelMatching(ctx context.Context, name string, match func(string) bool) index.Postings {
	return damagedPostings{r.IndexReader.PostingsForLabelMatching(ctx, name, match), r}
}

func (r damagedIndex) PostingsForAllLabelValues(ctx context.Context, name string) index.Postings {
	return damagedPostings{r.IndexReader.PostingsForAllLabelValues(ctx, name), r}
}

func (r damagedIndex) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, error) {
	values, err := r.IndexReader.LabelValues(ctx, name, hints, ms...)
	if r.passOver(err) {
		return values, nil
	}
	return values, err
}

type damagedPostings struct {
	index.Postings
	r damagedIndex
}

// Err is asked when there is nothing more.
func (p damagedPostings) Err() error {
	if err := p.Postings.Err(); !p.r.passOver(err) {
		return err
	}
	return nil
}
