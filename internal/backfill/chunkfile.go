package backfill

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"stripchart/internal/bus"
)

// chunkFile keeps samples as chunks in a file, in the order in which they come. In memory it
// has the series, the chunk that each has open, and where the others are.
type chunkFile struct {
	f    *os.File
	out  *bufio.Writer
	size int64

	byLabels map[string]*series
	last     *series // that came last
	parts    map[int64][]part
	bytes    int64 // that all of it takes in memory, about
}

// series is a series and the chunk that is open.
type series struct {
	labels labels.Labels
	rank   int // its place among all, by their labels; set by finish

	chunk    *chunkenc.XORChunk
	app      chunkenc.Appender
	span     int64 // that the chunk is in
	min, max int64
}

// part is a chunk in the file.
type part struct {
	of       *series
	at       int64 // its offset
	size     int32
	min, max int64
}

const (
	partBytes   = 40
	seriesBytes = 600 // with the open chunk, without labels
)

func newChunkFile(path string) (c *chunkFile, err error) {
	c = &chunkFile{byLabels: map[string]*series{}, parts: map[int64][]part{}}
	c.f, err = os.Create(path)
	if err == nil {
		c.out = bufio.NewWriterSize(c.f, 1<<20)
	}
	return c, err
}

func (c *chunkFile) memory() int64 { return c.bytes }

// series returns the series of labels.
func (c *chunkFile) series(ls labels.Labels) (*series, error) {
	if c.last != nil && labels.Equal(c.last.labels, ls) {
		return c.last, nil
	}
	key := string(ls.Bytes(nil))
	s := c.byLabels[key]
	if s == nil {
		if err := check(ls); err != nil {
			return nil, err
		}
		s = &series{labels: ls}
		c.byLabels[key] = s
		c.bytes += seriesBytes + 2*int64(len(key))
	}
	c.last = s
	return s, nil
}

// check refuses labels that no endpoint would take either.
func check(ls labels.Labels) error {
	if ls.Get(model.MetricNameLabel) == "" {
		return fmt.Errorf("the series %s has no name", ls)
	}
	b := bus.NewLabelBuilder(bus.EndpointLabels())
	ls.Range(func(l labels.Label) { b.Add([]byte(l.Name), []byte(l.Value)) })
	if _, err := b.Labels(); err != nil {
		return fmt.Errorf("the series %.200s cannot be stored: %w", ls.String(), err)
	}
	return nil
}

// spanOf returns the number of the span that a time lies in, rounded down.
func spanOf(t int64) int64 {
	n := t / blockSpan
	if t%blockSpan < 0 {
		n--
	}
	return n
}

func (c *chunkFile) add(s *series, x bus.Sample) (err error) {
	span := spanOf(x.T)
	if s.chunk != nil && (s.span != span || x.T <= s.max || s.chunk.NumSamples() >= chunkSamples) {
		if err := c.cut(s); err != nil {
			return err
		}
	}
	if s.chunk == nil {
		s.chunk = chunkenc.NewXORChunk()
		if s.app, err = s.chunk.Appender(); err != nil {
			return err
		}
		s.span, s.min = span, x.T
	}
	s.app.Append(0, x.T, x.V)
	s.max = x.T
	return nil
}

// cut writes the open chunk of a series.
func (c *chunkFile) cut(s *series) error {
	b := s.chunk.Bytes()
	if _, err := c.out.Write(b); err != nil {
		return err
	}
	c.parts[s.span] = append(c.parts[s.span], part{s, c.size, int32(len(b)), s.min, s.max})
	c.size += int64(len(b))
	c.bytes += partBytes
	s.chunk, s.app = nil, nil
	return nil
}

// finish writes what is open, and makes the chunks readable.
func (c *chunkFile) finish() error {
	all := slices.SortedFunc(maps.Values(c.byLabels), func(a, b *series) int { return labels.Compare(a.labels, b.labels) })
	for i, s := range all {
		s.rank = i
		if s.chunk != nil {
			if err := c.cut(s); err != nil {
				return err
			}
		}
	}
	return c.out.Flush()
}

// spans returns the spans that have chunks, in their order.
func (c *chunkFile) spans() []int64 { return slices.Sorted(maps.Keys(c.parts)) }

// chunk reads a chunk.
func (c *chunkFile) chunk(p part) (chunkenc.Chunk, error) {
	b := make([]byte, p.size)
	if _, err := c.f.ReadAt(b, p.at); err != nil {
		return nil, err
	}
	return chunkenc.FromData(chunkenc.EncXOR, b)
}

// reset forgets everything.
func (c *chunkFile) reset() error {
	c.byLabels, c.parts, c.last, c.bytes, c.size = map[string]*series{}, map[int64][]part{}, nil, 0, 0
	if err := c.f.Truncate(0); err != nil {
		return err
	}
	_, err := c.f.Seek(0, 0)
	return err
}

func (c *chunkFile) close() error { return c.f.Close() }
