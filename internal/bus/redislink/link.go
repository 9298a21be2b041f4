package redislink

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

	"stripchart/internal/bus"
)

var (
	// ErrOldServer means that the server is older than Redis 6.2, and that no other
	// server was reached before: the address is wrong, or Redis must be upgraded.
	// Retrying does not help.
	ErrOldServer = fmt.Errorf("%w: the server is too old", bus.ErrUnusable)
	// ErrReplica means that the server is a replica; it may become the master.
	ErrReplica = errors.New("connected to a replica, not to the master")

	errSentinel = errors.New("the server is a sentinel, not Redis")
	// errProtected replaces Redis's reply of a dozen lines.
	errProtected = errors.New("the server is in protected mode, in which Redis accepts no connection from another machine")
)

// Link is one connection to the master. One goroutine at a time uses it; Close may be
// called from any goroutine, and interrupts what is under way.
type Link struct {
	Conn *redis.Conn

	client io.Closer
	once   sync.Once
}

// Close closes the connection. Calls after the first do nothing.
func (l *Link) Close() { l.once.Do(func() { _ = l.client.Close() }) } // its error changes nothing: the link is given up

// Check asks the server whether it is still a master. It sends HELLO and not INFO
// and ROLE: one reply has version and role, and no ACL user needs a dangerous
// permission for it.
//
// A master that has become a replica would serve its old entries, or the new master's
// entries with any delay.
func (l *Link) Check(ctx context.Context) error {
	return l.CheckReply(ctx, l.Conn.Do(ctx, "HELLO"))
}

// CheckReply is Check for a HELLO that was sent with other commands in one pipeline.
func (l *Link) CheckReply(ctx context.Context, hello *redis.Cmd) error {
	fields, err := hello.Slice()
	if err != nil {
		// Redis 6.0 wants arguments, and Redis 5 does not know the command.
		text := strings.ToLower(err.Error())
		if Replied(err) && strings.Contains(text, "hello") &&
			(strings.HasPrefix(text, "err unknown command") || strings.HasPrefix(text, "err wrong number of arguments")) {
			return tooOld("Redis", l.versionFromInfo(ctx))
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
		return ErrReplica
	}
	return nil
}

// versionFromInfo is for the error message only: servers without HELLO have INFO.
func (l *Link) versionFromInfo(ctx context.Context) string {
	info, _ := l.Conn.Info(ctx, "server").Result()
	return infoField(info, "redis_version")
}

func tooOld(server, version string) error {
	return fmt.Errorf("%w: this is %s %s", ErrOldServer, server, cmp.Or(version, "of before 6.2"))
}

// infoField returns the value of a line in INFO's reply; "" if there is none.
func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// atLeast compares "7.0.15" with major.minor. Text that is no version counts as new
// enough: a fork may have a numbering of its own.
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

// helloHook keeps Redis's error reply to the HELLO that the client library sends when it connects. The
// library ignores the error, since some servers only lack the command, and then finds the connection
// closed. Without the hook the reason would be lost.
type helloHook struct{ refusal error }

func (*helloHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *helloHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if err != nil && h.refusal == nil && cmd.Name() == "hello" && Replied(err) {
			if h.refusal = err; HasCode(err, "DENIED") {
				h.refusal = errProtected
			}
		}
		return err
	}
}

func (*helloHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
