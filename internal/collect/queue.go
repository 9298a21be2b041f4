package collect

import (
	"context"
	"slices"
	"sync"

	"stripchart/internal/bus"
)

// The bounds of the queue between measuring and publishing, by bus.Batch.Size.
// At 100 series and one batch a second they hold about five minutes.
const (
	maxQueuedBatches = 1000
	maxQueuedBytes   = 4 << 20
)

// queue holds the batches that were measured and are not yet published, oldest
// first. When it is full the oldest is dropped: live viewers want the newest samples, and
// the source must not fall behind further.
type queue struct {
	wake   chan struct{} // capacity 1: something was pushed
	closed chan struct{}

	mu       sync.Mutex // guards what follows
	batches  []*bus.Batch
	bytes    int
	inFlight bool   // batches[0] is being published and cannot be dropped now
	lost     uint64 // dropped since the queue was last empty
}

func newQueue() *queue {
	return &queue{wake: make(chan struct{}, 1), closed: make(chan struct{})}
}

// push appends b and drops what no longer fits, but never b itself. It returns
// how many were dropped by this call, and how many since the queue was last
// empty.
func (q *queue) push(b *bus.Batch) (dropped int, lost uint64) {
	q.mu.Lock()
	q.batches = append(q.batches, b)
	q.bytes += b.Size()
	oldest := 0
	if q.inFlight {
		oldest = 1
	}
	for len(q.batches) > oldest+1 && (len(q.batches) > maxQueuedBatches || q.bytes > maxQueuedBytes) {
		q.remove(oldest)
		dropped++
	}
	q.lost += uint64(dropped)
	lost = q.lost
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return dropped, lost
}

// take waits for the oldest batch and leaves it in the queue, safe from being
// dropped, until putBack or done. It returns nil when the queue is closed and
// empty, or ctx has ended.
func (q *queue) take(ctx context.Context) *bus.Batch {
	for ctx.Err() == nil {
		// closed is read before the batches, so that every batch that was pushed before close is seen.
		closed := q.isClosed()
		q.mu.Lock()
		if len(q.batches) > 0 {
			q.inFlight = true
			b := q.batches[0]
			q.mu.Unlock()
			return b
		}
		q.mu.Unlock()
		if closed {
			return nil
		}
		select {
		case <-q.wake:
		case <-q.closed:
		case <-ctx.Done():
		}
	}
	return nil
}

// putBack says that the batch which take returned was not published.
func (q *queue) putBack() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inFlight = false
}

// done removes the batch which take returned. If that leaves the queue empty,
// an episode of dropping is over and lost is how many it cost; otherwise lost
// is 0.
func (q *queue) done() (lost uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inFlight = false
	q.remove(0)
	if len(q.batches) > 0 {
		return 0
	}
	lost, q.lost = q.lost, 0
	return lost
}

// remove removes batch i. The caller holds mu.
func (q *queue) remove(i int) {
	q.bytes -= q.batches[i].Size()
	q.batches = slices.Delete(q.batches, i, i+1)
}

// close ends the pushing. It is called once.
func (q *queue) close() { close(q.closed) }

func (q *queue) isClosed() bool {
	select {
	case <-q.closed:
		return true
	default:
		return false
	}
}

// held returns the number of batches in the queue and about how many bytes they
// occupy.
func (q *queue) held() (batches, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.batches), q.bytes
}
