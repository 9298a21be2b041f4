package live

import (
	"cmp"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/recent"
)

// One goroutine finds out which series match a query: without the lock, in pieces, the cheapest query
// first. A query over many series, or with an expensive regular expression, delays only the pages that
// asked it, and all queries together take one processor.
//
// # Why no series is lost between a room and the log
//
// A search goes through the births of series in their order, and next says how far it has
// come. A series that is born later stands behind next, so a room and a series need not know of each
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
	// dearCost is the cost above which a query is expensive: the clock is read after each series, not
	// after each 64th.
	dearCost = 100
	// baseCost is what a query without regular expressions costs.
	baseCost = 16
	// searchPatience is the time limit for opening a room, ms: a search that takes longer fails.
	searchPatience = 30_000
	// maxTurns is how many searches have a turn before the cheapest are looked for anew.
	maxTurns = 64
)

// matcher compares queries with series, in a goroutine of its own. recent.Log.Mu guards its fields.
type matcher struct {
	recent *recent.Log
	*tasks
	metrics *metrics
	left    func(*recent.Series) // tells the log side that a series leaves the index
	flush   func()               // wakes the flusher

	searches map[*search]struct{}
	cost     int // of all searches
	compiled compiled
	wake     chan struct{} // buffered, capacity 1: there is something to do
}

// search is a query that is compared with every series: that of a room, or of a catalogue.
// recent.Log.Mu guards it, but for first.
type search struct {
	query []selector // a series that any of them matches is found; none: every series
	cost  int
	list  *recent.Births
	next  uint64 // number of the newest birth that it has looked at
	found bitset // slots of the series that are in the index and match
	want  int    // how many series, in the order of labels, the owner is given when the search opens
	began int64  // Unix ms
	state searchState
	// unlimited says that it may take any time: it is the operator's query, not a page's.
	unlimited bool
	owner     owner

	first []*recent.Series // at least the first `want` of found; the matcher's own
}

// searchState is how far a search has come.
type searchState uint8

const (
	opening searchState = iota // the search has not reached the end of the births yet
	open                       // the search has reached the end once
	ended                      // nobody needs it any more, or it has failed
)

// owner is what a search is for. Its methods are called under recent.Log.Mu.
type owner interface {
	// opened is called when the search has come to the end for the first time.
	opened(first []*recent.Series)
	// failed is called instead when that took too long.
	failed()
	// appeared is called with what is found later, and what the ring has of it.
	appeared(found []*recent.Series, missed *unsent)
	// vanished is called when one of the series that were found leaves the index.
	vanished(s *recent.Series)
	// isFull reports whether the owner takes nothing for now; matcher.soon follows.
	isFull() bool
	// needsRing reports whether it has a use for what the ring has of series that appear.
	needsRing() bool
}

// isBehind reports whether there are births that s has not looked at. The caller
// holds recent.Log.Mu.
func (s *search) isBehind() bool { return s.list.Last() > s.next }

// effort estimates what is left to do. The caller holds recent.Log.Mu.
func (s *search) effort(births uint64) int {
	left := min(int(births-s.next), s.list.Count())
	return left * (baseCost + s.cost)
}

// newSearch returns a search for the series that any of the selectors matches, or for
// every series, for begin.
func newSearch(o owner, query []selector, want int) *search {
	s := &search{query: slices.Clone(query), want: want, owner: o}
	for i := range query {
		s.cost += query[i].cost
	}
	return s
}

// begin begins s. The caller holds recent.Log.Mu.
func (x *matcher) begin(s *search) {
	s.began = x.recent.Now()
	s.list = &x.recent.Index.AllBirths
	if len(s.query) == 1 && s.query[0].name != "" {
		s.list = x.recent.Index.Named(s.query[0].name)
	}
	for i := range s.query {
		s.query[i] = x.compiled.share(s.query[i])
	}
	s.list.Hold()
	x.searches[s] = struct{}{}
	x.cost += s.cost
	x.metrics.searchCost.Set(float64(x.cost))
	if s.isBehind() {
		x.soon()
	} else {
		x.open(s) // there is nothing to look at
	}
}

// end ends s; further calls do nothing. The caller holds recent.Log.Mu.
func (x *matcher) end(s *search) {
	if _, there := x.searches[s]; !there {
		return
	}
	s.state = ended
	delete(x.searches, s)
	s.list.Release()
	x.cost -= s.cost
	x.metrics.searchCost.Set(float64(x.cost))
	for i := range s.query {
		x.compiled.release(s.query[i])
	}
}

func (x *matcher) open(s *search) {
	s.state = open
	s.next = x.recent.Index.Births
	first := s.first
	s.first = nil
	s.owner.opened(first)
}

// soon has the matcher look what there is to do. It never blocks.
func (x *matcher) soon() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// run carries out the searches.
func (x *matcher) run() {
	for {
		turns := x.next()
		if len(turns) == 0 {
			select {
			case <-x.ctx.Done():
				return
			case <-x.wake:
			}
			continue
		}
		for _, s := range turns {
			if x.ctx.Err() != nil {
				return
			}
			x.turn(s)
		}
	}
}

// next returns the cheapest searches that are behind, and ends those that nobody
// should wait for any longer.
func (x *matcher) next() []*search {
	type candidate struct {
		*search
		effort int
	}
	x.recent.Mu.Lock()
	defer x.recent.Mu.Unlock()
	var behind []candidate
	tooOld := x.recent.Now() - searchPatience
	for s := range x.searches {
		if !s.isBehind() || s.owner.isFull() {
			continue
		}
		if s.state == opening && s.began < tooOld && !s.unlimited {
			x.end(s)
			x.metrics.searchesFailed.Inc()
			s.owner.failed()
			continue
		}
		behind = append(behind, candidate{s, s.effort(x.recent.Index.Births)})
	}
	slices.SortFunc(behind, func(a, b candidate) int { return cmp.Compare(a.effort, b.effort) })
	x.metrics.searching.Set(float64(len(behind)))
	turns := make([]*search, min(len(behind), maxTurns))
	for i := range turns {
		turns[i] = behind[i].search
	}
	return turns
}

// turn has s look at some births.
func (x *matcher) turn(s *search) {
	x.recent.Mu.Lock()
	if s.state == ended {
		x.recent.Mu.Unlock()
		return
	}
	todo := s.list.After(s.next)
	todo = todo[:min(len(todo), recent.PieceOf)]
	needsRing := s.state == open && s.owner.needsRing()
	x.recent.Mu.Unlock()

	hits, looked := s.look(todo)
	var missed *unsent
	if len(hits) > 0 && needsRing {
		missed = x.unsentOf(hits)
	}

	x.recent.Mu.Lock()
	if s.state == ended {
		x.recent.Mu.Unlock()
		return
	}
	if looked > 0 {
		s.next = todo[looked-1].Number
	}
	var found []*recent.Series
	for _, b := range hits {
		if !b.IsOver() && s.found.add(b.Series.Slot) {
			found = append(found, b.Series)
		}
	}
	x.recent.Mu.Did(len(hits))
	atEnd := !s.isBehind()
	if atEnd {
		s.next = x.recent.Index.Births
	}
	if s.state == open {
		if len(found) > 0 {
			missed.complete(&x.recent.Ring)
			s.owner.appeared(found, missed)
		}
		if atEnd {
			x.flush() // a room's flush may have waited for it
		}
		x.recent.Mu.Unlock()
		return
	}
	x.recent.Mu.Unlock()

	s.first = firstOf(append(s.first, found...), s.want, atEnd)
	if !atEnd {
		return
	}
	x.recent.Mu.Lock()
	defer x.recent.Mu.Unlock()
	if s.state == opening && !s.isBehind() {
		x.open(s)
	}
}

// look returns those of todo that match, and at how many it has looked. It is
// called without the lock: labels and selectors do not change.
func (s *search) look(todo []recent.Birth) (hits []recent.Birth, looked int) {
	began := time.Now()
	for i, b := range todo {
		if i > 0 && (s.cost > dearCost || i%64 == 0) && time.Since(began) > searchTime {
			return hits, i
		}
		if s.wants(b.Series.Labels) {
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
func firstOf(list []*recent.Series, want int, exact bool) []*recent.Series {
	if !exact && len(list) < 4*want+recent.PieceOf {
		return list
	}
	slices.SortFunc(list, func(a, b *recent.Series) int { return labels.Compare(a.Labels, b.Labels) })
	return list[:min(len(list), want)]
}

// tidy drops the series from the index that were not written to for recent.IndexAge.
func (x *matcher) tidy(now int64) {
	x.recent.Mu.Lock()
	all := x.recent.Index.AllBirths.After(0)
	x.recent.Mu.Unlock()
	for len(all) > 0 {
		x.recent.Mu.Lock()
		for len(all) > 0 && !x.recent.Mu.HasWorkedEnough() {
			birth := all[0]
			all = all[1:]
			x.recent.Mu.Did(1)
			if !birth.IsOver() && now-birth.Series.SeenAt > recent.IndexAge.Milliseconds() {
				x.remove(birth.Series)
			}
		}
		x.recent.PublishSeries()
		x.recent.Mu.Unlock()
	}
	x.recent.Compact()
}

// remove drops s from the index and from what rooms and catalogues have found. The
// caller holds recent.Log.Mu.
func (x *matcher) remove(s *recent.Series) {
	for q := range x.searches {
		if q.found.remove(s.Slot) {
			q.owner.vanished(s)
		}
	}
	x.recent.Mu.Did(len(x.searches))
	x.left(s)
	x.recent.Index.Remove(s)
}
