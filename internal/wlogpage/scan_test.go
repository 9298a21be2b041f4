package wlogpage

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"
)

// segment returns a segment as wlog writes it, with n records of up to some pages.
func segment(t testing.TB, n int) (b []byte, records []string) {
	t.Helper()
	dir := t.TempDir()
	w, err := wlog.NewSize(slog.New(slog.DiscardHandler), nil, dir, 1<<20, compression.Snappy)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		rec := fmt.Sprintf("record %d ", i)
		for k := range i * i * 4 {
			rec += fmt.Sprint(k * k % 97)
		}
		if err := w.Log([]byte(rec)); err != nil {
			t.Fatal(err)
		}
		records = append(records, rec)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err = os.ReadFile(wlog.SegmentName(dir, 0)); err != nil {
		t.Fatal(err)
	}
	return b, records
}

// scan returns the records that are found, in order.
func scan(b []byte) (records []string, f Found) {
	f = Scan(b, func(rec []byte) bool {
		if !bytes.HasPrefix(rec, []byte("record ")) {
			return false
		}
		records = append(records, string(rec))
		return true
	}, nil)
	return records, f
}

func TestAWholeSegmentIsReadWhole(t *testing.T) {
	b, want := segment(t, 60)
	got, f := scan(b)
	if f.Holes != 0 || f.Torn || len(got) != len(want) || f.Good != int64(len(b)) {
		t.Errorf("%d records of %d, %+v of %d bytes", len(got), len(want), f, len(b))
	}
}

func TestAFlippedBitCostsOneRecord(t *testing.T) {
	b, want := segment(t, 60)
	for i := 0; i < len(b); i += 9973 {
		for bit := range 8 {
			b[i] ^= 1 << bit
			got, f := scan(b)
			b[i] ^= 1 << bit
			if n := len(want) - len(got); n > 1 || n > f.Holes {
				t.Fatalf("bit %d of byte %d: %d records are missing, %d holes", bit, i, n, f.Holes)
			}
		}
	}
}

func TestACutIsTornAndCostsTheRest(t *testing.T) {
	b, want := segment(t, 60)
	for end := int(Used(b)) - 1; end > 0; end -= 10007 {
		got, f := scan(b[:end])
		if f.Holes > 0 || len(got) > 0 && got[len(got)-1] != want[len(got)-1] {
			t.Fatalf("cut at %d: %d records, %+v", end, len(got), f)
		}
		if again, f := scan(b[:f.Good]); f.Torn || f.Holes > 0 || len(again) != len(got) {
			t.Fatalf("cut at %d, then at what is good: %d records, %+v", end, len(again), f)
		}
	}
}

// Whatever a segment holds, what is found is what was written, and nothing panics.
func FuzzScan(f *testing.F) {
	b, want := segment(f, 30)
	known := map[string]bool{}
	for _, rec := range want {
		known[rec] = true
	}
	f.Add(0, []byte{0})
	f.Add(7, []byte{1, 2, 3})
	f.Add(32768, bytes.Repeat([]byte{0}, 100))
	f.Add(40000, b[:9000])
	f.Fuzz(func(t *testing.T, at int, x []byte) {
		damaged := bytes.Clone(b)
		if at >= 0 && at < len(damaged) {
			copy(damaged[at:], x)
		}
		got, _ := scan(damaged)
		for _, rec := range got {
			if !known[rec] {
				t.Fatalf("found %.40q", rec)
			}
		}
		scan(x)
	})
}
