package redislink

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"stripchart/internal/bus"
)

// Status says whether Redis can be used.
type Status struct {
	// Connected is true while every Client is connected; false before the first is.
	Connected bool
	// Since is when Connected last changed; at first, when the Redis was made.
	Since time.Time
	// Err is why Connected is false; nil while it is true, and before the first attempt.
	Err error
}

// These are the least times between two log lines of failures with the same hint. Some failures come
// and go with every attempt, others return at every attempt.
const (
	quietAway    = time.Minute
	quietRefused = 10 * time.Minute
)

// health joins the states of all Clients into one, so that a Redis that is away for a
// minute makes two lines in the log, and not two for each Client and attempt.
type health struct {
	address *address
	log     *slog.Logger

	mu         sync.Mutex // guards everything below
	status     Status
	down       map[*Client]error // the Clients that are not connected
	reconnects int
	logged     map[string]time.Time // when a failure was last logged, by its hint
	awayLogged bool                 // the current outage was logged, so its end is logged too
}

// Client is one part of this program that uses Redis: a goroutine or a pool with its own link.
type Client struct {
	health *health
	linked bool // guarded by health.mu: Up was called
}

func newHealth(a *address, log *slog.Logger) *health {
	return &health{address: a, log: log, status: Status{Since: time.Now()}, down: map[*Client]error{}, logged: map[string]time.Time{}}
}

// Up reports that the Client has a working link.
func (c *Client) Up() {
	h := c.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.linked && h.down[c] != nil {
		h.reconnects++
	}
	c.linked = true
	delete(h.down, c)
	if len(h.down) > 0 || h.status.Connected {
		return
	}
	if h.awayLogged {
		h.log.Info("Redis is back", "away", time.Since(h.status.Since).Round(time.Millisecond))
	}
	h.awayLogged = false
	h.status = Status{Connected: true, Since: time.Now()}
}

// WasUp reports whether Up was ever called.
func (c *Client) WasUp() bool {
	c.health.mu.Lock()
	defer c.health.mu.Unlock()
	return c.linked
}

// Down reports that the Client has no working link, and why.
func (c *Client) Down(err error) {
	h := c.health
	err = h.address.explain(err, false)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.down[c] = err
	if h.status.Connected {
		h.status = Status{Since: time.Now()}
	}
	h.status.Err = err
	if errors.Is(err, bus.ErrUnusable) {
		return // the caller stops and reports it
	}
	hint := hintOf(err)
	if last, ok := h.logged[hint]; ok && (time.Since(last) < quietAway || last.After(h.status.Since)) {
		return
	}
	h.logged[hint], h.awayLogged = time.Now(), true
	if hint == "" {
		h.log.Warn("Redis is away; trying until it is back", "error", err)
	} else {
		h.log.Warn("Redis cannot be used; trying until it can", "error", err)
	}
}

// Refused reports that Redis refused a command over a working link.
func (c *Client) Refused(err error) {
	h := c.health
	err = h.address.explain(err, false)
	h.mu.Lock()
	defer h.mu.Unlock()
	key := "refused: " + hintOf(err)
	if last, ok := h.logged[key]; ok && time.Since(last) < quietRefused {
		return
	}
	h.logged[key] = time.Now()
	h.log.Warn("Redis refuses a command of the bus; trying again", "error", err)
}

// Leave reports that the Client needs no link any more. Status does not change.
func (c *Client) Leave() {
	c.health.mu.Lock()
	defer c.health.mu.Unlock()
	delete(c.health.down, c)
}

func (h *health) get() Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.status
}

func (h *health) reconnectCount() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reconnects
}
