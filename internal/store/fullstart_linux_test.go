package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"stripchart/internal/bus"
)

// A disk that is full to the last byte takes neither running.json nor notes.
func TestAfterAKillTheStoreStartsOnAFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("not root: nothing can be mounted, so nothing is tested here")
		return
	}
	for _, clean := range []bool{false, true} {
		live, dir := t.TempDir(), t.TempDir()
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=16m"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(dir, 0); err != nil {
				t.Error(err)
			}
		})
		o := options(live)
		s := open(t, o)
		refs := make([]Ref, 300)
		for n := range int64(200) { // more than a chunk
			var rows []Row
			for i := range refs {
				at := base + n*1000 - int64(i%2)
				rows = append(rows, Row{Ref: &refs[i], Labels: series("m", "n", string(rune('a'+i))), Samples: []bus.Sample{{T: at, V: float64(n)}}})
			}
			appendRows(t, s, rows...)
			if n%2 == 1 {
				appendRows(t, s, row(series("m", "n", "a"), bus.Sample{T: base + n*1000 - 1500, V: 1}))
			}
		}
		s.eng.db.ForceHeadMMap()
		if clean {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.CopyFS(dir, os.DirFS(live)); err != nil {
			t.Fatal(err)
		}
		filler, err := os.Create(filepath.Join(dir, "filler"))
		if err != nil {
			t.Fatal(err)
		}
		for size := 1 << 20; size > 0; size /= 2 {
			for err == nil {
				_, err = filler.Write(bytes.Repeat([]byte{1}, size))
			}
			err = nil
		}
		if err := filler.Close(); err != nil {
			t.Fatal(err)
		}
		o = options(dir)
		o.ReserveBytes = 8 << 20
		s, err = Open(o)
		if err != nil {
			t.Fatalf("clean %v: %v", clean, err)
		}
		if err := s.SetAddress("http://127.0.0.1:1"); err != nil {
			t.Errorf("clean %v: %v", clean, err)
		}
		if got := history(t, s, base-1e6, base+1e6); len(got) != len(refs) || len(got[series("m", "n", "b").String()]) != 200 {
			t.Errorf("clean %v: %d series", clean, len(got))
		}
		if err := s.Append([]Row{row(series("m"), bus.Sample{T: base + 1e6, V: 1})}); !errors.Is(err, ErrDiskFull) {
			t.Errorf("clean %v: append: %v", clean, err)
		}
		if err := os.Remove(filepath.Join(dir, "filler")); err != nil { // tsdb leaves a goroutine when it cannot flush
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("clean %v: close: %v", clean, err)
		}
	}
}

func TestOnAFullDiskANewDirectorySaysSo(t *testing.T) {
	err := explainOpen("/data", &os.PathError{Op: "write", Path: "/data/tsdb/wal/00000001", Err: unix.ENOSPC})
	if !errors.Is(err, ErrDiskFull) || !bytes.Contains([]byte(err.Error()), []byte("make room")) {
		t.Errorf("%v", err)
	}
}
