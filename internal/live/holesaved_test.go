package live

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/wire"
)

// A source does not write all its series at once: which of them lacked what it lacked is
// found when it writes them, also by the next life of a server.
func TestASeriesThatItsSourceWritesAfterAnotherRestartHasItsGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		seq := uint64(0)
		write := func(seconds int, series ...int) {
			for range seconds {
				seq++
				b := &bus.Batch{Sequence: bus.Sequence{Source: "0", Seq: seq}}
				for _, n := range series {
					b.Series = append(b.Series, bus.Series{Labels: seriesLabels(0, n), Samples: []bus.Sample{{T: ms(), V: 1}}})
				}
				_ = l.Publish(t.Context(), b)
				time.Sleep(time.Second)
			}
		}
		write(10, 0, 1)
		go func() {
			write(5, 0, 1)
			write(1, 0)
			l.trim(1)
		}()
		r.restart(true, 0, 8*time.Second)
		write(3, 0)
		r.restart(true, 0, time.Second)
		write(40, 0, 1)
		c := &stub{}
		client := r.hub.NewClient(c)
		defer client.Close()
		client.Subscribe(json.RawMessage(`{"query":"m{n=\"1\"}","window":3600}`), nil)
		time.Sleep(time.Second)
		if gs := told(t, c); len(gs) != 1 || gs[0].Reason != wire.GapLogTrimmed {
			t.Errorf("told %+v, want one gap", gs)
		}
		r.stop()
	})
}

// A series that began in what was lost and is written again after it: that it may have
// begun there is known to the next life of a server too.
func TestASeriesThatBeganInALossHasItsGapAfterAnotherRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFakeLog()
		r := newReplica(t, l)
		write := func(seconds int, series ...int) {
			for range seconds {
				b := &bus.Batch{}
				for _, n := range series {
					b.Series = append(b.Series, bus.Series{Labels: seriesLabels(0, n), Samples: []bus.Sample{{T: ms(), V: 1}}})
				}
				_ = l.Publish(t.Context(), b)
				time.Sleep(time.Second)
			}
		}
		write(10, 0)
		go func() {
			write(5, 0, 1)
			write(1, 0)
			l.trim(1)
		}()
		r.restart(true, 0, 8*time.Second)
		write(30, 0) // the loss is judged
		r.restart(true, 0, time.Second)
		write(5, 0, 1)
		c := &stub{}
		client := r.hub.NewClient(c)
		defer client.Close()
		client.Subscribe(json.RawMessage(`{"query":"m{n=\"1\"}","window":3600}`), nil)
		time.Sleep(time.Second)
		if gs := told(t, c); len(gs) != 1 || gs[0].Reason != wire.GapLogTrimmed {
			t.Errorf("told %+v, want one gap", gs)
		}
		r.stop()
	})
}
