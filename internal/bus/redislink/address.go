package redislink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Timeouts of one connection, unless the URL sets others. readTimeout does not include
// the time for which a command blocks in Redis.
const (
	dialTimeout  = 2 * time.Second
	readTimeout  = 3 * time.Second
	writeTimeout = 3 * time.Second
)

// address says how one Redis is reached.
type address struct {
	name string // for messages: without user and password
	kind string // "", sentinel or cluster
	tls  bool
	// open returns a new client, and a function that finds the master with it. Each link
	// has a client of its own: closing the client is the only way to interrupt a blocking
	// command, and a new client asks the sentinels, or the cluster, for the present master.
	open func() (io.Closer, func(ctx context.Context) (*redis.Client, error))

	dialTimeout, readTimeout time.Duration
}

// parseAddress reads the URL forms in the package comment. key decides the node of a
// cluster.
//
// Its errors quote nothing that could be part of a password: url.Parse quotes the text
// that it cannot parse, and a password with an unescaped "/", "?" or "#" ends up in the
// port, the path or the query.
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
	a := &address{name: u.Host + u.Path, kind: kind, tls: scheme == "rediss"}
	dial, err := a.dialer(u)
	if err != nil {
		return nil, fmt.Errorf("bus URL: %w", err)
	}
	switch kind {
	case "":
		err = a.single(u.String(), dial)
	case "sentinel":
		if u.Port() == "" {
			u.Host = net.JoinHostPort(u.Hostname(), "26379")
		}
		err = a.sentinel(u.String(), dial)
	case "cluster":
		if strings.Trim(u.Path, "/0") != "" {
			return nil, errors.New("bus URL: a cluster has no databases but 0; leave the number out")
		}
		err = a.cluster(u.String(), key, dial)
	default:
		return nil, fmt.Errorf("bus URL: redis+%s is neither redis+sentinel nor redis+cluster", kind)
	}
	if err != nil {
		return nil, fmt.Errorf("bus URL: %w", err)
	}
	return a, nil
}

func (a *address) single(url string, dial dialer) error {
	o, err := redis.ParseURL(url)
	if err != nil {
		return err
	}
	a.timeouts(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout)
	fix(o, dial)
	a.open = func() (io.Closer, func(context.Context) (*redis.Client, error)) {
		c := redis.NewClient(o)
		return c, func(context.Context) (*redis.Client, error) { return c, nil }
	}
	return nil
}

// fix sets the options that a URL may not change.
func fix(o *redis.Options, dial dialer) {
	o.MaxRetries = -1 // a timed-out XADD may have been executed: a retry could write it twice
	o.DialerRetries = 1
	o.PoolSize = 2
	o.PipelinePoolSize = -1
	o.Protocol = 2 // RESP3 allows pushes, which the library looks for before each command
	o.DisableIdentity = true
	o.ContextTimeoutEnabled = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	o.Dialer = dial
}

func (a *address) sentinel(url string, dial dialer) error {
	f, err := redis.ParseFailoverURL(url)
	if err != nil {
		return err
	}
	if f.MasterName == "" {
		return errors.New("redis+sentinel needs ?master_name=")
	}
	if f.Username == "" && f.Password == "" {
		f.Username, f.Password = f.SentinelUsername, f.SentinelPassword
	}
	a.timeouts(&f.DialTimeout, &f.ReadTimeout, &f.WriteTimeout)
	options := func(user, password string, db int) func(string) *redis.Options {
		return func(addr string) *redis.Options {
			o := &redis.Options{
				Addr: addr, Username: user, Password: password, DB: db, ClientName: f.ClientName,
				DialTimeout: f.DialTimeout, ReadTimeout: f.ReadTimeout, WriteTimeout: f.WriteTimeout,
			}
			fix(o, dial)
			return o
		}
	}
	s := &sentinels{
		name: f.MasterName, known: &nodes{named: f.SentinelAddrs}, timeout: f.DialTimeout,
		at: options(f.SentinelUsername, f.SentinelPassword, 0), master: options(f.Username, f.Password, f.DB),
	}
	a.open = s.open
	return nil
}

func (a *address) cluster(url, key string, dial dialer) error {
	o, err := redis.ParseClusterURL(url)
	if err != nil {
		return err
	}
	o.MaxRetries, o.MaxRedirects = -1, -1
	o.DialerRetries = 1
	o.PoolSize = 2
	o.PipelinePoolSize = -1
	o.Protocol = 2
	o.DisableIdentity = true
	o.ContextTimeoutEnabled = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	o.Dialer = dial
	a.timeouts(&o.DialTimeout, &o.ReadTimeout, &o.WriteTimeout)
	nodes := &nodes{named: o.Addrs}
	a.open = func() (io.Closer, func(context.Context) (*redis.Client, error)) {
		o := *o
		o.Addrs = nodes.get()
		c := redis.NewClusterClient(&o)
		return c, func(ctx context.Context) (*redis.Client, error) {
			master, err := c.MasterForKey(ctx, key)
			if err == nil {
				nodes.learn(ctx, c)
			}
			return master, err
		}
	}
	return nil
}

// timeouts sets the timeouts that the URL does not set.
func (a *address) timeouts(dial, read, write *time.Duration) {
	if *dial <= 0 {
		*dial = dialTimeout
	}
	if *read <= 0 { // without a timeout, a link to a vanished host would never end
		*read = readTimeout
	}
	if *write <= 0 {
		*write = writeTimeout
	}
	a.dialTimeout, a.readTimeout = *dial, *read
}
