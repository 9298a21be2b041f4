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
// them; what after returns stays valid and unchanged without the lock.
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

// count returns how many births there are, those that are over included.
func (b *births) count() int { return len(b.list) }

// hold keeps the births of a name for a search that goes through them, and release ends that.
func (b *births) hold()    { b.searches++ }
func (b *births) release() { b.searches-- }

// compact drops births that are over. It takes the lock for a piece at a time.
func (x *recent) compact() {
	x.mu.Lock()
	untidy := x.index.untidy
	x.index.untidy = map[*births]string{}
	x.mu.Unlock()
	x.compactOne(&x.index.all)
	for b, name := range untidy {
		x.compactOne(b)
		x.mu.Lock()
		if b.count() == 0 && b.searches == 0 {
			delete(x.index.byName, name)
		}
		x.mu.Unlock()
	}
}

// compactOne drops the births that are over from b when they are half of it. It takes the
// lock for a piece at a time; nobody else compacts.
func (x *recent) compactOne(b *births) {
	var kept []birth
	for done := 0; ; {
		x.mu.Lock()
		if done == 0 && 2*b.over <= len(b.list) {
			x.mu.Unlock()
			return
		}
		piece := b.list[done:min(done+pieceOf, len(b.list))]
		for _, birth := range piece {
			if !birth.isOver() {
				kept = append(kept, birth)
			}
		}
		x.mu.did(len(piece))
		if done += len(piece); done == len(b.list) {
			b.over -= len(b.list) - len(kept)
			b.list = kept
			x.mu.Unlock()
			return
		}
		x.mu.Unlock()
	}
}
