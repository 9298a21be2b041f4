package redislink

import (
	"errors"
	"io"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// Replied reports whether err is an error reply of Redis, after which the link is as
// good as before. After any other error the link is lost.
func Replied(err error) bool {
	var r redis.Error
	return errors.As(err, &r) && !errors.Is(err, redis.TxFailedErr)
}

// WrongServer reports whether err is a reply of a server that cannot be used now: a replica, another
// node of the cluster, or a server that is loading its data.
func WrongServer(err error) bool {
	for _, code := range []string{"READONLY", "MOVED", "ASK", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "NOAUTH"} {
		if HasCode(err, code) {
			return true
		}
	}
	return false
}

// HasCode reports whether err is an error reply that begins with code, as in
// "OOM command not allowed when used memory > 'maxmemory'".
func HasCode(err error, code string) bool {
	var r redis.Error
	if !errors.As(err, &r) {
		return false
	}
	// Redis 6.2 puts the code into the middle when a script fails.
	return strings.HasPrefix(r.Error(), code) || strings.Contains(r.Error(), "-"+code+" ")
}

// hungUp reports whether the other end closed the connection.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
