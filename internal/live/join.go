package live

import (
	"context"
	"errors"
	"time"

	"stripchart/internal/wire"
)

// join sends v a bootstrap and makes it a newcomer. It runs in a goroutine of its own.
func (v *viewer) join(ack Ack) {
	began := time.Now()
	r, c := v.room, v.client
	if !r.awaitReady() {
		return
	}
	end, ok := c.begin()
	if !ok {
		return // nobody is there to be told
	}
	defer end()
	if v.isOver() {
		v.answer(ack)
		return
	}
	b, err := r.shared.bootstrapFor(v)
	if err != nil {
		v.joinFailed(ack, err)
		return
	}
	c.await()
	written := make(chan struct{})
	defer close(written)
	r.recent.Mu.Lock()
	reason, ok := v.beginWriting(written)
	drains, now := r.clients.drains, r.recent.Now()
	r.recent.Mu.Unlock()
	if !ok {
		v.answer(ack) // it has left, or subscribed anew, in the meantime
		return
	}
	packets := r.shared.packets(b, reason, now)
	v.answer(ack)
	ok = c.conn.Write(packets...)
	r.recent.Mu.Lock()
	joined := v.written(b, ok, drains)
	r.recent.Mu.Unlock()
	if joined {
		r.metrics.join.Observe(time.Since(began).Seconds())
	}
}

// answer answers v's Subscribe, if it waits for an answer.
func (v *viewer) answer(ack Ack) {
	if ack != nil {
		ack.answer(v.subscribed())
	}
}

// isOver reports whether v is not joining any more: it has left, or subscribed anew.
func (v *viewer) isOver() bool {
	v.room.recent.Mu.Lock()
	defer v.room.recent.Mu.Unlock()
	return v.state != joining
}

// joinFailed answers v's Subscribe with the error. A viewer that nobody is
// waiting for (it was slow, or is of namespace /) tries again later.
func (v *viewer) joinFailed(ack Ack, err error) {
	r := v.room
	r.recent.Mu.Lock()
	over := v.state != joining
	if !over && ack != nil {
		v.client.drop(v)
	}
	r.recent.Mu.Unlock()
	switch {
	case ack != nil:
		ack.refuse(readFailed(err))
	case !over:
		v.joinLater()
	}
}

// readFailed is what a page is told when a history could not be read.
func readFailed(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return &wire.Error{Code: wire.CodeOverloaded, Message: "the history could not be read in time; try again"}
	}
	return err
}

// joinLater joins again after a second.
func (v *viewer) joinLater() {
	r := v.room
	select {
	case <-r.ctx.Done():
		return
	case <-time.After(time.Second):
	}
	r.recent.Mu.Lock()
	defer r.recent.Mu.Unlock()
	if v.state == joining {
		v.bootstrap(nil)
	}
}
