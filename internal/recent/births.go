package recent

import (
	"cmp"
	"slices"
)

// Birth is the moment from which rooms and catalogues have to know a series. A series is born when it
// is new, and again when it is written to after a room has forgotten it.
type Birth struct {
	Number uint64 // ascending
	Series *Series
}

// IsOver reports whether the series is gone, or was born again. The caller holds Log.Mu.
func (b Birth) IsOver() bool { return b.Series.Gone || b.Series.birth != b.Number }

// Births are the births of all series, or of all series with one name, in their order. Log.Mu guards
// them; the result of After stays valid and unchanged without the lock.
type Births struct {
	list     []Birth
	over     int // estimate of how many births in list are over
	searches int // how many searches go through the list
}

// Last returns the number of the newest birth, 0 when there is none.
func (b *Births) Last() uint64 {
	if len(b.list) == 0 {
		return 0
	}
	return b.list[len(b.list)-1].Number
}

// After returns the births with numbers above n.
func (b *Births) After(n uint64) []Birth {
	i, _ := slices.BinarySearchFunc(b.list, n+1, func(x Birth, n uint64) int { return cmp.Compare(x.Number, n) })
	return b.list[i:len(b.list):len(b.list)]
}

// Count returns how many births there are, those that are over included.
func (b *Births) Count() int { return len(b.list) }

// Hold keeps the births of a name, also when there are none, for a search that goes through them.
func (b *Births) Hold() { b.searches++ }

// Release ends a Hold.
func (b *Births) Release() { b.searches-- }

// Compact drops births that are over. It takes the lock for a piece at a time.
func (x *Log) Compact() {
	x.Mu.Lock()
	untidy := x.Index.untidy
	x.Index.untidy = map[*Births]string{}
	x.Mu.Unlock()
	x.compactOne(&x.Index.AllBirths)
	for b, name := range untidy {
		x.compactOne(b)
		x.Mu.Lock()
		if b.Count() == 0 && b.searches == 0 {
			delete(x.Index.byName, name)
		}
		x.Mu.Unlock()
	}
}

// compactOne drops the births that are over from b when they are half of it. It takes the
// lock for a piece at a time; nobody else compacts.
func (x *Log) compactOne(b *Births) {
	var kept []Birth
	for done := 0; ; {
		x.Mu.Lock()
		if done == 0 && 2*b.over <= len(b.list) {
			x.Mu.Unlock()
			return
		}
		piece := b.list[done:min(done+PieceOf, len(b.list))]
		for _, birth := range piece {
			if !birth.IsOver() {
				kept = append(kept, birth)
			}
		}
		x.Mu.Did(len(piece))
		if done += len(piece); done == len(b.list) {
			b.over -= len(b.list) - len(kept)
			b.list = kept
			x.Mu.Unlock()
			return
		}
		x.Mu.Unlock()
	}
}
