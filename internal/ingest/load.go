package ingest

import "sync"

// load bounds the memory of all requests together. A request that finds no room is told to come again;
// nothing queues.
type load struct {
	maxWrites int
	maxBytes  int64

	mu     sync.Mutex // guards what follows
	writes int        // requests whose body has arrived
	bytes  int64      // of all requests, as far as their bodies have arrived
}

// place is one request's share of the load. It takes what has arrived, not what was
// announced: announcing costs nothing.
type place struct {
	l     *load
	write bool
	bytes int64
}

// grow takes more bytes, if there are.
func (p *place) grow(bytes int64) bool {
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	if p.l.bytes+bytes > p.l.maxBytes {
		return false
	}
	p.l.bytes += bytes
	p.bytes += bytes
	return true
}

// begin takes one of the writes, if there is one.
func (p *place) begin() bool {
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	if p.l.writes >= p.l.maxWrites {
		return false
	}
	p.l.writes++
	p.write = true
	return true
}

// leave gives the place back.
func (p *place) leave() {
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	p.l.bytes -= p.bytes
	if p.write {
		p.l.writes--
	}
}

func (l *load) held() (writes int, bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.writes, l.bytes
}
