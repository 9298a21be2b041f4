package collect

import (
	"context"
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
)

// batchOf returns a batch of n series.
func batchOf(seq uint64, n int) *bus.Batch {
	b := &bus.Batch{Sequence: bus.Sequence{Source: "test", Seq: seq}}
	for range n {
		b.Series = append(b.Series, bus.Series{
			Labels:  labels.FromStrings(metricName, "up", "host", "h"),
			Samples: []bus.Sample{{T: int64(seq), V: 1}},
		})
	}
	return b
}

func TestFullQueueDropsTheOldest(t *testing.T) {
	q := newQueue()
	for seq := uint64(1); seq <= maxQueuedBatches+7; seq++ {
		dropped, lost := q.push(batchOf(seq, 1))
		if want := int(max(seq, maxQueuedBatches) - maxQueuedBatches); lost != uint64(want) || dropped != min(1, want) {
			t.Fatalf("push %d dropped %d, %d in all; want %d in all", seq, dropped, lost, want)
		}
	}
	if b := q.take(context.Background()); b.Seq != 8 {
		t.Errorf("the oldest left is %d, want 8", b.Seq)
	}
}

func TestQueueIsBoundedInBytes(t *testing.T) {
	q := newQueue()
	size := batchOf(1, 1000).Size()
	for seq := uint64(1); seq <= 200; seq++ {
		q.push(batchOf(seq, 1000))
		if _, bytes := q.held(); bytes > maxQueuedBytes {
			t.Fatalf("%d bytes are held, at most %d may be", bytes, maxQueuedBytes)
		}
	}
	if n, bytes := q.held(); n != maxQueuedBytes/size || bytes != n*size {
		t.Errorf("holds %d batches in %d bytes, want %d of %d each", n, bytes, maxQueuedBytes/size, size)
	}
}

func TestBatchInFlightAndNewestAreNotDropped(t *testing.T) {
	q := newQueue()
	huge := maxQueuedBytes / 64 // its series alone fill the queue
	q.push(batchOf(1, huge))
	if b := q.take(context.Background()); b.Seq != 1 {
		t.Fatalf("took %d", b.Seq)
	}
	if dropped, _ := q.push(batchOf(2, 1)); dropped != 0 {
		t.Error("dropped the batch in flight, or the newest")
	}
	if dropped, _ := q.push(batchOf(3, 1)); dropped != 1 {
		t.Error("kept a batch for which there is no room")
	}
	q.putBack()
	if dropped, _ := q.push(batchOf(4, 1)); dropped != 1 {
		t.Error("kept the oldest after it was put back")
	}
	for _, want := range []uint64{3, 4} {
		if b := q.take(context.Background()); b.Seq != want {
			t.Errorf("took %d, want %d", b.Seq, want)
		}
		if lost := q.done(); want == 4 && lost != 2 {
			t.Errorf("the episode cost %d batches, want 2", lost)
		}
	}
}

func TestClosedQueueGivesWhatItHolds(t *testing.T) {
	q := newQueue()
	q.push(batchOf(1, 1))
	q.close()
	if b := q.take(context.Background()); b == nil || b.Seq != 1 {
		t.Fatal("a closed queue lost its batch")
	}
	q.done()
	if b := q.take(context.Background()); b != nil {
		t.Fatal("a closed, empty queue gave a batch")
	}
}
