package live

import (
	"slices"

	"stripchart/internal/bus"
	"stripchart/internal/recent"
	"stripchart/internal/wire"
)

// news is what the next broadcast in a room has to tell. recent.Log.Mu guards it.
type news struct {
	from        uint64 // ring index of the first entry in pending and gaps
	pending     []chunk
	gaps        []*recent.Gap
	descriptors []*member
	gone        []int
	matched     bool // how many series match
	state       bool
	dirty       bool // the room is among flusher.dirty
}

// chunk is samples of one member, as they came in one batch.
type chunk struct {
	member  *member
	samples []bus.Sample
}

// isEmpty reports whether nothing of the log is to be told.
func (n *news) isEmpty() bool { return len(n.pending) == 0 && len(n.gaps) == 0 }

// at notes, before the first thing of the log that the next broadcast tells, which ring entry
// that belongs to.
func (n *news) at(entry uint64) {
	if n.isEmpty() {
		n.from = entry
	}
}

// since notes that something older is told as well, of a series that was born with an entry.
func (n *news) since(entry uint64) { n.from = min(n.from, entry) }

// add adds samples of the entry with an index.
func (n *news) add(m *member, samples []bus.Sample, entry uint64) {
	n.at(entry)
	n.pending = append(n.pending, chunk{m, samples})
}

// describe has m described, if the current viewers do not know it.
func (n *news) describe(m *member) {
	if m.announce() {
		n.descriptors = append(n.descriptors, m)
	}
}

// gap adds a gap of the entry with an index.
func (n *news) gap(g *recent.Gap, entry uint64) {
	n.at(entry)
	n.gaps = append(n.gaps, g)
}

// has reports whether a gap is told already.
func (n *news) has(g *recent.Gap) bool { return slices.Contains(n.gaps, g) }

// forget has the page forget a member.
func (n *news) forget(m *member) {
	n.gone = append(n.gone, m.id)
	n.matched = true
}

// tellMatched has the page told how many series match, or not.
func (n *news) tellMatched(on bool) { n.matched = on }

// tellState has the page told the room's state.
func (n *news) tellState() { n.state = true }

// mark reports whether the room is to be put among the dirty ones.
func (n *news) mark() bool {
	was := n.dirty
	n.dirty = true
	return !was
}

// again has everybody told again what a refused update said.
func (n *news) again(u *wire.Update) { n.gone = append(n.gone, u.Gone...) }

// drop forgets what is pending of the log.
func (n *news) drop() { n.pending, n.gaps = nil, nil }

// clear forgets all that a flush has taken.
func (n *news) clear() { *n = news{from: n.from} }
