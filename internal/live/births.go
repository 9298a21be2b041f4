package live

import (
	"cmp"
	"slices"
)

// birth is the moment from which on rooms and catalogues have to know a series: it is
// new, or a room has forgotten it and it is written to again.
type birth struct {
	number uint64 // ascending
	series *series
}

// isOver reports whether the series is gone, or was born again. The caller holds recent.mu.
func (b birth) isOver() bool { return b.series.gone || b.series.birth != b.number }

// births are those of all series, or of all with one name, in their order. recent.mu guards
// it; what after returns stays valid and unchanged without the lock.
type births struct {
	list     []birth
	over     int // in list, about
	searches int // that go through it
}

// last returns the number of the newest birth, 0 when there is none.
func (b *births) last() uint64 {
	if len(b.list) == 0 {
		return 0
	}
	return b.list[len(b.list)-1].number
}

// after returns the births with numbers above n.
func (b *births) after(n uint64) []birth {
	i, _ := slices.BinarySearchFunc(b.list, n+1, func(x birth, n uint64) int { return cmp.Compare(x.number, n) })
	return b.list[i:len(b.list):len(b.list)]
}
