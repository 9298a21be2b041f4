package redislink

import (
	"context"
	"sync"
)

// Pool makes links for short tasks, and keeps at most one that is idle.
type Pool struct {
	redis  *Redis
	client *Client

	mu     sync.Mutex // guards what follows
	idle   *Link      // nil: none
	closed bool
}

// Pool returns a new Pool. It takes part in Status as one Client.
func (r *Redis) Pool() *Pool { return &Pool{redis: r, client: r.Client()} }

// Do calls f with a link, the idle one or a new one. Errors of f and of Dial are
// explained, and counted in Status unless ctx has ended.
func (p *Pool) Do(ctx context.Context, f func(*Link) error) error {
	linked, err := p.do(ctx, f)
	if err == nil {
		p.client.Up()
		return nil
	}
	err = p.redis.Explain(err)
	switch {
	case ctx.Err() != nil:
	case linked && Replied(err) && !WrongServer(err):
		p.client.Refused(err)
	default:
		p.client.Down(err)
	}
	return err
}

// do reports whether there was a link.
func (p *Pool) do(ctx context.Context, f func(*Link) error) (linked bool, err error) {
	l := p.take(ctx)
	if l == nil {
		if l, err = p.redis.Dial(ctx); err != nil {
			return false, err
		}
	}
	stop := context.AfterFunc(ctx, l.Close)
	err = f(l)
	if interrupted := !stop(); interrupted || err != nil || !p.keep(l) {
		l.Close()
	}
	return true, err
}

// take returns the idle link if it still leads to a master; otherwise nil.
func (p *Pool) take(ctx context.Context) *Link {
	p.mu.Lock()
	l := p.idle
	p.idle = nil
	p.mu.Unlock()
	if l == nil {
		return nil
	}
	defer context.AfterFunc(ctx, l.Close)()
	if l.Check(ctx) != nil { // it broke while it was idle
		l.Close()
		return nil
	}
	return l
}

// keep reports whether l is the idle link now.
func (p *Pool) keep(l *Link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.idle != nil {
		return false
	}
	p.idle = l
	return true
}

// Close closes the idle link; links in use are closed when their Do ends.
func (p *Pool) Close() {
	p.mu.Lock()
	l := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	if l != nil {
		l.Close()
	}
}
