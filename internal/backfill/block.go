package backfill

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/index"

	"stripchart/internal/bus"
	"stripchart/internal/datadir"
)

// block writes a block of parts, which are of one span, and returns its directory; "" if
// all that is in them is there already.
func (w *Writer) block(parts []part) (dir string, err error) {
	// Parts of one series keep the order in which they came.
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(a.of.rank, b.of.rank) })
	meta := tsdb.BlockMeta{ULID: newID(), Version: 1, MinTime: 1<<63 - 1, MaxTime: -1 << 63}
	meta.Compaction.Level = 1
	meta.Compaction.Sources = append(meta.Compaction.Sources, meta.ULID)
	meta.Compaction.SetOutOfOrder()
	dir = filepath.Join(w.work, meta.ULID.String())
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	cw, err := chunks.NewWriter(filepath.Join(dir, "chunks"))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, cw.Close()) }()
	iw, err := index.NewWriter(context.Background(), filepath.Join(dir, "index"))
	if err != nil {
		return "", err
	}
	closed := false
	defer func() {
		if !closed {
			err = errors.Join(err, iw.Close())
		}
	}()
	if err := addSymbols(iw, parts); err != nil {
		return "", err
	}
	for len(parts) > 0 {
		n := 1
		for n < len(parts) && parts[n].of == parts[0].of {
			n++
		}
		metas, err := w.chunksOf(parts[:n])
		if err != nil {
			return "", err
		}
		if len(metas) > 0 {
			if err := cw.WriteChunks(metas...); err != nil {
				return "", err
			}
			if err := iw.AddSeries(storage.SeriesRef(meta.Stats.NumSeries), parts[0].of.labels, metas...); err != nil {
				return "", err
			}
			meta.Stats.NumSeries++
			for _, m := range metas {
				meta.Stats.NumChunks++
				meta.Stats.NumSamples += uint64(m.Chunk.NumSamples())
				meta.MinTime, meta.MaxTime = min(meta.MinTime, m.MinTime), max(meta.MaxTime, m.MaxTime+1)
			}
		}
		parts = parts[n:]
	}
	closed = true
	if err := iw.Close(); err != nil {
		return "", err
	}
	if meta.Stats.NumSamples == 0 {
		return "", nil
	}
	meta.Stats.NumFloatSamples = meta.Stats.NumSamples
	w.result.Samples += int(meta.Stats.NumSamples)
	w.result.From, w.result.To = min(w.result.From, meta.MinTime), max(w.result.To, meta.MaxTime-1)
	b, err := json.MarshalIndent(meta, "", "\t")
	if err != nil {
		return "", err
	}
	return dir, datadir.Replace(filepath.Join(dir, "meta.json"), b)
}

// addSymbols adds the names and values of all labels.
func addSymbols(iw *index.Writer, parts []part) error {
	symbols := map[string]struct{}{}
	var before *series
	for _, p := range parts {
		if p.of == before {
			continue
		}
		before = p.of
		p.of.labels.Range(func(l labels.Label) { symbols[l.Name], symbols[l.Value] = struct{}{}, struct{}{} })
	}
	for _, s := range slices.Sorted(maps.Keys(symbols)) {
		if err := iw.AddSymbol(s); err != nil {
			return err
		}
	}
	return nil
}

// chunksOf returns the chunks of a series: as they are if they follow each other and nothing
// of them is there already, and otherwise new ones.
func (w *Writer) chunksOf(parts []part) ([]chunks.Meta, error) {
	from, to := parts[0].min, parts[0].max
	ordered := true
	for i, p := range parts {
		ordered = ordered && (i == 0 || p.min > parts[i-1].max)
		from, to = min(from, p.min), max(to, p.max)
	}
	there, err := w.there(parts[0].of.labels, from, to)
	if err != nil {
		return nil, err
	}
	if ordered && len(there) == 0 {
		metas := make([]chunks.Meta, len(parts))
		for i, p := range parts {
			c, err := w.chunks.chunk(p)
			if err != nil {
				return nil, err
			}
			metas[i] = chunks.Meta{Chunk: c, MinTime: p.min, MaxTime: p.max}
		}
		return metas, nil
	}
	var samples []bus.Sample
	var it chunkenc.Iterator
	for _, p := range parts {
		c, err := w.chunks.chunk(p)
		if err != nil {
			return nil, err
		}
		for it = c.Iterator(it); it.Next() == chunkenc.ValFloat; {
			t, v := it.At()
			samples = append(samples, bus.Sample{T: t, V: v})
		}
		if it.Err() != nil {
			return nil, it.Err()
		}
	}
	slices.SortStableFunc(samples, func(a, b bus.Sample) int { return cmp.Compare(a.T, b.T) })
	return w.encode(samples, there)
}

// encode makes chunks of samples, of which the first of a time counts, and none at a time
// that is in there. Both ascend.
func (w *Writer) encode(samples []bus.Sample, there []int64) (metas []chunks.Meta, err error) {
	var app chunkenc.Appender
	last, any := int64(0), false
	for _, s := range samples {
		for len(there) > 0 && there[0] < s.T {
			there = there[1:]
		}
		if any && s.T == last || len(there) > 0 && there[0] == s.T {
			w.result.Duplicate++
			continue
		}
		last, any = s.T, true
		if n := len(metas); n == 0 || metas[n-1].Chunk.NumSamples() >= chunkSamples {
			c := chunkenc.NewXORChunk()
			if app, err = c.Appender(); err != nil {
				return nil, err
			}
			metas = append(metas, chunks.Meta{Chunk: c, MinTime: s.T})
		}
		app.Append(0, s.T, s.V)
		metas[len(metas)-1].MaxTime = s.T
	}
	return metas, nil
}

// there returns the times of the samples that the history has of a series.
func (w *Writer) there(ls labels.Labels, from, to int64) (times []int64, err error) {
	if w.existing == nil {
		return nil, nil
	}
	var ms []*labels.Matcher
	ls.Range(func(l labels.Label) { ms = append(ms, labels.MustNewMatcher(labels.MatchEqual, l.Name, l.Value)) })
	set := w.existing.Select(context.Background(), false, &storage.SelectHints{Start: from, End: to}, ms...)
	var it chunkenc.Iterator
	for set.Next() {
		s := set.At()
		if !labels.Equal(s.Labels(), ls) {
			continue
		}
		it = s.Iterator(it)
		for kind := it.Seek(from); kind != chunkenc.ValNone; kind = it.Next() {
			t := it.AtT()
			if t > to {
				break
			}
			times = append(times, t)
		}
		if it.Err() != nil {
			return nil, it.Err()
		}
	}
	return times, set.Err()
}
