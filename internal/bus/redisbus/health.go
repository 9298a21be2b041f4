package redisbus

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"stripchart/internal/bus"
)

// Status says whether Redis is there.
type Status struct {
	// Connected is true while every part of the bus that talks to Redis (the
	// writer, each Tail, End and trimming) can; false before the first has.
	Connected bool
	// Since is when Connected last changed; at first, when the bus was opened.
	Since time.Time
	// Err is why it is not connected; nil while it is, and before the first try.
	Err error
}

// Each kind of trouble, by what is to be done about it, is logged when it begins,
// and again at the earliest after these: one that comes and goes with every try,
// and one that is there at every try.
const (
	quietAway    = time.Minute
	quietRefused = 10 * time.Minute
)

// health joins what the parts of the bus see into one state, so that a Redis
// that is away for a minute is two lines in the log and not two for every part
// and try.
type health struct {
	log *slog.Logger

	mu     sync.Mutex // guards everything below
	status Status
	down   map[*part]error
	losses int // links that were lost
	told   map[string]time.Time
	isTold bool // that Redis is away, as it is now
}

// part is one user of Redis.
type part struct {
	health *health
	linked bool // had a link already
}

func newHealth(log *slog.Logger) *health {
	return &health{log: log, status: Status{Since: time.Now()}, down: map[*part]error{}, told: map[string]time.Time{}}
}

func (h *health) part() *part { return &part{health: h} }

// up says that the part has a link that works.
func (p *part) up() {
	h := p.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.linked && h.down[p] != nil {
		h.losses++
	}
	p.linked = true
	delete(h.down, p)
	if len(h.down) > 0 || h.status.Connected {
		return
	}
	if h.isTold {
		h.log.Info("Redis is back", "away", time.Since(h.status.Since).Round(time.Millisecond))
	}
	h.isTold = false
	h.status = Status{Connected: true, Since: time.Now()}
}

// lost says why the part has none.
func (p *part) lost(err error) {
	h := p.health
	h.mu.Lock()
	defer h.mu.Unlock()
	h.down[p] = err
	if h.status.Connected {
		h.status = Status{Since: time.Now()}
	}
	h.status.Err = err
	if errors.Is(err, bus.ErrUnusable) {
		return // nobody tries again; who was told says it
	}
	do := toDo(err)
	if last, ok := h.told[do]; ok && (time.Since(last) < quietAway || last.After(h.status.Since)) {
		return
	}
	h.told[do], h.isTold = time.Now(), true
	if do == "" {
		h.log.Warn("Redis is away; trying until it is back", "error", err)
	} else {
		h.log.Warn("Redis cannot be used; trying until it can", "error", err)
	}
}

// refused says what Redis answers over a link that works.
func (p *part) refused(err error) {
	h := p.health
	h.mu.Lock()
	defer h.mu.Unlock()
	key := "refused: " + toDo(err)
	if last, ok := h.told[key]; ok && time.Since(last) < quietRefused {
		return
	}
	h.told[key] = time.Now()
	h.log.Warn("Redis refuses what the bus asks for; trying again", "error", err)
}

// toDo returns the advice of an error, of which there are few.
func toDo(err error) string {
	var t *trouble
	errors.As(err, &t)
	if t == nil {
		return ""
	}
	return t.do
}

// leave says that the part needs no link any more. The state stays what was last
// seen.
func (p *part) leave() {
	p.health.mu.Lock()
	defer p.health.mu.Unlock()
	delete(p.health.down, p)
}

func (h *health) get() Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.status
}

func (h *health) lossCount() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.losses
}
