package socketio

import "time"

// slowedFor is how long a connection may exceed its rate of messages. Until then it is
// slowed down; after that it is closed. Its client waits for acknowledgements, and at most
// PingTimeout for heartbeats.
const slowedFor = 10 * time.Second

// slowedFor is the package's, or half of PingTimeout if that is less.
func (c Config) slowedFor() time.Duration { return min(slowedFor, c.PingTimeout/2) }

// bucket limits the rate of messages: it holds up to two seconds' worth.
type bucket struct {
	used  float32 // messages not yet worn off
	last  int64   // Unix nanoseconds
	above int64   // when the bucket was full for the first time since it was half empty, Unix nanoseconds; 0: it was not full since
}

// take counts one message. If the rate exceeds perSecond in the long run, it returns how
// long to wait before the next attempt, or errRate if the bucket has not been half empty
// for longer than limit.
func (b *bucket) take(now time.Time, perSecond int, limit time.Duration) (wait time.Duration, err error) {
	t, rate := now.UnixNano(), float32(perSecond)
	if elapsed := t - b.last; elapsed > 0 {
		b.used = max(0, b.used-float32(float64(elapsed)/1e9*float64(perSecond)))
		b.last = t
	}
	if b.used <= rate {
		b.above = 0
	}
	if b.used+1 <= 2*rate {
		b.used++
		return 0, nil
	}
	switch {
	case b.above == 0:
		b.above = t
	case t-b.above > int64(limit):
		return 0, errRate
	}
	// Until a quarter of a second's worth is free: one wake-up for many messages.
	excess := b.used + max(1, rate/4) - 2*rate
	return time.Duration(float64(excess) / float64(rate) * 1e9), nil
}

// takeTurn counts a message against the client's budget, and waits while the budget is
// used up. Meanwhile no more is read from the client, and the client's own queue fills up.
// It returns errRate when the client has sent too much for too long.
func (c *Conn) takeTurn() error {
	cfg := &c.server.cfg
	for slowed := false; ; slowed = true {
		c.app.Lock()
		wait, err := c.rate.take(time.Now(), cfg.EventsPerSecond, cfg.slowedFor())
		c.app.Unlock()
		if err != nil || wait <= 0 || c.closing() {
			return err
		}
		if !slowed {
			c.server.count.slowed.Add(1)
		}
		// The pong may be among the bytes that were not read yet.
		c.server.heartbeat.extend(c)
		time.Sleep(wait)
	}
}
