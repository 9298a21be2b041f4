package apply

import (
	"fmt"
	"testing"

	"stripchart/internal/bus"
)

func TestTheSourcesThatAreRememberedAreBounded(t *testing.T) {
	x := sources{}
	for i := range maxSources + 10 {
		s := x.of(&bus.Batch{Sequence: bus.Sequence{Source: fmt.Sprint(i), Seq: 1}})
		s.heardAt = int64(i)
	}
	x.forget(5)
	if len(x) != maxSources || x["9"] != nil || x["10"] == nil {
		t.Errorf("%d sources are left, want the newest %d", len(x), maxSources)
	}
}
