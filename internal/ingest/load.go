package ingest

import "sync"

// load counts the requests under way and the bytes that they occupy. Nobody waits
// in it: who does not fit is told to come again, and keeps its own data meanwhile.
type load struct {
	maxWrites int
	maxBytes  int64

	mu     sync.Mutex // guards what follows
	writes int
	bytes  int64
}

// place is one request's share of the load.
type place struct {
	l     *load
	bytes int64
}

// enter takes a place for a request of that many bytes, if there is one.
func (l *load) enter(bytes int64) (*place, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.writes >= l.maxWrites || l.bytes+bytes > l.maxBytes {
		return nil, false
	}
	l.writes++
	l.bytes += bytes
	return &place{l, bytes}, true
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

// leave gives the place back.
func (p *place) leave() {
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	p.l.writes--
	p.l.bytes -= p.bytes
}

func (l *load) held() (writes int, bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.writes, l.bytes
}
