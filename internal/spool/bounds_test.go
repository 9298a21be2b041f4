package spool

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/testkit"
)

func diskUsage(t *testing.T, dir string) (n int64) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		n += info.Size()
	}
	return n
}

func TestAFullSpoolDropsTheOldestAndSaysSo(t *testing.T) {
	var logged testkit.Log
	o := options(t.TempDir())
	o.MaxBytes = MinMaxBytes
	o.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	s := open(t, o)
	for range 10 {
		put(t, s, 30, 10_000)
		if n := diskUsage(t, o.Dir); n > MinMaxBytes+pageSize {
			t.Fatalf("%d bytes on disk", n)
		}
	}
	dropped := s.Dropped()
	if dropped < 150 || dropped > 250 { // about 100 batches of 10 kB fit
		t.Errorf("%d of 300 were dropped", dropped)
	}
	v := newServer()
	send(t, s, v)
	v.check(t, int(dropped)+1, 300)
	shut(t, s)
	if n := strings.Count(logged.String(), "dropped batches"); n != 1 || !strings.Contains(logged.String(), "more room") {
		t.Errorf("logged %d times:\n%s", n, &logged)
	}
	if !strings.Contains(logged.String(), "are a gap") {
		t.Errorf("the end of the episode is not logged:\n%s", &logged)
	}
}

func TestWhatIsTooOldIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(t.TempDir())
		o.MaxAge = time.Hour
		s := open(t, o)
		add := func(n int) {
			for range n {
				seq := s.NextSeq()
				b := batch(seq, float64(seq), 10)
				b.Series[0].Samples[0].T = time.Now().UnixMilli()
				if err := s.Append(t.Context(), b); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
			}
		}
		add(90)
		if n := s.Dropped(); n < 24 || n > 30 { // whole segments of four minutes
			t.Errorf("%d were dropped", n)
		}
		shut(t, s)
		time.Sleep(2 * time.Hour)
		s = open(t, o)
		if n := s.Dropped(); n < 60 {
			t.Errorf("%d were dropped at the start", n)
		}
		if n := s.NextSeq(); n != 91 {
			t.Errorf("next is %d", n)
		}
		add(1)
		shut(t, s)
	})
}

func TestWhatWasSentIsDeletedAndTheSequenceStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(t.TempDir())
		o.MaxBytes = MinMaxBytes
		s := open(t, o)
		put(t, s, 60, 10_000)
		send(t, s, newServer())
		time.Sleep(saveEvery + 2*keepEvery)
		if n := diskUsage(t, o.Dir); n > 250_000 { // those of 10 s, and whole segments
			t.Errorf("%d bytes are left", n)
		}
		if s.Dropped() != 0 {
			t.Errorf("%d were dropped", s.Dropped())
		}
		killed := snapshot(t, o.Dir)
		shut(t, s)
		o.Dir = killed
		s = open(t, o)
		if n := s.NextSeq(); n != 61 {
			t.Errorf("next is %d", n)
		}
		shut(t, s)
	})
}
