package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/wlog"

	"stripchart/internal/wlogpage"
)

// logs are the write logs as they were found: the checkpoint and the WAL, from which
// tsdb builds the head, and the WBL, the log of late samples. (Those are in the WAL too,
// but tsdb passes over them there.)
//
// tsdb's own repair loses more than the damage. After damage in the WAL it drops every later
// segment and does not read the WBL; at the next start it assumes that the WBL's chunks
// exist. After damage in a checkpoint it deletes the WAL and fails at every start. So this
// package mends the logs before tsdb opens them. It reads them one more time for that, which
// is cheap beside tsdb's own reading, which also builds the head.
type logs struct {
	db    string     // the database's directory
	files []*logFile // in the order in which tsdb reads them
	// empty are segments to be created: tsdb refuses a log with a hole in its numbers, and
	// passes over segments in front of its checkpoint.
	empty []string
}

// logFile is one segment.
type logFile struct {
	rel  string // from the database's directory
	late bool   // of the WBL
	gone bool   // the segment is missing, and perhaps its neighbours are
	may  bool   // the segment may be missing: it would be the newest of its log
	wlogpage.Found
	markers bool // it has records of type MmapMarkers
	size    int64
	cut     bool                // its end is missing
	drop    map[uint64]struct{} // series whose samples go, by reference: nobody knows their labels
}

// wounded reports whether records of the file may be missing.
func (f *logFile) wounded() bool { return f.gone || f.Holes > 0 || f.cut }

// damaged reports whether records may be missing, and lateDamaged whether in the WBL.
func (l *logs) damaged() bool { return slices.ContainsFunc(l.files, (*logFile).wounded) }

func (l *logs) lateDamaged() bool {
	return slices.ContainsFunc(l.files, func(f *logFile) bool { return f.late && f.wounded() })
}

// torn reports whether a log ends in a write that was cut off.
func (l *logs) torn() bool {
	return slices.ContainsFunc(l.files, func(f *logFile) bool { return f.Torn })
}

// readLogs reads all write logs. known are their files as they were noted.
func readLogs(db string, known map[string]int64, end ending) (*logs, error) {
	l := &logs{db: db}
	checkpoint, err := l.checkpoint()
	if err != nil {
		return nil, err
	}
	if checkpoint >= 0 {
		if err := l.add(checkpointName(checkpoint), 0, known, false); err != nil {
			return nil, err
		}
	}
	if err := l.add(walDir, checkpoint+1, known, false); err != nil {
		return nil, err
	}
	if err := l.add(wlog.WblDirName, -1, known, true); err != nil {
		return nil, err
	}
	for i, f := range l.files {
		if f.gone {
			continue
		}
		b, err := os.ReadFile(l.path(f.rel))
		if err != nil {
			return nil, err
		}
		f.size = int64(len(b))
		f.Found = wlogpage.Scan(b, func(rec []byte) bool {
			f.markers = f.markers || len(rec) > 0 && isMarker(rec)
			return knownType(rec)
		}, nil)
		f.cut = usedOf(l.path(f.rel)) < known[filepath.ToSlash(f.rel)]
		if f.Torn {
			followed := slices.ContainsFunc(l.files[i+1:], func(x *logFile) bool { return x.late == f.late && l.isFilled(x) })
			f.cut = f.cut || followed || end != killed
		}
	}
	return l, nil
}

// mayLackEnds notes that the ends of both logs may be missing without a trace.
func (l *logs) mayLackEnds() {
	for _, late := range []bool{false, true} {
		i := len(l.files)
		for i > 0 && !late && l.files[i-1].late {
			i--
		}
		l.files = slices.Insert(l.files, i, &logFile{late: late, gone: true, may: true})
	}
}

// isFilled reports whether there is something in a file.
func (l *logs) isFilled(f *logFile) bool {
	info, err := os.Stat(l.path(f.rel))
	return err == nil && !f.gone && info.Size() > 0
}

func (l *logs) path(rel string) string { return filepath.Join(l.db, rel) }

// checkpointPrefix is wlog's.
const checkpointPrefix = "checkpoint."

func checkpointName(i int) string {
	return filepath.Join(walDir, checkpointPrefix+fmt.Sprintf("%08d", i))
}

// checkpoint returns the number of the newest checkpoint, -1 where there is none.
func (l *logs) checkpoint() (int, error) {
	entries, err := os.ReadDir(l.path(walDir))
	if errors.Is(err, fs.ErrNotExist) {
		return -1, nil
	}
	if err != nil {
		return -1, err
	}
	newest := -1
	for _, e := range entries {
		if len(e.Name()) <= len(checkpointPrefix) || e.Name()[:len(checkpointPrefix)] != checkpointPrefix {
			continue
		}
		if !e.IsDir() { // tsdb does not open a WAL with such a file
			if err := os.Remove(l.path(filepath.Join(walDir, e.Name()))); err != nil {
				return -1, err
			}
			continue
		}
		if i, err := strconv.Atoi(e.Name()[len(checkpointPrefix):]); err == nil {
			newest = max(newest, i)
		}
	}
	return newest, nil
}

// add takes up the segments of a log, from number begin on; those before are of no use
// any more. -1: that is not known.
func (l *logs) add(rel string, begin int, known map[string]int64, late bool) error {
	there, err := l.segments(rel)
	if err != nil {
		return err
	}
	var noted []int
	for path := range known {
		if dir, base := filepath.Split(filepath.FromSlash(path)); filepath.Clean(dir) == rel {
			if i, err := strconv.Atoi(base); err == nil && i >= begin {
				noted = append(noted, i)
			}
		}
	}
	name := func(i int) string { return filepath.Join(rel, fmt.Sprintf("%08d", i)) }
	gone := func() {
		if n := len(l.files); n == 0 || !l.files[n-1].gone || l.files[n-1].late != late {
			l.files = append(l.files, &logFile{rel: rel, late: late, gone: true})
		}
	}
	last := begin - 1 // the newest that is there, or is made
	for _, i := range there {
		last = max(last, i)
	}
	switch {
	case late && len(there) > 0:
		// tsdb deletes the segments before once their samples are in blocks. Only a search for
		// the samples can tell that from a loss; see weighing.
		if begin = there[0]; slices.ContainsFunc(noted, func(i int) bool { return i < begin }) {
			gone()
		}
	case begin == 0 && rel == walDir && len(there) > 0 && there[0] > 0:
		// The first are deleted only when a checkpoint is there.
		gone()
		begin = there[0]
		l.empty = append(l.empty, filepath.Join(checkpointName(begin-1), "00000000"))
	case begin > 0:
		last = max(last, begin) // else tsdb would write to a segment that it never reads
		if len(there) > 0 && there[0] < begin {
			for i := there[len(there)-1] + 1; i < begin; i++ {
				l.empty = append(l.empty, name(i))
			}
		}
	}
	if last-begin > maxSegments {
		return fmt.Errorf("the segments of %s have numbers from %d to %d", rel, begin, last)
	}
	for i := max(begin, 0); i <= last; i++ {
		switch {
		case slices.Contains(there, i):
			l.files = append(l.files, &logFile{rel: name(i), late: late})
			continue
		case i < last || slices.Contains(noted, i):
			gone()
		}
		l.empty = append(l.empty, name(i))
	}
	if slices.ContainsFunc(noted, func(i int) bool { return i > last }) || rel != walDir && !late && len(there) == 0 {
		gone()
	}
	return nil
}

// maxSegments is far more than a log has.
const maxSegments = 10_000

// segments returns the numbers of a log's segments, ascending.
func (l *logs) segments(rel string) (numbers []int, err error) {
	entries, err := os.ReadDir(l.path(rel))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if i, err := strconv.Atoi(e.Name()); err == nil {
			numbers = append(numbers, i)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// mend makes the logs such that tsdb builds the head from them alone, and finds nothing
// that it would stumble over.
//
// tsdb writes full chunks into files below chunks_head, through a buffer that a kill
// loses, and markers into the WBL that say: what stands before is in chunks now. At the next
// start it believes a marker when its chunk's place is not behind the newest chunk on
// disk, and passes over the samples before it. But that place may have been lost, with the
// buffer or the file, and given to another chunk by a start in between (seen: at the
// second kill in a row 32 of 333 samples of each series were gone). In the same way it
// passes over samples of the WAL that are older than the newest chunk of their series. So the
// chunks, which are a cache, go at every start, and the markers with them: all of them
// are read from the logs. Samples that are in a block already are the same there.
//
// Samples of series whose record is lost go as well. Their number would be given to
// another series, which would then own them at the start after that.
func (l *logs) mend() error {
	if err := os.RemoveAll(l.path(headChunksDir)); err != nil { // first: it gives back room
		return err
	}
	for _, rel := range l.empty {
		if err := createEmpty(l.path(rel)); err != nil {
			return err
		}
	}
	for _, f := range l.files {
		var err error
		if f.gone {
			continue
		}
		switch path := l.path(f.rel); {
		case f.Holes > 0 || len(f.drop) > 0 || f.late && f.markers:
			err = rewrite(path, f.keep)
		case f.Torn:
			err = cut(path, f.Good)
		}
		if err != nil {
			return fmt.Errorf("repair %s: %w", f.rel, err)
		}
	}
	return nil
}

func createEmpty(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	return f.Close()
}

// keep returns what stays of a record, nil for nothing.
func (f *logFile) keep(rec []byte) []byte {
	switch record.Type(rec[0]) {
	case record.MmapMarkers:
		return nil
	case record.Samples:
		if len(f.drop) == 0 {
			return rec
		}
		dec := record.NewDecoder(nil, nil)
		samples, err := dec.Samples(rec, nil)
		if err != nil {
			return nil
		}
		kept := slices.DeleteFunc(samples, func(s record.RefSample) bool {
			_, drop := f.drop[uint64(s.Ref)]
			return drop
		})
		if len(kept) == 0 {
			return nil
		}
		var enc record.Encoder
		return enc.Samples(kept, nil)
	}
	return rec
}

// knownType reports whether a record is of a type that this store has tsdb write. tsdb
// passes over others; here one is damage.
func knownType(rec []byte) bool {
	if len(rec) == 0 {
		return false
	}
	switch record.Type(rec[0]) {
	case record.Series, record.Samples, record.MmapMarkers, record.Tombstones, record.Metadata:
		return true
	}
	return false
}

// isMarker looks at the first byte of a record, its type.
func isMarker(rec []byte) bool { return record.Type(rec[0]) == record.MmapMarkers }
