package live

// bitset is a set of small numbers, divided into pages. A page without members takes no memory.
type bitset struct {
	pages []*[pageWords]uint64
	n     int // members
}

// pageWords is the size of a page: 1,024 numbers, 128 bytes.
const pageWords = 16

func (b *bitset) has(i uint32) bool {
	page, word, bit := place(i)
	return page < len(b.pages) && b.pages[page] != nil && b.pages[page][word]&bit != 0
}

// add reports whether i was not in b.
func (b *bitset) add(i uint32) bool {
	if b.has(i) {
		return false
	}
	page, word, bit := place(i)
	for page >= len(b.pages) {
		b.pages = append(b.pages, nil)
	}
	if b.pages[page] == nil {
		b.pages[page] = new([pageWords]uint64)
	}
	b.pages[page][word] |= bit
	b.n++
	return true
}

// remove reports whether i was in b.
func (b *bitset) remove(i uint32) bool {
	if !b.has(i) {
		return false
	}
	page, word, bit := place(i)
	b.pages[page][word] &^= bit
	b.n--
	return true
}

func place(i uint32) (page, word int, bit uint64) {
	return int(i / 64 / pageWords), int(i / 64 % pageWords), 1 << (i % 64)
}
