package live

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/wire"
)

// A room is of its query and of what its viewers may see. Clients of equal bounds share rooms, in any
// spelling, also with a page whose query says the same; a client of other bounds never enters them.
func TestClientsOfEqualBoundsShareTheirRoomsAndOthersDoNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		b := &bus.Batch{Sequence: bus.Sequence{Source: "0", Seq: 1}}
		for _, room := range []string{"lab", "vault"} {
			b.Series = append(b.Series, bus.Series{Labels: labels.FromStrings("__name__", "m", "room", room), Samples: []bus.Sample{{T: ms(), V: 1}}})
		}
		if err := r.bus.Publish(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		in := func(room string) *labels.Matcher { return labels.MustNewMatcher(labels.MatchEqual, "room", room) }
		subscribe := func(query string, bound ...*labels.Matcher) wire.Subscribed {
			c := r.hub.NewClient(&stub{}, bound...)
			t.Cleanup(c.Close)
			answers := make(chan []byte, 1)
			arg, _ := json.Marshal(wire.Subscribe{Query: query}) // of text, it cannot fail
			c.Subscribe(arg, func(b []byte) { answers <- b })
			var got wire.Subscribed
			decodeStub(t, <-answers, &got)
			return got
		}
		lab := subscribe(`m`, in("lab"))
		for name, other := range map[string]wire.Subscribed{
			"the same bound": subscribe(`{__name__="m"}`, in("lab")),
			"a query of it":  subscribe(`m{room="lab"}`),
			"both":           subscribe(`m{room="lab"}`, in("lab")),
		} {
			if other.Room != lab.Room || other.Matched != 1 {
				t.Errorf("%s: %+v, and not %+v", name, other, lab)
			}
		}
		for name, c := range map[string]struct {
			got     wire.Subscribed
			matched int
		}{
			"no bound":      {subscribe(`m`), 2},
			"another bound": {subscribe(`m`, in("vault")), 1},
			"what is out":   {subscribe(`m{room="vault"}`, in("lab")), 0},
		} {
			if c.got.Room == lab.Room || c.got.Matched != c.matched {
				t.Errorf("%s: %+v", name, c.got)
			}
		}
	})
}

// The error of a query is about the query, and never quotes the bound.
func TestARefusedQueryDoesNotTellTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemStore(), nil)
		defer r.stop()
		c := r.hub.NewClient(&stub{}, labels.MustNewMatcher(labels.MatchEqual, "room", "lab"))
		defer c.Close()
		for _, query := range []string{"", "{", "sum(m)", `m{a=~"("}`, strings.Repeat("x", maxQueryBytes+1)} {
			arg, _ := json.Marshal(wire.Subscribe{Query: query}) // of text, it cannot fail
			c.Subscribe(arg, func(b []byte) {
				if !strings.Contains(string(b), `"ok":false`) || strings.Contains(string(b), "lab") {
					t.Errorf("%.40q: %s", query, b)
				}
			})
		}
	})
}
