package live

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/wire"
)

// After a restart a page has the interval from the history. The first entry of the new process,
// before which no interval was measured, does not take it away.
func TestTheFirstEntryAfterARestartLeavesTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemStore()
		r := newRig(t, store, nil)
		write := func(n int) {
			for range n {
				r.put(nil, seriesLabels(0, 0), bus.Sample{T: ms(), V: 1})
				time.Sleep(10 * time.Second)
			}
		}
		write(10)
		r.stop()
		r = newRig(t, store, nil)
		defer r.stop()
		s := &stub{}
		c := r.hub.NewClient(s)
		defer c.Close()
		c.Subscribe(json.RawMessage(`{"query":"m"}`), nil)
		time.Sleep(time.Second)
		write(3)
		updates := s.sent(wire.EventUpdate)
		if len(updates) == 0 {
			t.Fatal("no update was sent")
		}
		for _, b := range updates {
			var m wire.Update
			if err := json.Unmarshal(b, &m); err != nil {
				t.Fatal(err)
			}
			for _, d := range m.Series {
				if d.IntervalMS == 0 {
					t.Errorf("an update says that the interval is unknown: %s", b)
				}
			}
		}
	})
}
