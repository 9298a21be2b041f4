package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/prometheus/tsdb/wlog"

	"stripchart/internal/bus"
)

// What Append returned nil for is synced: of every segment, also of those that came since.
func TestSyncFollowsTheSegments(t *testing.T) {
	o := options(t.TempDir())
	o.Sync = true
	s := open(t, o)
	at := base
	add := func() {
		t.Helper()
		at += 1000
		appendRows(t, s, row(series("a"), bus.Sample{T: at, V: 1}), row(series("b"), bus.Sample{T: at, V: 1}))
		appendRows(t, s, row(series("a"), bus.Sample{T: at - 1500, V: 1})) // late
		for _, log := range s.eng.sync {
			_, last, err := wlog.Segments(log.dir)
			if err != nil {
				t.Fatal(err)
			}
			synced, err := log.file.Stat()
			if err != nil {
				t.Fatal(err)
			}
			newest, err := os.Stat(wlog.SegmentName(log.dir, last))
			if err != nil || !os.SameFile(synced, newest) {
				t.Errorf("%s: synced %s, the newest is %d (%v)", filepath.Base(log.dir), synced.Name(), last, err)
			}
		}
	}
	add()
	add()
	for range 3 { // the WBL gets a segment at each, and loses those before
		at += 3 * 3600_000
		add()
		if err := s.eng.db.Compact(context.Background()); err != nil {
			t.Fatal(err)
		}
		add()
	}
}

func TestASyncThatFailsIsAFailedCommit(t *testing.T) {
	o := options(t.TempDir())
	o.Sync = true
	s := open(t, o)
	appendRows(t, s, row(series("a"), bus.Sample{T: base, V: 1}))
	if err := s.eng.sync[0].file.Close(); err != nil {
		t.Fatal(err)
	}
	late := row(series("a"), bus.Sample{T: base + 1000, V: 2})
	if err := s.Append([]Row{late}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("error %v", err)
	}
	s.eng.sync[0].file = nil
	appendRows(t, s, late) // opened again
	if got := history(t, s, base, base+1e6)[series("a").String()]; len(got) != 2 {
		t.Errorf("%d samples", len(got))
	}
}
