package live

import (
	"math/rand/v2"
	"testing"
)

func TestBitsetIsASet(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var b bitset
	want := map[uint32]bool{}
	for range 20_000 {
		i := uint32(rng.IntN(5000))
		if rng.IntN(2) == 0 {
			if b.add(i) == want[i] {
				t.Fatalf("add(%d) when it is there: %v", i, want[i])
			}
			want[i] = true
		} else {
			if b.remove(i) != want[i] {
				t.Fatalf("remove(%d) when it is there: %v", i, want[i])
			}
			delete(want, i)
		}
		if b.n != len(want) || b.has(i) != want[i] {
			t.Fatalf("%d members, want %d", b.n, len(want))
		}
	}
}
