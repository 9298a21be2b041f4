package redisbus

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/bus/redisbus/redistest"
	"stripchart/internal/testkit"
)

// mustSay checks that Publish, End and Tail each fail at a URL, and that all their attempts
// leave one line in the log, which has these words.
func mustSay(t *testing.T, where string, words ...string) {
	t.Helper()
	var tries sync.WaitGroup
	defer tries.Wait()
	for name, try := range map[string]func(context.Context, *Bus) error{
		"Publish": func(ctx context.Context, b *Bus) error { return b.Publish(ctx, one("a", 1)) },
		"End":     func(ctx context.Context, b *Bus) error { _, err := b.End(ctx); return err },
		"Tail": func(ctx context.Context, b *Bus) error { // it tries again by itself
			return b.Tail(ctx, bus.Position{}, func(bus.Delivery) error { return nil })
		},
	} {
		var log testkit.Log
		b := open(t, Options{URL: where, Stream: stream(), Logger: log.Logger()})
		ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
		tries.Go(func() {
			for log.String() == "" && ctx.Err() == nil {
				time.Sleep(5 * time.Millisecond)
			}
			time.Sleep(300 * time.Millisecond) // for more tries
			cancel()
		})
		tries.Go(func() {
			for ctx.Err() == nil {
				if err := try(ctx, b); err == nil {
					t.Errorf("%s: %s: no error", where, name)
				}
				time.Sleep(50 * time.Millisecond)
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			if n := strings.Count(log.String(), "\n"); n != 1 {
				t.Errorf("%s: %s: %d lines:\n%s", where, name, n, &log)
			}
			for _, word := range words {
				if !strings.Contains(log.String(), word) {
					t.Errorf("%s: %s: the log has no %q:\n%s", where, name, word, &log)
				}
			}
		})
	}
}

func TestAWrongPasswordIsLoggedOnceWithWhatToDo(t *testing.T) {
	s := redistest.Start(t, redistest.Options{Password: "right"})
	mustSay(t, "redis://:wrong@"+s.Addr, "WRONGPASS", "correct user:password@ in --bus")
}

func TestAMissingPermissionIsLoggedOnceWithWhatToDo(t *testing.T) {
	s := redistest.Start(t, redistest.Options{Args: strings.Fields("--user lame on >pw ~* +@all -xadd -xread -eval")})
	mustSay(t, "redis://lame:pw@"+s.Addr, "NOPERM", "permissions that docs/OPERATIONS.md lists")
	if err := s.Client(t).Do(t.Context(), "ACL", "SETUSER", "lame", "resetkeys", "+@all").Err(); err != nil {
		t.Fatal(err)
	}
	mustSay(t, "redis://lame:pw@"+s.Addr, "NOPERM", "permissions that docs/OPERATIONS.md lists")
}
