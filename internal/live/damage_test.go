package live

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/store"
	"stripchart/internal/wire"
)

func TestWhatDamageCostTheStoreIsADeclaredGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemStore()
		now := ms()
		a, b, gone := seriesLabels(0, 0), seriesLabels(0, 1), seriesLabels(0, 2)
		if err := s.Append([]store.Row{
			{Labels: a, Samples: []bus.Sample{{T: now - 1000, V: 1}}}, {Labels: b, Samples: []bus.Sample{{T: now - 1000, V: 1}}},
		}); err != nil {
			t.Fatal(err)
		}
		// Found when it was opened: of all series, and of one.
		s.losses = []store.Loss{
			{From: now - 9000, To: now - 8000},
			{From: now - 7000, To: now - 6000, Series: []labels.Labels{a}},
		}
		// Met when it is read: of one that is here, and of one of which nothing is left.
		s.missing = []store.Loss{
			{From: now - 5000, To: now - 4000, Series: []labels.Labels{b}},
			{From: now - 3000, To: now - 2000, Series: []labels.Labels{gone}},
		}
		s.empty = []labels.Labels{gone}
		alone(t, s, func(_ bus.Bus, h *Hub) {
			page := &stub{}
			c := h.NewClient(page)
			defer c.Close()
			c.Subscribe(json.RawMessage(`{"query":"m","window":100}`), nil)
			time.Sleep(time.Second)
			want := map[int64]int{now - 9000: 3, now - 7000: 1, now - 5000: 1, now - 3000: 1} // series, by where it begins
			for _, g := range told(t, page) {
				if g.Reason != wire.GapDamaged || len(g.IDs) != want[g.From] {
					t.Errorf("told of %+v, want %d series", g, want[g.From])
				}
				delete(want, g.From)
			}
			if len(want) > 0 {
				t.Errorf("not told of %v", want)
			}
			answered := make(chan []byte, 1)
			c.History(json.RawMessage(fmt.Sprintf(`{"query":"m","from":%d,"to":%d}`, now-20_000, now)), func(b []byte) { answered <- b })
			var m wire.HistoryAnswer
			if err := json.Unmarshal(<-answered, &m); err != nil || len(m.Gaps) != 4 {
				t.Errorf("a history is answered with the gaps %v, %v", m.Gaps, err)
			}
		})
		if len(s.Losses()) > 0 {
			t.Error("the store still keeps the losses")
		}
		if b, _ := s.Kept(store.Gaps); b == nil {
			t.Error("the gaps are not saved")
		}
	})
}
