package redisbus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

var (
	// errReplica means that the server is a replica; it may become the master.
	errReplica = errors.New("connected to a replica, not to the master")
	// errSentinel means that it only knows where Redis is.
	errSentinel = errors.New("that is a sentinel, not Redis")
	// errProtected stands for an answer of a dozen lines.
	errProtected = errors.New("it is in protected mode, in which Redis takes nobody from another machine")
)

// link is one connection to the master that holds the stream. One goroutine
// uses it at a time; close may be called from any, and ends what is under way.
type link struct {
	client io.Closer
	conn   *redis.Conn
	once   sync.Once
}

// dial makes a link and checks who is at its other end. Returns ErrOldServer
// for one that is too old, unless another one was there before: somebody may be
// about to put that right, and what waits for it must not be given up.
func (b *Bus) dial(ctx context.Context) (*link, error) {
	client, master := b.address.open()
	l := &link{client: client}
	var first firstAnswer
	defer context.AfterFunc(ctx, l.close)()
	err := func() error {
		node, err := master(ctx)
		if err != nil {
			return err
		}
		node.AddHook(&first)
		l.conn = node.Conn()
		if err := l.greet(ctx); err != nil {
			return err
		}
		b.warnOfEviction(ctx, l)
		return nil
	}()
	if err == nil {
		b.met.Store(true)
		return l, nil
	}
	l.close()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case hungUp(err) && first.refusal != nil:
		err = first.refusal
	case errors.Is(err, ErrOldServer) && b.met.Load():
		err = errors.New(err.Error())
	}
	return nil, b.address.explain(err, true)
}

// firstAnswer is a hook of the client that keeps what Redis says to the client's
// own HELLO. The client goes on after a refusal, since some servers only do not know the
// command, and finds the connection closed: the reason would be lost.
type firstAnswer struct{ refusal error }

func (*firstAnswer) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f *firstAnswer) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if err != nil && f.refusal == nil && cmd.Name() == "hello" && replied(err) {
			if f.refusal = err; saysFirst(err, "DENIED") {
				f.refusal = errProtected
			}
		}
		return err
	}
}

func (*firstAnswer) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// close ends the link, and with it what another goroutine does on it.
func (l *link) close() { l.once.Do(func() { _ = l.client.Close() }) } // there is nothing to be done about its error

// greet asks the server who it is. HELLO, not INFO and ROLE: one answer has
// both, and no user of an ACL needs a dangerous permission for it. It is also
// how a master is found out that has become a replica: it would serve its old
// past, or copies of the new master's, as late as it likes.
func (l *link) greet(ctx context.Context) error {
	return judge(ctx, l, l.conn.Do(ctx, "HELLO"))
}

// judge reads the answer to HELLO.
func judge(ctx context.Context, l *link, hello *redis.Cmd) error {
	fields, err := hello.Slice()
	if err != nil {
		// Redis 6.0 wants arguments, and 5 does not know it.
		said := strings.ToLower(err.Error())
		if replied(err) && strings.Contains(said, "hello") &&
			(strings.HasPrefix(said, "err unknown command") || strings.HasPrefix(said, "err wrong number of arguments")) {
			return tooOld("Redis", l.versionOfOld(ctx))
		}
		return err
	}
	about := map[string]string{}
	for i := 0; i+1 < len(fields); i += 2 {
		about[fmt.Sprint(fields[i])] = fmt.Sprint(fields[i+1])
	}
	if !atLeast(about["version"], 6, 2) {
		return tooOld(about["server"], about["version"])
	}
	if about["mode"] == "sentinel" {
		return errSentinel
	}
	if role := about["role"]; role != "" && role != "master" {
		return errReplica
	}
	return nil
}

// versionOfOld is for the message only.
func (l *link) versionOfOld(ctx context.Context) string {
	info, _ := l.conn.Info(ctx, "server").Result()
	return infoField(info, "redis_version")
}

func tooOld(server, version string) error {
	return fmt.Errorf("%w: this is %s %s", ErrOldServer, server, cmp.Or(version, "of before 6.2"))
}

// infoField finds a line of INFO's answer.
func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// atLeast compares "7.0.15" with major.minor. What is no version is new enough:
// a fork may number itself as it likes.
func atLeast(version string, major, minor int) bool {
	first, rest, _ := strings.Cut(version, ".")
	second, _, _ := strings.Cut(rest, ".")
	x, err := strconv.Atoi(first)
	y, err2 := strconv.Atoi(second)
	if err != nil || err2 != nil {
		return true
	}
	return x > major || x == major && y >= minor
}

// warnOfEviction says once when Redis may throw the log away to make room.
func (b *Bus) warnOfEviction(ctx context.Context, l *link) {
	if b.policySeen.Load() {
		return
	}
	info, err := l.conn.Info(ctx, "memory").Result()
	if err != nil {
		return // INFO may be forbidden; the log works without it
	}
	if policy := infoField(info, "maxmemory_policy"); !b.policySeen.Swap(true) && policy != "" && policy != "noeviction" {
		b.log.Warn("Redis may evict the log when its memory is full; set maxmemory-policy noeviction", "maxmemory_policy", policy)
	}
}

// replied reports whether err is Redis's own answer, after which the link is
// as good as before. Any other error means that the link is lost.
func replied(err error) bool {
	var r redis.Error
	return errors.As(err, &r) && !errors.Is(err, redis.TxFailedErr)
}

// elsewhere reports whether Redis's answer means that this server is not, or not
// now, the one to talk to.
func elsewhere(err error) bool {
	for _, word := range []string{"READONLY", "MOVED", "ASK", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "NOAUTH"} {
		if saysFirst(err, word) {
			return true
		}
	}
	return false
}

// saysFirst reports whether word begins what Redis answered.
func saysFirst(err error, word string) bool {
	var r redis.Error
	if !errors.As(err, &r) {
		return false
	}
	// Redis 6.2 puts the word into the middle when a script fails.
	return strings.HasPrefix(r.Error(), word) || strings.Contains(r.Error(), "-"+word+" ")
}
