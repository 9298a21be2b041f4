package live

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/wire"
)

const (
	// maxCatalogue bounds the series of one answer, and those that are new in one event;
	// more of them wait for the next.
	maxCatalogue = 10_000
	// maxMatch bounds the selectors of one catalogue.
	maxMatch = 32
	// maxFeeds bounds the feeds: what different selectors catalogues have.
	maxFeeds = 1000
)

// feed is the catalogue of all who watch the same selectors. Guarded by Hub.mu.
type feed struct {
	key      string
	search   *search
	ready    chan struct{} // closed once the search has come to its end, or has failed
	watchers map[*watcher]struct{}
	news     catalogueNews // that is not told yet

	// answer is the encoded list of the series as of the news before `news`; nil: not made
	// in this second. Whoever is sent it is told `news` as well.
	answer []byte
	told   uint64 // how often news was told
}

// watcher is a client that is told when series come and go. Guarded by Hub.mu.
type watcher struct {
	client   *Client
	feed     *feed
	answered bool          // it has the answer that the news are to be added to
	missed   catalogueNews // what it was not told: its queue is full, or the answer is under way
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
func (f *feed) opened(*Hub, []*series) { close(f.ready) }

// failed implements owner.
func (f *feed) failed(*Hub) { close(f.ready) }

// appeared implements owner.
func (f *feed) appeared(h *Hub, found []*series, _ *unsent) {
	for _, s := range found {
		f.news.note(string(h.index.key(s.labels)), change{s.labels, true})
	}
}

// vanished implements owner.
func (f *feed) vanished(h *Hub, s *series) {
	f.news.note(string(h.index.key(s.labels)), change{s.labels, false})
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
		sel, err := parseSelector(query)
		if err != nil {
			ack.refuse(err)
			return
		}
		selectors = append(selectors, sel)
	}
	w, err := c.watch(selectors)
	if err != nil {
		ack.refuse(err)
		return
	}
	c.hub.goBackground(func() {
		select {
		case <-w.feed.ready:
		case <-c.hub.ctx.Done():
			return
		}
		end, ok := c.begin()
		if !ok {
			return // nobody is there to be told
		}
		defer end()
		answer, err := w.answer()
		if err != nil {
			c.hub.mu.Lock()
			if c.catalogue == w {
				c.unwatch()
			}
			c.hub.mu.Unlock()
			ack.refuse(err)
			return
		}
		if ack != nil {
			ack(answer)
		}
		c.hub.mu.Lock()
		w.answered = true
		c.hub.mu.Unlock()
	})
}

// watch replaces the client's watcher.
func (c *Client) watch(selectors []selector) (*watcher, error) {
	h := c.hub
	key, cost := "", 0
	for _, s := range selectors {
		key += s.canonical + "\n"
		cost += s.cost
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	c.unwatch()
	if c.closed || h.closed {
		return nil, &wire.Error{Code: wire.CodeNotReady, Message: "the connection or the server is closing"}
	}
	if err := c.affords(cost); err != nil {
		return nil, err
	}
	f := h.feeds[key]
	if f == nil {
		if len(h.feeds) >= maxFeeds || cost > 0 && h.searchCost+cost > maxSearchCost {
			return nil, &wire.Error{Code: wire.CodeOverloaded, Message: "the server has too many catalogues with different selectors; ask for all series, or try again later"}
		}
		f = &feed{key: key, ready: make(chan struct{}), watchers: map[*watcher]struct{}{}}
		f.search = newSearch(f, selectors, 0)
		h.feeds[key] = f
		h.beginSearch(f.search)
	}
	w := &watcher{client: c, feed: f}
	f.watchers[w] = struct{}{}
	c.catalogue = w
	h.metrics.feeds.Set(float64(len(h.feeds)))
	return w, nil
}

// unwatch ends the client's watching. The caller holds h.mu.
func (c *Client) unwatch() {
	if c.catalogue == nil {
		return
	}
	h, f := c.hub, c.catalogue.feed
	delete(f.watchers, c.catalogue)
	if len(f.watchers) == 0 {
		h.endSearch(f.search)
		if !isClosed(f.ready) {
			close(f.ready)
		}
		delete(h.feeds, f.key)
		h.metrics.feeds.Set(float64(len(h.feeds)))
	}
	c.catalogue = nil
}

// answer returns w's answer, encoded, once its feed is ready.
func (w *watcher) answer() ([]byte, error) {
	h, f := w.client.hub, w.feed
	// One list is made at a time, so that lists take no more than one processor.
	select {
	case h.listing <- struct{}{}:
		defer func() { <-h.listing }()
	case <-h.ctx.Done():
		return nil, &wire.Error{Code: wire.CodeNotReady, Message: "the server is stopping"}
	}
	h.mu.Lock()
	current, state, told, answer := w.client.catalogue == w, f.search.state, f.told, f.answer
	h.mu.Unlock()
	switch {
	case !current:
		return nil, &wire.Error{Code: wire.CodeOverloaded, Message: "the catalogue was asked for anew before this answer was ready"}
	case state == ended:
		return nil, tooSlow()
	case answer != nil:
		return answer, nil
	}
	answer = h.list(f)
	h.mu.Lock()
	defer h.mu.Unlock()
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
func (h *Hub) list(f *feed) []byte {
	found := []labels.Labels{}
	for slot, more := uint32(0), true; more; slot += pieceOf {
		h.mu.Lock()
		more = h.index.eachSlot(slot, func(s *series) {
			if f.search.found.has(s.slot) {
				found = append(found, s.labels)
			}
		})
		h.mu.did(pieceOf)
		h.mu.Unlock()
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

// tellCatalogue sends what has come and gone since the last time, encoded once
// for all who watch the same. Who does not read is told later.
func (h *Hub) tellCatalogue() {
	type letter struct {
		news catalogueNews
		to   []*watcher
	}
	h.mu.Lock()
	feeds := slices.Collect(maps.Values(h.feeds))
	h.mu.Unlock()
	for _, f := range feeds {
		var letters []letter
		h.mu.Lock()
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
		h.mu.did(len(f.watchers))
		if news.added >= maxCatalogue {
			h.wakeMatcher() // the feed was full
		}
		h.mu.Unlock()
		if !news.empty() && len(common.to) > 0 {
			letters = append(letters, common)
		}
		for _, l := range letters {
			h.send(l.news, l.to)
		}
	}
}

// send tells watchers of news.
func (h *Hub) send(news catalogueNews, to []*watcher) {
	p := h.encode(wire.EventCatalogue, news.message())
	for _, w := range to {
		if w.client.conn.Write(p) {
			continue
		}
		h.mu.Lock()
		w.missed.merge(news) // this goroutine alone tells: nothing has been missed since
		h.mu.Unlock()
	}
}
