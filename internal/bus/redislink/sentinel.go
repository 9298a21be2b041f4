package redislink

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
	// sentinelGrace is how long the other sentinels may take after the first reply.
	sentinelGrace = 300 * time.Millisecond
	// sentinelEvery is how often the sentinels are asked while a link is in use.
	sentinelEvery = time.Second
)

// sentinels finds the master by asking all sentinels. The reply with the newest
// configuration wins; among equally new ones, the master that most sentinels name.
//
// The ACL of a sentinel may forbid the command that reports the configuration's epoch; the epoch is 0
// then. Where no sentinel reports an epoch, a link is given up only when more than half of the known
// sentinels name another master, so a single sentinel that was away and has old information cannot end
// a link.
//
// The client library's own search is not enough. It takes the first reply, and then follows the events
// of one sentinel; but at the moment of a promotion the other sentinels still name the old master.
// Suppose that the old master hung and is about to continue. A link that is made at that moment would
// stay with the old master until the sentinels have made it a replica, ten seconds or more later. Every
// batch that the old master acknowledges until then is discarded, and that is more than sources send
// again. (Seen: five seconds of a collector's batches became a declared gap.)
type sentinels struct {
	name    string                           // of the master
	at      func(addr string) *redis.Options // for a client of the sentinel at addr
	master  func(addr string) *redis.Options // for a client of the master at addr
	known   *nodes
	timeout time.Duration // of one round of requests
}

// report is the reply of one sentinel.
type report struct {
	addr     string   // of the master
	epoch    uint64   // of the configuration; higher is newer; 0: not reported, or the first
	majority bool     // more than half of the known sentinels name addr
	others   []string // addresses of the other sentinels
}

// open returns a new watch: to be closed with the link, and to find the master for it.
func (s *sentinels) open() (io.Closer, func(context.Context) (*redis.Client, error)) {
	w := &watch{sentinels: s, asked: map[string]*redis.Client{}}
	w.life, w.end = context.WithCancel(context.Background())
	return w, w.follow
}

// watch is one link's connections to the sentinels.
type watch struct {
	*sentinels
	life    context.Context // until Close
	end     context.CancelFunc
	looking sync.WaitGroup // the goroutine of look

	mu    sync.Mutex               // guards what follows
	asked map[string]*redis.Client // clients of sentinels, by address
	found *redis.Client            // client of the master; nil: not found yet
}

// follow returns a client of the master, and closes it when the sentinels name another.
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

// look closes the client of the master once the sentinels name another.
func (w *watch) look(now report) {
	t := time.NewTicker(sentinelEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-w.life.Done():
			return
		}
		next, err := w.ask(w.life)
		if err != nil || next.epoch <= now.epoch && (next.epoch > 0 || !next.majority) {
			continue // no sentinel replied, or none with newer information
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

// ask returns the sentinels' newest report. After the first reply the others have
// sentinelGrace.
func (w *watch) ask(ctx context.Context) (best report, err error) {
	var asking sync.WaitGroup
	defer asking.Wait()
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	type reply struct {
		report
		err error
	}
	addrs := w.known.get()
	replies := make(chan reply, len(addrs))
	votes := map[string]int{} // how many sentinels name a master, by its address
	for _, addr := range addrs {
		asking.Go(func() {
			r, err := w.one(ctx, addr)
			replies <- reply{r, err}
		})
	}
	var grace <-chan time.Time
	for waiting := len(addrs); waiting > 0; waiting-- {
		select {
		case r := <-replies:
			switch {
			case r.err != nil && (err == nil || Replied(r.err)):
				err = r.err
			case r.err == nil:
				votes[r.addr]++
				if best.addr == "" || r.epoch > best.epoch || r.epoch == best.epoch && votes[r.addr] > votes[best.addr] {
					best = r.report
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
		best.majority = 2*votes[best.addr] > len(addrs)
		w.known.set(best.others)
		return best, nil
	case err == nil:
		err = ctx.Err()
	}
	return report{}, fmt.Errorf("no sentinel knows the master: %w", err)
}

// one asks one sentinel. While the sentinel promotes a replica, the first of the three
// replies is already the replica, and the second has the new configuration's epoch.
func (w *watch) one(ctx context.Context, addr string) (r report, err error) {
	c, err := w.client(addr)
	if err != nil {
		return r, err
	}
	pipe := c.Pipeline()
	where := pipe.Do(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", w.name)
	master := pipe.Do(ctx, "SENTINEL", "MASTER", w.name)
	others := pipe.Do(ctx, "SENTINEL", "SENTINELS", w.name)
	if _, err = pipe.Exec(ctx); err != nil && where.Err() == nil && where.Val() == nil {
		return r, err // no command was sent
	}
	at, err := where.StringSlice()
	if err != nil {
		return r, err
	}
	if len(at) != 2 {
		return r, fmt.Errorf("the sentinel at %s names no address", addr)
	}
	r.addr = net.JoinHostPort(at[0], at[1])
	// A sentinel that may not report its epoch counts as the oldest.
	about, _ := master.StringSlice()
	r.epoch, _ = strconv.ParseUint(field(about, "config-epoch"), 10, 64)
	list, _ := others.Slice()
	for _, other := range list {
		if about, ok := other.([]any); ok {
			var words []string
			for _, word := range about {
				words = append(words, fmt.Sprint(word))
			}
			r.others = append(r.others, net.JoinHostPort(field(words, "ip"), field(words, "port")))
		}
	}
	return r, nil
}

// field returns the value behind name in a list of names and values; "" if there is none.
func field(list []string, name string) string {
	if i := slices.Index(list, name); i >= 0 && i+1 < len(list) {
		return list[i+1]
	}
	return ""
}

// client returns the client of the sentinel at addr.
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

// Close closes all clients and waits for look.
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
