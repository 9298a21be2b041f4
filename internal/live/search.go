package live

import (
	"cmp"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// Which series match a query is found out by one goroutine, without the lock, in pieces,
// the cheapest query first. A query over many series, or with a dear regular expression,
// delays nobody but the pages that asked it, and all of them together take one processor.
//
// # Why no series is lost between a room and the log
//
// A search goes through the births of series in their order, and next says how far it has
// come. Whoever is born later stands behind next, so a room and a series need not know of each
// other when either appears. (With a snapshot of the rooms on the one side, and one of the
// series on the other, both could miss each other: a room that opens after the batch's
// rooms were listed, and before its series is in the index, has neither.)
//
// A room does not flush while its search is behind. Otherwise a page would be told of a
// position P behind a batch with the first sample of a new series, without the sample; if
// it then lost its connection, and resumed after P on another server, nobody would ever
// send it that sample. When the search has found the series, the room is given what the
// ring has of it since its birth, which no flush of the room has passed (see Room.appeared).
const (
	// searchTime is how long a search goes on before others have their turn.
	searchTime = time.Millisecond
	// dearCost is the cost of a query from which on time is looked at after each series.
	dearCost = 100
	// baseCost is what a query without regular expressions costs.
	baseCost = 16
	// searchPatience is how long a page waits for a room to be opened, ms.
	searchPatience = 30_000
	// maxTurns is how many searches have a turn before the cheapest are looked for anew.
	maxTurns = 64
)

// search is a query that is compared with every series: that of a room, or of a catalogue.
// Guarded by Hub.mu, but for what is the matcher's.
type search struct {
	query []selector // a series that any of them matches is found; none: every series
	cost  int
	list  *births
	next  uint64 // number of the newest birth that it has looked at
	found bitset // slots of the series that are in the index and match
	want  int    // how many of the first in the order of labels its owner is given when it opens
	began int64  // Unix ms
	state searchState
	// unlimited says that it may take any time: it is the operator's query, not a page's.
	unlimited bool
	owner     owner

	first []*series // at least the first `want` of found; the matcher's own
}

// searchState is how far a search has come.
type searchState uint8

const (
	opening searchState = iota // it has not come to the end of the births yet
	open                       // it has, once
	ended                      // nobody needs it any more, or it has failed
)

// owner is what a search is for. Its methods are called under Hub.mu.
type owner interface {
	// opened is called when the search has come to the end for the first time.
	opened(h *Hub, first []*series)
	// failed is called instead when that took too long.
	failed(h *Hub)
	// appeared is called with what is found later, and what the ring has of it.
	appeared(h *Hub, found []*series, missed *unsent)
	// vanished is called when one of the series that were found leaves the index.
	vanished(h *Hub, s *series)
	// isFull reports whether the owner takes nothing for now; wakeMatcher follows.
	isFull() bool
	// needsRing reports whether it has a use for what the ring has of series that appear.
	needsRing() bool
}

// isBehind reports whether there are births that s has not looked at. The caller
// holds Hub.mu.
func (s *search) isBehind() bool { return s.list.last() > s.next }

// effort estimates what is left to do. The caller holds Hub.mu.
func (s *search) effort(h *Hub) int {
	left := min(int(h.index.births-s.next), len(s.list.list))
	return left * (baseCost + s.cost)
}

// newSearch returns a search for the series that any of the selectors matches, or for
// every series, for beginSearch.
func newSearch(o owner, query []selector, want int) *search {
	s := &search{query: slices.Clone(query), want: want, owner: o}
	for i := range query {
		s.cost += query[i].cost
	}
	return s
}

// beginSearch begins s. The caller holds h.mu.
func (h *Hub) beginSearch(s *search) {
	s.began = h.now()
	s.list = &h.index.all
	if len(s.query) == 1 && s.query[0].name != "" {
		s.list = h.index.named(s.query[0].name)
	}
	for i := range s.query {
		s.query[i] = h.compiled.share(s.query[i])
	}
	s.list.searches++
	h.searches[s] = struct{}{}
	h.searchCost += s.cost
	h.metrics.searchCost.Set(float64(h.searchCost))
	if s.isBehind() {
		h.wakeMatcher()
	} else {
		h.openSearch(s) // there is nothing to look at
	}
}

// endSearch ends s; further calls do nothing. The caller holds h.mu.
func (h *Hub) endSearch(s *search) {
	if _, there := h.searches[s]; !there {
		return
	}
	s.state = ended
	delete(h.searches, s)
	s.list.searches--
	h.searchCost -= s.cost
	h.metrics.searchCost.Set(float64(h.searchCost))
	for i := range s.query {
		h.compiled.release(s.query[i])
	}
}

func (h *Hub) openSearch(s *search) {
	s.state = open
	s.next = h.index.births
	first := s.first
	s.first = nil
	s.owner.opened(h, first)
}

// wakeMatcher has the matcher look what there is to do. It never blocks.
func (h *Hub) wakeMatcher() {
	select {
	case h.searchable <- struct{}{}:
	default:
	}
}

// matcher carries out the searches.
func (h *Hub) matcher() {
	for {
		turns := h.nextSearches()
		if len(turns) == 0 {
			select {
			case <-h.ctx.Done():
				return
			case <-h.searchable:
			}
			continue
		}
		for _, s := range turns {
			if h.ctx.Err() != nil {
				return
			}
			h.turn(s)
		}
	}
}

// nextSearches returns the cheapest searches that are behind, and ends those that nobody
// should wait for any longer.
func (h *Hub) nextSearches() []*search {
	type candidate struct {
		*search
		effort int
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var behind []candidate
	tooOld := h.now() - searchPatience
	for s := range h.searches {
		if !s.isBehind() || s.owner.isFull() {
			continue
		}
		if s.state == opening && s.began < tooOld && !s.unlimited {
			h.endSearch(s)
			h.metrics.searchesFailed.Inc()
			s.owner.failed(h)
			continue
		}
		behind = append(behind, candidate{s, s.effort(h)})
	}
	slices.SortFunc(behind, func(a, b candidate) int { return cmp.Compare(a.effort, b.effort) })
	h.metrics.searching.Set(float64(len(behind)))
	turns := make([]*search, min(len(behind), maxTurns))
	for i := range turns {
		turns[i] = behind[i].search
	}
	return turns
}

// turn has s look at some births.
func (h *Hub) turn(s *search) {
	h.mu.Lock()
	if s.state == ended {
		h.mu.Unlock()
		return
	}
	todo := s.list.after(s.next)
	todo = todo[:min(len(todo), pieceOf)]
	needsRing := s.state == open && s.owner.needsRing()
	h.mu.Unlock()

	hits, looked := s.look(todo)
	var missed *unsent
	if len(hits) > 0 && needsRing {
		missed = h.unsentOf(hits)
	}

	h.mu.Lock()
	if s.state == ended {
		h.mu.Unlock()
		return
	}
	if looked > 0 {
		s.next = todo[looked-1].number
	}
	var found []*series
	for _, b := range hits {
		if !b.isOver() && s.found.add(b.series.slot) {
			found = append(found, b.series)
		}
	}
	h.mu.did(len(hits))
	atEnd := !s.isBehind()
	if atEnd {
		s.next = h.index.births
	}
	if s.state == open {
		if len(found) > 0 {
			missed.complete(h)
			s.owner.appeared(h, found, missed)
		}
		if atEnd {
			h.wakeFlusher() // a room's flush may have waited for it
		}
		h.mu.Unlock()
		return
	}
	h.mu.Unlock()

	s.first = firstOf(append(s.first, found...), s.want, atEnd)
	if !atEnd {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.state == opening && !s.isBehind() {
		h.openSearch(s)
	}
}

// look returns those of todo that match, and at how many it has looked. It is
// called without the lock: labels and selectors do not change.
func (s *search) look(todo []birth) (hits []birth, looked int) {
	began := time.Now()
	for i, b := range todo {
		if i > 0 && (s.cost > dearCost || i%64 == 0) && time.Since(began) > searchTime {
			return hits, i
		}
		if s.wants(b.series.labels) {
			hits = append(hits, b)
		}
	}
	return hits, len(todo)
}

func (s *search) wants(ls labels.Labels) bool {
	return len(s.query) == 0 || slices.ContainsFunc(s.query, func(q selector) bool { return matches(q.matchers, ls) })
}

// firstOf returns the first `want` series in the order of labels, or some more while it is
// not asked to be exact.
func firstOf(list []*series, want int, exact bool) []*series {
	if !exact && len(list) < 4*want+pieceOf {
		return list
	}
	slices.SortFunc(list, func(a, b *series) int { return labels.Compare(a.labels, b.labels) })
	return list[:min(len(list), want)]
}
