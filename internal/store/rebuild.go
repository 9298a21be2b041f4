package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/prometheus/prometheus/tsdb/fileutil"
	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"
)

// lateLog is the write log of late samples below the database's directory. They
// are in the WAL too, but tsdb passes over them there.
func lateLog(dir string) string { return filepath.Join(dir, wlog.WblDirName) }

// distrustHeadChunks prepares dir for an opening that builds the head from the
// write logs alone, which a kill leaves whole. Needed after every end without a
// close: tsdb loses acknowledged late samples otherwise.
//
// It writes full chunks into files, through a buffer that a kill loses, and
// markers into the log of late samples that say: what stands before is in
// chunks now. At the next start it believes a marker when its chunk's place is
// not behind the newest chunk on disk, and passes over the samples before it.
// But that place may have been lost with the buffer and given to another chunk
// by the start after the kill (seen: at the second kill in a row 32 of 333
// samples of each series were gone). Markers that name no place are believed
// always; one is written for the first late sample after an out-of-order
// compaction began, which a kill may end before its block is there.
//
// So the markers go, and the log is replayed whole; samples that are in a block
// already are the same there. The chunk files go too, unless keep is set: they
// are a cache, may end in half a chunk, and would be doubled by the replay.
func distrustHeadChunks(dir string, keep bool) error {
	if err := removeMarkers(lateLog(dir)); err != nil {
		return fmt.Errorf("rebuild the log of late samples: %w", err)
	}
	if keep {
		return nil
	}
	return os.RemoveAll(filepath.Join(dir, "chunks_head"))
}

// removeMarkers rewrites the segments of a log that hold markers. Each is
// replaced in one step, so a kill meanwhile does no harm.
func removeMarkers(dir string) error {
	first, last, err := wlog.Segments(dir)
	if errors.Is(err, os.ErrNotExist) || last < 0 {
		return nil
	}
	if err != nil {
		return err
	}
	for i := first; i <= last; i++ {
		name := wlog.SegmentName(dir, i)
		found := false
		err := eachRecord(name, func(rec []byte) error {
			found = found || isMarker(rec)
			return nil
		})
		if err == nil && found {
			err = rewriteWithoutMarkers(name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// rewriteWithoutMarkers writes a log of one segment beside name's log, and moves
// that segment into name's place.
func rewriteWithoutMarkers(name string) error {
	tmp := filepath.Dir(name) + ".rebuild"
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	// It can only become shorter; a larger segment size makes sure of one.
	to, err := wlog.NewSize(slog.New(slog.DiscardHandler), nil, tmp, 2*walSegmentSize, compression.Snappy)
	if err != nil {
		return err
	}
	err = eachRecord(name, func(rec []byte) error {
		if isMarker(rec) {
			return nil
		}
		return to.Log(rec)
	})
	if err = errors.Join(err, to.Close()); err != nil {
		return err
	}
	if err := fileutil.Replace(wlog.SegmentName(tmp, 0), name); err != nil {
		return err
	}
	return os.RemoveAll(tmp)
}

// isMarker looks at the first byte of a record, its type.
func isMarker(rec []byte) bool { return len(rec) > 0 && record.Type(rec[0]) == record.MmapMarkers }

// eachRecord calls f with the records of one segment, which is whole. A record
// is valid during the call.
func eachRecord(name string, f func(rec []byte) error) error {
	s, err := wlog.OpenReadSegment(name)
	if err != nil {
		return err
	}
	buf := wlog.NewSegmentBufReader(s)
	defer buf.Close()
	r := wlog.NewReader(buf)
	for r.Next() {
		if err := f(r.Record()); err != nil {
			return err
		}
	}
	return r.Err()
}
