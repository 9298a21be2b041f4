package redisbus

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// sentinelGrace is how long the other sentinels may take after the first answer.
	sentinelGrace = 300 * time.Millisecond
	// sentinelEvery is how often they are asked while a link is there.
	sentinelEvery = time.Second
)

// sentinels are asked where the master is: all of them, and the newest configuration
// is believed; of several that are equally new, the one that most sentinels name.
//
// A sentinel may be forbidden (by its ACL) to tell how new its configuration is: its
// epoch is 0 then. Where no sentinel tells, the majority of those that are known decides
// whether a master is left: one that was away cannot outvote the others.
//
// The client library's own way is not enough. It takes the first answer, and then one
// sentinel's news; but in the moment of a promotion the others still name the old master.
// A link that is made just then, to a master that hung and is about to go on, would stay
// there until the sentinels have made that a replica, which takes ten seconds and
// more. All that it acknowledges is thrown away, and it is more than sources send
// again. (Seen: five seconds of a collector's batches became a declared gap.)
type sentinels struct {
	name    string                           // of the master
	at      func(addr string) *redis.Options // of a client of the sentinel there
	master  func(addr string) *redis.Options // of a client of the master there
	known   *nodes
	timeout time.Duration // of a question
}

// told is what a sentinel says.
type told struct {
	addr   string   // the master's
	epoch  uint64   // of the configuration: a later one has a higher number; 0: not told, or the first
	most   bool     // more than half of the known sentinels say so
	others []string // the sentinel's own addresses of the others
}

// open returns what closes everything that a link has of the sentinels, and how it gets
// to the master.
func (s *sentinels) open() (io.Closer, func(context.Context) (*redis.Client, error)) {
	w := &watch{sentinels: s, asked: map[string]*redis.Client{}}
	w.life, w.end = context.WithCancel(context.Background())
	return w, w.follow
}

// watch is what one link has of the sentinels.
type watch struct {
	*sentinels
	life    context.Context // until Close
	end     context.CancelFunc
	looking sync.WaitGroup

	mu    sync.Mutex // guards what follows
	asked map[string]*redis.Client
	found *redis.Client // the master; nil: not yet
}

// follow returns a client of the master, which is closed when there is another one.
func (w *watch) follow(ctx context.Context) (*redis.Client, error) {
	now, err := w.ask(ctx)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.life.Err() != nil {
		return nil, redis.ErrClosed
	}
	w.found = redis.NewClient(w.master(now.addr))
	w.looking.Go(func() { w.look(now) })
	return w.found, nil
}

// look closes the client of the master once the sentinels have another one.
func (w *watch) look(now told) {
	t := time.NewTicker(sentinelEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-w.life.Done():
			return
		}
		next, err := w.ask(w.life)
		if err != nil || next.epoch <= now.epoch && (next.epoch > 0 || !next.most) {
			continue // nobody to ask, or only those who have not heard of it
		}
		if next.addr != now.addr {
			w.mu.Lock()
			defer w.mu.Unlock()
			_ = w.found.Close()
			return
		}
		now = next
	}
}

// ask returns the newest of what the sentinels say, who are given a moment after the
// first has answered.
func (w *watch) ask(ctx context.Context) (best told, err error) {
	var asking sync.WaitGroup
	defer asking.Wait()
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	type answer struct {
		told
		err error
	}
	addrs := w.known.get()
	answers := make(chan answer, len(addrs))
	named := map[string]int{} // how many sentinels say so, by address
	for _, addr := range addrs {
		asking.Go(func() {
			t, err := w.one(ctx, addr)
			answers <- answer{t, err}
		})
	}
	var grace <-chan time.Time
	for waiting := len(addrs); waiting > 0; waiting-- {
		select {
		case a := <-answers:
			switch {
			case a.err != nil && (err == nil || replied(a.err)):
				err = a.err
			case a.err == nil:
				named[a.addr]++
				if best.addr == "" || a.epoch > best.epoch || a.epoch == best.epoch && named[a.addr] > named[best.addr] {
					best = a.told
				}
			}
			if best.addr != "" && grace == nil {
				grace = time.After(sentinelGrace)
			}
		case <-grace:
			waiting = 0
		case <-ctx.Done():
			waiting = 0
		}
	}
	switch {
	case best.addr != "":
		best.most = 2*named[best.addr] > len(addrs)
		w.known.keep(best.others)
		return best, nil
	case err == nil:
		err = ctx.Err()
	}
	return told{}, fmt.Errorf("no sentinel knows the master: %w", err)
}

// one asks one sentinel. While it promotes a replica, the first of the three answers is the
// replica already, and the second has the new configuration's number.
func (w *watch) one(ctx context.Context, addr string) (t told, err error) {
	c, err := w.client(addr)
	if err != nil {
		return t, err
	}
	pipe := c.Pipeline()
	where := pipe.Do(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", w.name)
	master := pipe.Do(ctx, "SENTINEL", "MASTER", w.name)
	others := pipe.Do(ctx, "SENTINEL", "SENTINELS", w.name)
	if _, err = pipe.Exec(ctx); err != nil && where.Err() == nil && where.Val() == nil {
		return t, err // none was sent
	}
	at, err := where.StringSlice()
	if err != nil {
		return t, err
	}
	if len(at) != 2 {
		return t, fmt.Errorf("the sentinel at %s names no address", addr)
	}
	t.addr = net.JoinHostPort(at[0], at[1])
	// A sentinel that may not tell the rest is believed least.
	about, _ := master.StringSlice()
	t.epoch, _ = strconv.ParseUint(field(about, "config-epoch"), 10, 64)
	list, _ := others.Slice()
	for _, other := range list {
		if about, ok := other.([]any); ok {
			var words []string
			for _, word := range about {
				words = append(words, fmt.Sprint(word))
			}
			t.others = append(t.others, net.JoinHostPort(field(words, "ip"), field(words, "port")))
		}
	}
	return t, nil
}

// field finds a value in a list of names and values.
func field(list []string, name string) string {
	if i := slices.Index(list, name); i >= 0 && i+1 < len(list) {
		return list[i+1]
	}
	return ""
}

// client returns that of a sentinel.
func (w *watch) client(addr string) (*redis.Client, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.life.Err() != nil {
		return nil, redis.ErrClosed
	}
	c := w.asked[addr]
	if c == nil {
		c = redis.NewClient(w.at(addr))
		w.asked[addr] = c
	}
	return c, nil
}

// Close ends everything and waits for it.
func (w *watch) Close() error {
	w.end()
	w.mu.Lock()
	if w.found != nil {
		_ = w.found.Close()
	}
	for _, c := range w.asked {
		_ = c.Close()
	}
	w.mu.Unlock()
	w.looking.Wait()
	return nil
}
