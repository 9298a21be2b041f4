package live

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/recent"
	"stripchart/internal/wire"
)

const (
	// maxCatalogue bounds the series of one answer, and those that are new in one event;
	// more of them wait for the next.
	maxCatalogue = 10_000
	// maxMatch bounds the selectors of one catalogue.
	maxMatch = 32
	// maxFeeds bounds the feeds, that is the different lists of selectors that catalogues ask for.
	maxFeeds = 1000
)

// catalogue tells pages which series there are, and which come and go. recent.Log.Mu guards feeds.
type catalogue struct {
	*audience
	feeds   map[string]*feed // by canonical selectors
	listing chan struct{}    // buffered, capacity 1: held while a list is made; the order of locks is at recent.Log.Mu
}

// feed is the catalogue of all watchers with the same selectors. recent.Log.Mu guards it.
type feed struct {
	recent   *recent.Log
	key      string
	search   *search
	ready    chan struct{} // closed once the search has come to its end, or has failed
	watchers map[*watcher]struct{}
	news     catalogueNews // that is not told yet

	// answer is the encoded list of the series, without the changes in `news`; nil: not made in this
	// second. A watcher that is sent answer is sent `news` as well.
	answer []byte
	told   uint64 // how often news was told
}

// watcher is a client that is told when series come and go. recent.Log.Mu guards it.
type watcher struct {
	client   *Client
	feed     *feed
	answered bool          // the list was sent, so changes can follow
	missed   catalogueNews // changes not sent yet: the queue is full, or the list is on its way
}

// catalogueNews are series that came and went, by keys; the last thing that
// happened to each.
type catalogueNews struct {
	changes map[string]change
	added   int
}

type change struct {
	labels labels.Labels
	added  bool
}

// note notes that the series of ls, which has the key, came or went.
func (n *catalogueNews) note(key string, c change) {
	if n.changes == nil {
		n.changes = map[string]change{}
	}
	if n.changes[key].added {
		n.added--
	}
	n.changes[key] = c
	if c.added {
		n.added++
	}
}

func (n *catalogueNews) merge(other catalogueNews) {
	for key, c := range other.changes {
		n.note(key, c)
	}
}

func (n *catalogueNews) empty() bool { return len(n.changes) == 0 }

// message returns what is told of n.
func (n *catalogueNews) message() wire.CatalogueChange {
	var m wire.CatalogueChange
	for _, c := range n.changes {
		if c.added {
			m.Added = append(m.Added, c.labels)
		} else {
			m.Gone = append(m.Gone, c.labels)
		}
	}
	slices.SortFunc(m.Added, labels.Compare)
	slices.SortFunc(m.Gone, labels.Compare)
	return m
}

// opened implements owner.
func (f *feed) opened([]*recent.Series) { close(f.ready) }

// failed implements owner.
func (f *feed) failed() { close(f.ready) }

// appeared implements owner.
func (f *feed) appeared(found []*recent.Series, _ *unsent) {
	for _, s := range found {
		f.news.note(string(f.recent.Index.Key(s.Labels)), change{s.Labels, true})
	}
}

// vanished implements owner.
func (f *feed) vanished(s *recent.Series) {
	f.news.note(string(f.recent.Index.Key(s.Labels)), change{s.Labels, false})
}

// isFull implements owner: new series wait until those before them were told.
func (f *feed) isFull() bool { return f.news.added >= maxCatalogue }

// needsRing implements owner.
func (f *feed) needsRing() bool { return false }

// Catalogue answers with the series there are, and has the client told of
// changes from then on. The answer comes later, from another goroutine.
func (c *Client) Catalogue(arg json.RawMessage, ack Ack) {
	var m wire.Catalogue
	if err := readRequest(arg, &m); err != nil {
		ack.refuse(err)
		return
	}
	if len(m.Match) > maxMatch {
		ack.refuse(badRequest("match may hold %d selectors", maxMatch))
		return
	}
	var selectors []selector
	for _, query := range m.Match {
		sel, err := c.readQuery(query)
		if err != nil {
			ack.refuse(err)
			return
		}
		selectors = append(selectors, sel)
	}
	if len(selectors) == 0 && len(c.bound) > 0 { // none would mean every series
		selectors = append(selectors, newSelector(c.bound))
	}
	w, err := c.catalogue.watch(c, selectors)
	if err != nil {
		ack.refuse(err)
		return
	}
	c.goBackground(func() {
		select {
		case <-w.feed.ready:
		case <-c.ctx.Done():
			return
		}
		end, ok := c.begin()
		if !ok {
			return // nobody is there to be told
		}
		defer end()
		answer, err := c.catalogue.answer(w)
		if err != nil {
			c.recent.Mu.Lock()
			if c.watching == w {
				c.unwatch()
			}
			c.recent.Mu.Unlock()
			ack.refuse(err)
			return
		}
		if ack != nil {
			ack(answer)
		}
		c.recent.Mu.Lock()
		w.answered = true
		c.recent.Mu.Unlock()
	})
}

// watch replaces the watcher of a client.
func (x *catalogue) watch(c *Client, selectors []selector) (*watcher, error) {
	key, cost := "", 0
	for _, s := range selectors {
		key += s.canonical + "\n"
		cost += s.cost
	}
	x.recent.Mu.Lock()
	defer x.recent.Mu.Unlock()
	c.unwatch()
	if c.gone || x.tasks.closed {
		return nil, &wire.Error{Code: wire.CodeNotReady, Message: "the connection or the server is closing"}
	}
	if err := c.affords(cost); err != nil {
		return nil, err
	}
	f := x.feeds[key]
	if f == nil {
		if len(x.feeds) >= maxFeeds || cost > 0 && x.matcher.cost+cost > maxSearchCost {
			return nil, &wire.Error{Code: wire.CodeOverloaded, Message: "the server has too many catalogues with different selectors; ask for all series, or try again later"}
		}
		f = &feed{recent: x.recent, key: key, ready: make(chan struct{}), watchers: map[*watcher]struct{}{}}
		f.search = newSearch(f, selectors, 0)
		x.feeds[key] = f
		x.matcher.begin(f.search)
	}
	w := &watcher{client: c, feed: f}
	f.watchers[w] = struct{}{}
	c.watch(w)
	x.metrics.catalogues.Set(float64(len(x.feeds)))
	return w, nil
}

// end ends a watcher. The caller holds recent.Log.Mu.
func (x *catalogue) end(w *watcher) {
	f := w.feed
	delete(f.watchers, w)
	if len(f.watchers) > 0 {
		return
	}
	x.matcher.end(f.search)
	if !isClosed(f.ready) {
		close(f.ready)
	}
	delete(x.feeds, f.key)
	x.metrics.catalogues.Set(float64(len(x.feeds)))
}

// answer returns w's answer, encoded, once its feed is ready.
func (x *catalogue) answer(w *watcher) ([]byte, error) {
	f := w.feed
	// One list is made at a time, so that lists take no more than one processor.
	select {
	case x.listing <- struct{}{}:
		defer func() { <-x.listing }()
	case <-x.ctx.Done():
		return nil, &wire.Error{Code: wire.CodeNotReady, Message: "the server is stopping"}
	}
	x.recent.Mu.Lock()
	current, state, told, answer := w.client.watching == w, f.search.state, f.told, f.answer
	x.recent.Mu.Unlock()
	switch {
	case !current:
		return nil, &wire.Error{Code: wire.CodeOverloaded, Message: "the catalogue was asked for anew before this answer was ready"}
	case state == ended:
		return nil, tooSlow()
	case answer != nil:
		return answer, nil
	}
	answer = x.list(f)
	x.recent.Mu.Lock()
	defer x.recent.Mu.Unlock()
	if f.told == told { // otherwise w was told in w.missed what the list may lack
		f.answer = answer
	}
	return answer, nil
}

// tooSlow is the answer to a query that could not be compared with all series in time.
func tooSlow() error {
	return &wire.Error{Code: wire.CodeOverloaded, Message: fmt.Sprintf("the query could not be compared with all series in %d seconds; name the metric, or use a simpler regular expression", searchPatience/1000)}
}

// list returns the encoded answer with the series that f has found. Those that come and
// go meanwhile are in its news.
func (x *catalogue) list(f *feed) []byte {
	found := []labels.Labels{}
	for slot, more := uint32(0), true; more; slot += recent.PieceOf {
		x.recent.Mu.Lock()
		more = x.recent.Index.EachSlot(slot, func(s *recent.Series) {
			if f.search.found.has(s.Slot) {
				found = append(found, s.Labels)
			}
		})
		x.recent.Mu.Did(recent.PieceOf)
		x.recent.Mu.Unlock()
	}
	slices.SortFunc(found, labels.Compare)
	answer := wire.CatalogueAnswer{OK: true, Series: found}
	if len(found) > maxCatalogue {
		answer.Series, answer.Truncated = found[:maxCatalogue], true
	}
	var b []byte
	Ack(func(encoded []byte) { b = encoded }).answer(answer)
	return b
}

// tell sends what has come and gone since the last time, encoded once
// for all that watch the same. A page that does not read is told later.
func (x *catalogue) tell() {
	type letter struct {
		news catalogueNews
		to   []*watcher
	}
	x.recent.Mu.Lock()
	feeds := slices.Collect(maps.Values(x.feeds))
	x.recent.Mu.Unlock()
	for _, f := range feeds {
		var letters []letter
		x.recent.Mu.Lock()
		news := f.news
		f.answer = nil // also to bound what is kept
		if f.news = (catalogueNews{}); !news.empty() {
			f.told++
		}
		common := letter{news: news}
		for w := range f.watchers {
			switch {
			case !w.answered:
				w.missed.merge(news) // it must not overtake the answer
			case !w.missed.empty():
				w.missed.merge(news)
				letters = append(letters, letter{w.missed, []*watcher{w}})
				w.missed = catalogueNews{}
			default:
				common.to = append(common.to, w)
			}
		}
		x.recent.Mu.Did(len(f.watchers))
		if news.added >= maxCatalogue {
			x.matcher.soon() // the feed was full
		}
		x.recent.Mu.Unlock()
		if !news.empty() && len(common.to) > 0 {
			letters = append(letters, common)
		}
		for _, l := range letters {
			x.send(l.news, l.to)
		}
	}
}

// send tells watchers of news.
func (x *catalogue) send(news catalogueNews, to []*watcher) {
	p := x.encode(wire.EventCatalogue, news.message())
	for _, w := range to {
		if w.client.conn.Write(p) {
			continue
		}
		x.recent.Mu.Lock()
		w.missed.merge(news) // this goroutine alone tells: nothing has been missed since
		x.recent.Mu.Unlock()
	}
}
