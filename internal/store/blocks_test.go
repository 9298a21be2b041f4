package store

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// sampleOf is a chunks.Sample of one number.
type sampleOf struct {
	chunks.Sample
	t int64
}

func (s sampleOf) T() int64                 { return s.t }
func (s sampleOf) ST() int64                { return 0 }
func (s sampleOf) F() float64               { return 1 }
func (s sampleOf) Type() chunkenc.ValueType { return chunkenc.ValFloat }

// A block that was noted may have been merged when nobody noted it: by an older
// stripchart, or with a full disk. What it held is there.
func TestABlockThatWasMergedIsNotGone(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	db := t.TempDir()
	noted := map[ulid.ULID]tsdb.BlockMeta{}
	var ids []ulid.ULID
	var dirs []string
	span := 2 * time.Hour
	for n := range int64(3) {
		at := n * span.Milliseconds()
		dir, err := tsdb.CreateBlock([]storage.Series{
			storage.NewListSeries(series("merged"), []chunks.Sample{sampleOf{t: at + 1}, sampleOf{t: at + 1000}}),
		}, db, span.Milliseconds(), log)
		if err != nil {
			t.Fatal(err)
		}
		meta, err := readMeta(dir)
		if err != nil {
			t.Fatal(err)
		}
		noted[meta.ULID] = meta
		ids, dirs = append(ids, meta.ULID), append(dirs, dir)
	}
	compactor, err := tsdb.NewLeveledCompactor(t.Context(), nil, log, []int64{span.Milliseconds(), 10 * span.Milliseconds()}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	merged, err := compactor.Compact(db, dirs[:2], nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	_, lost, err := checkBlocks(db, noted, 10*span, log)
	if err != nil || len(lost) != 1 || lost[0].To != noted[ids[2]].MaxTime {
		t.Errorf("with two of three merged, lost is %v, %v; want the third", lost, err)
	}
	// What merged them cannot be read: they are gone with it.
	if err := os.WriteFile(filepath.Join(db, merged[0].String(), "index"), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, lost, err = checkBlocks(db, noted, 10*span, log); err != nil || len(lost) != 4 {
		t.Errorf("with what merged them damaged, lost is %v, %v; want it and the three", lost, err)
	}
}

// A meta without sources says nothing of where its samples are.
func TestANotedBlockWithoutSourcesIsGone(t *testing.T) {
	id := ulid.MustNew(1, nil)
	noted := map[ulid.ULID]tsdb.BlockMeta{id: {ULID: id, MinTime: 1, MaxTime: 2}}
	_, lost, err := checkBlocks(t.TempDir(), noted, time.Hour, slog.New(slog.DiscardHandler))
	if err != nil || len(lost) != 1 {
		t.Errorf("lost is %v, %v", lost, err)
	}
}
