package live

import (
	"encoding/json"
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/wire"
)

// maxCatalogue bounds the series of one answer or event.
const maxCatalogue = 10_000

// maxMatch bounds the selectors of one catalogue.
const maxMatch = 32

// watcher is a client that is told when series come and go. Guarded by Hub.mu.
type watcher struct {
	client      *Client
	selectors   []selector // none: every series
	added, gone []labels.Labels
}

func (w *watcher) wants(ls labels.Labels) bool {
	return len(w.selectors) == 0 || slices.ContainsFunc(w.selectors, func(s selector) bool { return matches(s.matchers, ls) })
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
	w := &watcher{client: c}
	for _, query := range m.Match {
		sel, err := parseSelector(query)
		if err != nil {
			ack.refuse(err)
			return
		}
		w.selectors = append(w.selectors, sel)
	}
	ack.answer(c.watch(w))
}

// watch replaces the client's watcher and returns what it sees now.
func (c *Client) watch(w *watcher) wire.CatalogueAnswer {
	h := c.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.catalogue != nil {
		delete(h.watchers, c.catalogue)
	}
	if !c.closed {
		c.catalogue = w
		h.watchers[w] = struct{}{}
	}
	answer := wire.CatalogueAnswer{OK: true, Series: []labels.Labels{}}
	for _, s := range h.index.byKey {
		if w.wants(s.labels) {
			answer.Series = append(answer.Series, s.labels)
		}
	}
	slices.SortFunc(answer.Series, labels.Compare)
	if len(answer.Series) > maxCatalogue {
		answer.Series, answer.Truncated = answer.Series[:maxCatalogue], true
	}
	return answer
}

// catalogueAdd notes a new series for those who watch. The caller holds h.mu.
func (h *Hub) catalogueAdd(ls labels.Labels) {
	for w := range h.watchers {
		if len(w.added) < maxCatalogue && w.wants(ls) {
			w.added = append(w.added, ls)
		}
	}
}

// catalogueGone notes a series that was forgotten. The caller holds h.mu.
func (h *Hub) catalogueGone(ls labels.Labels) {
	for w := range h.watchers {
		if len(w.gone) < maxCatalogue && w.wants(ls) {
			w.gone = append(w.gone, ls)
		}
	}
}

// tellCatalogue sends what has come and gone since the last time. One whose
// queue is full is told later.
func (h *Hub) tellCatalogue() {
	type news struct {
		watcher *watcher
		change  wire.CatalogueChange
	}
	var all []news
	h.mu.Lock()
	for w := range h.watchers {
		if len(w.added)+len(w.gone) > 0 {
			all = append(all, news{w, wire.CatalogueChange{Added: w.added, Gone: w.gone}})
			w.added, w.gone = nil, nil
		}
	}
	h.mu.Unlock()
	for _, n := range all {
		if n.watcher.client.conn.Write(h.encode(wire.EventCatalogue, n.change)) {
			continue
		}
		h.mu.Lock()
		n.watcher.added = append(n.change.Added, n.watcher.added...)
		n.watcher.gone = append(n.change.Gone, n.watcher.gone...)
		h.mu.Unlock()
	}
}
