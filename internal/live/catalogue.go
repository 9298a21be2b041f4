package live

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/wire"
)

// maxCatalogue bounds the series of one answer or event.
const maxCatalogue = 10_000

// maxMatch bounds the selectors of one catalogue.
const maxMatch = 32

// feed is the news for all who watch the same selectors. Guarded by Hub.mu.
type feed struct {
	key       string
	selectors []selector // none: every series
	watchers  map[*watcher]struct{}
	news      catalogueNews
}

// watcher is a client that is told when series come and go. Guarded by Hub.mu.
type watcher struct {
	client   *Client
	feed     *feed
	answered bool          // it has the answer that the news are to be added to
	missed   catalogueNews // what its full queue did not take
}

// catalogueNews are series that came and went; none is in both.
type catalogueNews struct{ added, gone []labels.Labels }

func (n *catalogueNews) add(ls labels.Labels)    { n.note(ls, &n.added, &n.gone) }
func (n *catalogueNews) remove(ls labels.Labels) { n.note(ls, &n.gone, &n.added) }

func (n *catalogueNews) note(ls labels.Labels, to, from *[]labels.Labels) {
	*from = slices.DeleteFunc(*from, func(other labels.Labels) bool { return labels.Equal(ls, other) })
	if len(*to) < maxCatalogue {
		*to = append(*to, ls)
	}
}

func (n *catalogueNews) empty() bool { return len(n.added)+len(n.gone) == 0 }

func (f *feed) wants(ls labels.Labels) bool {
	return len(f.selectors) == 0 || slices.ContainsFunc(f.selectors, func(s selector) bool { return matches(s.matchers, ls) })
}

// Catalogue answers with the series there are, and has the client told of
// changes from then on.
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
	w, series := c.watch(selectors)
	slices.SortFunc(series, labels.Compare)
	answer := wire.CatalogueAnswer{OK: true, Series: series}
	if len(series) > maxCatalogue {
		answer.Series, answer.Truncated = series[:maxCatalogue], true
	}
	ack.answer(answer)
	c.hub.mu.Lock()
	w.answered = true
	c.hub.mu.Unlock()
}

// watch replaces the client's watcher, and returns the series there are now, in no
// order.
func (c *Client) watch(selectors []selector) (*watcher, []labels.Labels) {
	h := c.hub
	key := ""
	for _, s := range selectors {
		key += s.canonical + "\n"
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	c.unwatch()
	f := h.feeds[key]
	if f == nil {
		f = &feed{key: key, selectors: selectors, watchers: map[*watcher]struct{}{}}
	}
	w := &watcher{client: c, feed: f}
	if !c.closed {
		h.feeds[key] = f
		f.watchers[w] = struct{}{}
		c.catalogue = w
	}
	series := []labels.Labels{}
	for _, s := range h.index.byKey {
		if f.wants(s.labels) {
			series = append(series, s.labels)
		}
	}
	return w, series
}

// unwatch ends the client's watching. The caller holds h.mu.
func (c *Client) unwatch() {
	if c.catalogue == nil {
		return
	}
	f := c.catalogue.feed
	delete(f.watchers, c.catalogue)
	if len(f.watchers) == 0 {
		delete(c.hub.feeds, f.key)
	}
	c.catalogue = nil
}

// catalogueAdd notes a new series for those who watch. The caller holds h.mu.
func (h *Hub) catalogueAdd(ls labels.Labels) {
	for _, f := range h.feeds {
		if f.wants(ls) {
			f.news.add(ls)
		}
	}
}

// catalogueGone notes a series that was forgotten. The caller holds h.mu.
func (h *Hub) catalogueGone(ls labels.Labels) {
	for _, f := range h.feeds {
		if f.wants(ls) {
			f.news.remove(ls)
		}
	}
}

// tellCatalogue sends what has come and gone since the last time, encoded once
// for all who watch the same. Who does not read is told later.
func (h *Hub) tellCatalogue() {
	type letter struct {
		news catalogueNews
		to   []*watcher
	}
	var letters []letter
	h.mu.Lock()
	for _, f := range h.feeds {
		wait := f.news.empty()
		for w := range f.watchers {
			wait = wait || !w.answered
			if w.answered && !w.missed.empty() {
				letters = append(letters, letter{w.missed, []*watcher{w}})
				w.missed = catalogueNews{}
			}
		}
		if wait {
			continue // the news must not overtake an answer
		}
		letters = append(letters, letter{f.news, slices.Collect(maps.Keys(f.watchers))})
		f.news = catalogueNews{}
	}
	h.mu.Unlock()
	for _, l := range letters {
		p := h.encode(wire.EventCatalogue, wire.CatalogueChange{Added: l.news.added, Gone: l.news.gone})
		for _, w := range l.to {
			if w.client.conn.Write(p) {
				continue
			}
			h.mu.Lock()
			for _, ls := range l.news.added {
				w.missed.add(ls)
			}
			for _, ls := range l.news.gone {
				w.missed.remove(ls)
			}
			h.mu.Unlock()
		}
	}
}
