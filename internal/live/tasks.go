package live

import (
	"context"
	"sync"
)

// tasks are the goroutines of a hub, but for Run's own. recent.mu guards closed.
type tasks struct {
	ctx     context.Context // ends with close
	cancel  context.CancelFunc
	closed  bool
	running sync.WaitGroup
}

func newTasks() *tasks {
	t := &tasks{}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

// start runs f in a goroutine that wait waits for. It does nothing once t is closed. The caller
// holds recent.mu.
func (t *tasks) start(f func()) {
	if !t.closed {
		t.running.Go(f)
	}
}

// close lets no more goroutines start. The caller holds recent.mu.
func (t *tasks) close() { t.closed = true }

// wait has every goroutine end, and waits for them.
func (t *tasks) wait() {
	t.cancel()
	t.running.Wait()
}
