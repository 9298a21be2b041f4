package testkit

import (
	"math"
	"testing"

	"stripchart/internal/bus"
)

// SameSamples compares samples by the text of their series, values bit by bit.
func SameSamples(t testing.TB, what string, got, want map[string][]bus.Sample) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d series, want %d", what, len(got), len(want))
	}
	for ls, samples := range want {
		g := got[ls]
		if len(g) != len(samples) {
			t.Errorf("%s: %s has %d samples, want %d", what, ls, len(g), len(samples))
			continue
		}
		for i, s := range samples {
			if g[i].T != s.T || math.Float64bits(g[i].V) != math.Float64bits(s.V) {
				t.Errorf("%s: %s: %v, want %v", what, ls, g[i], s)
				break
			}
		}
	}
}
