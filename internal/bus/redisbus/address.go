package redisbus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Timeouts of one connection, unless the URL sets its own. Reading is allowed
// this much beyond the time that a command blocks in Redis.
const (
	dialTimeout  = 2 * time.Second
	readTimeout  = 3 * time.Second
	writeTimeout = 3 * time.Second
)

// address is where Redis is.
type address struct {
	name string // for messages: without user and password
	// open returns a new client, and how to get from it to the master that holds
	// the stream. Each link has a client of its own: closing it is the only way to
	// end a command that blocks, and a new one asks the sentinels, or the
	// cluster, anew where the master is.
	open        func() (io.Closer, func(ctx context.Context) (*redis.Client, error))
	readTimeout time.Duration
}

// CheckURL returns what is wrong with Options.URL, without a word of its password.
func CheckURL(raw string) error {
	_, err := parseAddress(raw, "")
	return err
}

// parseAddress reads the URL forms of Options.URL. key is the stream's.
//
// Its errors hold nothing that could be a part of a password: url.Parse quotes
// what it cannot read, and a password with an unescaped "/", "?" or "#" ends up
// in what looks like a port, a path or a query.
func parseAddress(raw, key string) (*address, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || strings.Contains(u.EscapedPath()+u.RawQuery+u.EscapedFragment(), "@") {
		return nil, errors.New(`bus URL: not of the form redis://[user:password@]host[:port][/db]; write special characters of the password as %XX`)
	}
	scheme, kind, _ := strings.Cut(u.Scheme, "+")
	if scheme != "redis" && scheme != "rediss" && u.Scheme != "unix" {
		return nil, fmt.Errorf("bus URL: scheme %q is none of redis, rediss, unix, redis+sentinel, rediss+sentinel, redis+cluster, rediss+cluster", u.Scheme)
	}
	u.Scheme = scheme
	a := &address{name: u.Host + u.Path}
	switch kind {
	case "":
		err = a.single(u.String())
	case "sentinel":
		if u.Port() == "" {
			u.Host += ":26379"
		}
		err = a.sentinel(u.String())
	case "cluster":
		err = a.cluster(u.String(), key)
	default:
		return nil, fmt.Errorf("bus URL: redis+%s is neither redis+sentinel nor redis+cluster", kind)
	}
	if err != nil {
		return nil, fmt.Errorf("bus URL: %w", err)
	}
	return a, nil
}

func (a *address) single(url string) error {
	o, err := redis.ParseURL(url)
	if err != nil {
		return err
	}
	o.MaxRetries = -1 // a timed-out XADD may have been carried out; a Conn does not repeat it either, today
	o.DialerRetries = 1
	o.PoolSize = 2
	o.PipelinePoolSize = -1
	o.Protocol = 2 // without the third version's pushes there is nothing to look for before each command
	o.DisableIdentity = true
	o.ContextTimeoutEnabled = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	a.timeouts(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout)
	a.open = func() (io.Closer, func(context.Context) (*redis.Client, error)) {
		c := redis.NewClient(o)
		return c, func(context.Context) (*redis.Client, error) { return c, nil }
	}
	return nil
}

func (a *address) sentinel(url string) error {
	o, err := redis.ParseFailoverURL(url)
	if err != nil {
		return err
	}
	if o.MasterName == "" {
		return errors.New("redis+sentinel needs ?master_name=")
	}
	o.MaxRetries = -1
	o.DialerRetries = 1
	o.PoolSize = 2
	o.Protocol = 2
	o.DisableIdentity = true
	o.ContextTimeoutEnabled = true
	a.timeouts(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout)
	a.open = func() (io.Closer, func(context.Context) (*redis.Client, error)) {
		c := redis.NewFailoverClient(o)
		return c, func(context.Context) (*redis.Client, error) { return c, nil }
	}
	return nil
}

func (a *address) cluster(url, key string) error {
	o, err := redis.ParseClusterURL(url)
	if err != nil {
		return err
	}
	o.MaxRetries, o.MaxRedirects = -1, -1
	o.DialerRetries = 1
	o.PoolSize = 2
	o.Protocol = 2
	o.DisableIdentity = true
	o.ContextTimeoutEnabled = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	a.timeouts(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout)
	a.open = func() (io.Closer, func(context.Context) (*redis.Client, error)) {
		c := redis.NewClusterClient(o)
		return c, func(ctx context.Context) (*redis.Client, error) { return c.MasterForKey(ctx, key) }
	}
	return nil
}

// timeouts sets those that the URL did not.
func (a *address) timeouts(dial, read, write *time.Duration) {
	if *dial == 0 {
		*dial = dialTimeout
	}
	if *read <= 0 { // without one, a host that vanished would hold a link for ever
		*read = readTimeout
	}
	if *write <= 0 {
		*write = writeTimeout
	}
	a.readTimeout = *read
}
