package redislink

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9/logging"
)

// Redis is one Redis, behind one URL, for one program. All methods may be called from
// any goroutine.
type Redis struct {
	address    *address
	log        *slog.Logger
	health     *health
	connected  atomic.Bool // a Dial has succeeded
	policySeen atomic.Bool // warnOfEviction has read maxmemory-policy
}

// New returns the Redis at url; see the package comment for the forms. key is the key
// that decides which node of a cluster is dialled. It only checks url: Redis may be
// away. log gets one line for each kind of failure and one when Redis is back.
func New(url, key string, log *slog.Logger) (*Redis, error) {
	a, err := parseAddress(url, key)
	if err != nil {
		return nil, err
	}
	logging.Disable() // the client library writes a line to standard error for each attempt to connect
	return &Redis{address: a, log: log, health: newHealth(a, log)}, nil
}

// CheckURL returns what is wrong with a URL, without any part of its password.
func CheckURL(url string) error {
	_, err := parseAddress(url, "")
	return err
}

// Dial makes a link to the master. Returns ErrOldServer for a server that is too old,
// but only before the first successful Dial.
func (r *Redis) Dial(ctx context.Context) (*Link, error) {
	client, master := r.address.open()
	l := &Link{client: client}
	var hello helloHook
	defer context.AfterFunc(ctx, l.Close)()
	err := func() error {
		node, err := master(ctx)
		if err != nil {
			return err
		}
		node.AddHook(&hello)
		l.Conn = node.Conn()
		if err := l.Check(ctx); err != nil {
			return err
		}
		r.warnOfEviction(ctx, l)
		return nil
	}()
	if err == nil {
		r.connected.Store(true)
		return l, nil
	}
	l.Close()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case hungUp(err) && hello.refusal != nil:
		err = hello.refusal
	case errors.Is(err, ErrOldServer) && r.connected.Load():
		err = errors.New(err.Error()) // the same text, but no ErrOldServer
	}
	return nil, r.address.explain(err, true)
}

// warnOfEviction logs once when Redis may evict the log to make room.
func (r *Redis) warnOfEviction(ctx context.Context, l *Link) {
	if r.policySeen.Load() {
		return
	}
	info, err := l.Conn.Info(ctx, "memory").Result()
	if err != nil {
		return // INFO may be forbidden; everything else works without it
	}
	if policy := infoField(info, "maxmemory_policy"); !r.policySeen.Swap(true) && policy != "" && policy != "noeviction" {
		r.log.Warn("Redis may evict the log when its memory is full; set maxmemory-policy noeviction", "maxmemory_policy", policy)
	}
}

// Explain adds the server's name to err, and what to do about it.
func (r *Redis) Explain(err error) error { return r.address.explain(err, false) }

// ReadTimeout bounds the wait for a reply, beyond the time for which a command blocks
// in Redis.
func (r *Redis) ReadTimeout() time.Duration { return r.address.readTimeout }

// Status returns the joint state of all Clients.
func (r *Redis) Status() Status { return r.health.get() }

// Reconnects returns how often a Client lost its link and got another one.
func (r *Redis) Reconnects() int { return r.health.reconnectCount() }

// Client returns a new Client, which takes part in Status from its first Up or Down to
// its Leave.
func (r *Redis) Client() *Client { return &Client{health: r.health} }
