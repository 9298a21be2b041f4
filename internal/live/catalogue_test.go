package live

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/recent"
	"stripchart/internal/wire"
)

// More series than fit into an event are all told, in several.
func TestCatalogueLosesNoNewSeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		many(t, r, 500)
		known := map[string]bool{}
		s := &stub{}
		c := r.hub.NewClient(s)
		defer c.Close()
		done := make(chan struct{})
		c.Catalogue(json.RawMessage(`{"match":["{host=\"h\"}","{__name__=~\"m.*\"}"]}`), func(b []byte) {
			var a wire.CatalogueAnswer
			decodeStub(t, b, &a)
			for _, ls := range a.Series {
				known[ls.String()] = true
			}
			close(done)
		})
		many(t, r, 3*maxCatalogue)
		<-done
		time.Sleep(10 * time.Second)
		for _, b := range s.sent(wire.EventCatalogue) {
			var m wire.CatalogueChange
			decodeStub(t, b, &m)
			if len(m.Added) > maxCatalogue+recent.PieceOf {
				t.Errorf("%d new series in one event", len(m.Added))
			}
			for _, ls := range m.Added {
				known[ls.String()] = true
			}
		}
		if len(known) != 3*maxCatalogue {
			t.Errorf("the page knows %d series of %d", len(known), 3*maxCatalogue)
		}
	})
}
