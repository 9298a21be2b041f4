package testkit

import (
	"bytes"
	"math/rand/v2"
	"os"
	"testing"

	"stripchart/internal/wlogpage"
)

// Harm damages a file in one way, at random, and returns the name of the damage. Mostly it
// lies within the used bytes of the file: the last page of a write log is half empty.
func Harm(t testing.TB, r *rand.Rand, path string) string {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	must(err)
	n := max(1, int(wlogpage.Used(b)))
	if r.IntN(8) == 0 {
		n = len(b)
	}
	block := func() (from, to int) {
		from = r.IntN(n)
		return from, min(len(b), from+1+r.IntN(4096))
	}
	name := ""
	kind := r.IntN(10)
	if len(b) == 0 && kind < 8 {
		kind = 8 + kind%2
	}
	switch kind {
	case 0, 1, 2:
		name = "a bit"
		b[r.IntN(n)] ^= 1 << r.IntN(8)
	case 3:
		name = "cut"
		b = b[:r.IntN(n)]
	case 4, 5:
		name = "zeros"
		from, to := block()
		clear(b[from:to])
	case 6:
		name = "rubbish"
		from, to := block()
		for i := range b[from:to] {
			b[from+i] = byte(r.Uint32())
		}
	case 7:
		name = "swapped"
		size := 1 + r.IntN(max(1, min(n/2, 4096)))
		i, j := r.IntN(n-size+1), r.IntN(n-size+1)
		x, y := bytes.Clone(b[i:i+size]), bytes.Clone(b[j:j+size])
		copy(b[i:], y)
		copy(b[j:], x)
	case 8:
		must(os.Remove(path))
		return "file gone"
	case 9:
		name = "appended"
		for range 1 + r.IntN(5000) {
			b = append(b, byte(r.Uint32()))
		}
	}
	must(os.WriteFile(path, b, 0o600))
	return name
}
