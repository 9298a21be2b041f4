package testkit

import (
	"fmt"
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
		if err := Differ(got[ls], samples); err != nil {
			t.Errorf("%s: %s: %v", what, ls, err)
		}
	}
}

// Differ says how the samples of one series differ from what they should be, values bit by bit; nil
// where they do not.
func Differ(got, want []bus.Sample) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d samples, want %d", len(got), len(want))
	}
	for i, s := range want {
		if got[i].T != s.T || math.Float64bits(got[i].V) != math.Float64bits(s.V) {
			return fmt.Errorf("sample %d is %v, want %v", i, got[i], s)
		}
	}
	return nil
}
