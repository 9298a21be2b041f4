package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"syscall"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/index"
	"github.com/prometheus/prometheus/tsdb/tombstones"

	"stripchart/internal/datadir"
)

const metaName = "meta.json"

// checkBlocks makes sure that tsdb can open every block: it does not start with one that
// it cannot open, and does not miss one that has no meta.json.
//
//   - A meta.json that is gone or is not as it was noted is written again: as noted, or
//     else from the block's index.
//   - Tombstones that cannot be read are removed: the store deletes whole blocks only.
//   - A block that cannot be opened is set aside, which is a loss of its span of time.
//   - A block that was noted and is missing is a loss too, unless it was compacted into
//     blocks that exist. Those may not have been noted: the disk was full, or an older
//     stripchart compacted them.
//
// largest is the longest span of a block. A block that can be opened may still be damaged
// inside; the reader finds that damage (damage.go).
func checkBlocks(db string, known map[ulid.ULID]tsdb.BlockMeta, largest time.Duration, log *slog.Logger) (metas []tsdb.BlockMeta, lost []Loss, err error) {
	entries, err := os.ReadDir(db)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	there := map[ulid.ULID]bool{}
	for _, e := range entries {
		id, err := ulid.ParseStrict(e.Name())
		if err != nil {
			continue
		}
		dir := filepath.Join(db, e.Name())
		if !e.IsDir() {
			if _, err := setAside(dir); err != nil {
				return nil, nil, err
			}
			continue
		}
		there[id] = true
		meta, err := checkBlock(dir, id, known, largest)
		if err == nil {
			metas = append(metas, meta)
			continue
		}
		if diskTrouble(err) {
			return nil, nil, err
		}
		aside, aerr := setAside(dir)
		if aerr != nil {
			return nil, nil, aerr
		}
		log.Error("a block of the history cannot be read; it is set aside", "block", dir, "set_aside", aside, "err", err)
		lost = append(lost, Loss{From: meta.MinTime - 1, To: meta.MaxTime, What: "block " + e.Name() + " cannot be read"})
	}
	merged := map[ulid.ULID]bool{}
	for _, meta := range metas {
		for _, id := range meta.Compaction.Sources {
			merged[id] = true
		}
	}
	for id, meta := range known {
		if !there[id] && !allIn(meta.Compaction.Sources, merged) {
			lost = append(lost, Loss{From: meta.MinTime - 1, To: meta.MaxTime, What: fmt.Sprintf("block %s is gone", id)})
		}
	}
	return metas, lost, nil
}

// allIn reports whether there are ids, and all of them are in set.
func allIn(ids []ulid.ULID, set map[ulid.ULID]bool) bool {
	return len(ids) > 0 && !slices.ContainsFunc(ids, func(id ulid.ULID) bool { return !set[id] })
}

// checkBlock returns the meta of a block that can be opened, mended where needed. With an
// error it is the best that is known of it.
func checkBlock(dir string, id ulid.ULID, known map[ulid.ULID]tsdb.BlockMeta, largest time.Duration) (tsdb.BlockMeta, error) {
	meta, err := readMeta(dir)
	noted, isNoted := known[id]
	switch {
	case isNoted && (err != nil || !sameMeta(meta, noted)):
		meta = noted
		err = writeMeta(dir, meta)
	case err != nil || meta.ULID != id || meta.MaxTime <= meta.MinTime:
		if meta, err = metaOfIndex(dir, id, largest); err == nil {
			err = writeMeta(dir, meta)
		}
	}
	if err != nil {
		return meta, err
	}
	if _, _, err := tombstones.ReadTombstones(dir); err != nil {
		if _, err := setAside(filepath.Join(dir, tombstones.TombstonesFilename)); err != nil {
			return meta, err
		}
	}
	b, err := tsdb.OpenBlock(slog.New(slog.DiscardHandler), dir, nil, nil)
	if err != nil {
		return meta, err
	}
	return meta, b.Close()
}

func readMeta(dir string) (meta tsdb.BlockMeta, err error) {
	b, err := os.ReadFile(filepath.Join(dir, metaName))
	if err != nil {
		return meta, err
	}
	if err := json.Unmarshal(b, &meta); err != nil {
		return meta, err
	}
	if meta.Version != 1 {
		return meta, fmt.Errorf("%s is of version %d", metaName, meta.Version)
	}
	return meta, nil
}

func writeMeta(dir string, meta tsdb.BlockMeta) error {
	b, err := json.MarshalIndent(meta, "", "\t")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, metaName)
	if isDir(path) {
		if _, err := setAside(path); err != nil {
			return err
		}
	}
	return datadir.Replace(path, b)
}

// sameMeta compares metas but for what tsdb changes in them: a compaction that failed.
func sameMeta(a, b tsdb.BlockMeta) bool {
	a.Compaction.Failed, b.Compaction.Failed = false, false
	a.Compaction.Deletable, b.Compaction.Deletable = false, false
	return reflect.DeepEqual(a, b)
}

// metaOfIndex returns the meta of a block as far as its index has it.
//
// It is marked as made of late samples, whether it is or not: tsdb takes the end of any
// other block for the beginning of the head, and leaves out what the WAL has from before.
func metaOfIndex(dir string, id ulid.ULID, largest time.Duration) (tsdb.BlockMeta, error) {
	meta := tsdb.BlockMeta{ULID: id, Version: 1, MinTime: math.MaxInt64, MaxTime: math.MinInt64}
	meta.Compaction.Level = 1
	meta.Compaction.Sources = []ulid.ULID{id}
	meta.Compaction.SetOutOfOrder()
	err := func() error {
		r, err := index.NewFileReader(filepath.Join(dir, "index"), index.DecodePostingsRaw)
		if err != nil {
			return err
		}
		defer r.Close()
		name, value := index.AllPostingsKey()
		p, err := r.Postings(context.Background(), name, value)
		if err != nil {
			return err
		}
		var b labels.ScratchBuilder
		var cs []chunks.Meta
		for p.Next() {
			if err := r.Series(p.At(), &b, &cs); err != nil {
				return err
			}
			meta.Stats.NumSeries++
			for _, c := range cs {
				meta.Stats.NumChunks++
				meta.MinTime, meta.MaxTime = min(meta.MinTime, c.MinTime), max(meta.MaxTime, c.MaxTime+1)
			}
		}
		return p.Err()
	}()
	if err == nil && meta.MinTime < meta.MaxTime {
		return meta, nil
	}
	// A block is written soon after the last of its samples, but for those that are
	// compacted from others.
	created := ulid.Time(id.Time()).UnixMilli()
	meta.MinTime, meta.MaxTime = created-largest.Milliseconds(), created
	return meta, errors.Join(errors.New("neither meta.json nor index can be read"), err)
}

// newestInOrder returns the end of the newest block that is not of late samples,
// math.MinInt64 where there is none: tsdb begins the head there.
func newestInOrder(metas []tsdb.BlockMeta) int64 {
	end := int64(math.MinInt64)
	for _, m := range metas {
		if !m.Compaction.FromOutOfOrder() {
			end = max(end, m.MaxTime)
		}
	}
	return end
}

// diskTrouble reports whether an error is of the system and may go away: no block is to
// blame for it.
func diskTrouble(err error) bool {
	passing := []error{syscall.ENOSPC, syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM}
	return slices.ContainsFunc(passing, func(e error) bool { return errors.Is(err, e) })
}
