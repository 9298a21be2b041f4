package spool

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"stripchart/internal/bus"
)

// BenchmarkAppend compares Append with the least it can cost: one write(2) of
// the same bytes to a file that is opened for appending.
func BenchmarkAppend(b *testing.B) {
	body := make([]byte, 2000) // about 100 series, compressed
	o := options(b.TempDir())
	o.Encode = func(*bus.Batch) []byte { return body }
	o.MaxBytes = 64 << 20
	b.Run("write", func(b *testing.B) {
		f, err := os.OpenFile(filepath.Join(b.TempDir(), "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			if _, err := f.Write(body); err != nil {
				b.Fatal(err)
			}
			if n, _ := f.Seek(0, 1); n > 64<<20 {
				if err := f.Truncate(0); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	for _, c := range []struct {
		name       string
		sent, sync bool
	}{{"spool", false, false}, {"spool and sender", true, false}, {"spool, fsync", false, true}} {
		b.Run(c.name, func(b *testing.B) {
			o := o
			o.Dir, o.Sync = b.TempDir(), c.sync
			s := open(b, o)
			if c.sent {
				run(b, s, func(context.Context, *bus.Batch) error { return nil })
			}
			seq := s.NextSeq()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if err := s.Append(context.Background(), batch(seq, 1, 10)); err != nil {
					b.Fatal(err)
				}
				seq++
			}
		})
	}
}
