package live

import "sync"

// line is a connection whose page takes each packet at once, unless it is stalled;
// then packets queue up to a bound.
type line struct {
	client *Client
	take   func(*fakePacket) // called with mu held

	mu      sync.Mutex // guards what follows, and the page
	stalled bool
	ended   bool
	refused bool
	queue   []*fakePacket
	queued  int // bytes
}

const lineBound = 4000 // bytes

// Write implements Conn.
func (l *line) Write(ps ...Packet) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	if l.queued >= lineBound {
		l.refused = true
		return false
	}
	for _, p := range ps {
		f := p.(*fakePacket)
		if !l.stalled {
			l.take(f)
			continue
		}
		l.queue = append(l.queue, f)
		l.queued += len(f.arg)
	}
	return true
}

// Ready implements Conn.
func (l *line) Ready() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	if l.queued >= lineBound {
		l.refused = true
		return false
	}
	return true
}

// stall has the page read nothing any more, or go on.
func (l *line) stall(on bool) {
	l.mu.Lock()
	l.stalled = on
	drained := false
	if !on {
		for _, f := range l.queue {
			l.take(f)
		}
		l.queue, l.queued = nil, 0
		drained, l.refused = l.refused, false
	}
	l.mu.Unlock()
	if drained {
		l.client.Drained()
	}
}

// end ends the connection.
func (l *line) end() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.client.Close()
}
