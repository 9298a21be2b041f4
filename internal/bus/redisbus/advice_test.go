package redisbus

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/bus/redisbus/redistest"
)

// mustSay checks that whoever publishes, asks for the end or reads at a URL finds one
// line in the log, with the words, however often that is tried.
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
		var log lines
		b := open(t, Options{URL: where, Stream: stream(), Logger: log.logger()})
		ctx, cancel := context.WithTimeout(t.Context(), patience)
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
					t.Errorf("%s: %s: nothing is said of %q:\n%s", where, name, word, &log)
				}
			}
		})
	}
}

func TestWhatIsWrongWithAnAddressIsSaidOnceWithWhatToDo(t *testing.T) {
	locked := start(t, redistest.Options{Password: "right"})
	mustSay(t, "redis://:wrong@"+locked.Addr, "WRONGPASS", "correct user:password@ in --bus")
	mustSay(t, "redis://"+locked.Addr, "NOAUTH", "correct user:password@ in --bus")
	mustSay(t, "redis://"+shared.Addr+"/99", "DB index is out of range", "less than `databases`")

	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	mustSay(t, "redis://"+web.Listener.Addr().String(), "is that its port?")
	mustSay(t, "rediss://"+web.Listener.Addr().String(), "redis instead of rediss")
	mustSay(t, "redis+cluster://"+shared.Addr, "that is no cluster")
	mustSay(t, "redis+sentinel://"+shared.Addr+"?master_name=mine", "that is no sentinel")

	node := start(t, redistest.Options{Args: []string{"--cluster-enabled", "yes"}})
	mustSay(t, "redis://"+node.Addr, "redis+cluster://host")

	watch := start(t, redistest.Options{Sentinel: []string{"sentinel monitor mine 127.0.0.1 1 1"}})
	mustSay(t, "redis://"+watch.Addr, "that is a sentinel", "redis+sentinel://")
	mustSay(t, "redis+sentinel://"+watch.Addr+"?master_name=yours", "no master of that name")

	replica := start(t, redistest.Options{})
	if err := replica.Client(t).ReplicaOf(t.Context(), "127.0.0.1", "1").Err(); err != nil {
		t.Fatal(err)
	}
	mustSay(t, "redis://"+replica.Addr, "connected to a replica", "name the master in --bus")
}

// Redis says so to whoever connects, and hangs up at once, before it has heard
// anything. It does that to other machines only, so a test has to pretend.
func TestTheReasonOfWhoHangsUpIsHeard(t *testing.T) {
	mustSay(t, redistest.HangUp(t, "-DENIED Redis is running in protected mode because ...\r\n"), "protected mode", "give it a password")
	mustSay(t, redistest.HangUp(t, "-ERR max number of clients reached\r\n"), "max number of clients")
	mustSay(t, redistest.HangUp(t, ""), "if this stays so")
}

func TestAMissingPermissionIsSaidOnceWithWhatToDo(t *testing.T) {
	s := start(t, redistest.Options{Args: strings.Fields("--user lame on >pw ~* +@all -xadd -xread -eval")})
	mustSay(t, "redis://lame:pw@"+s.Addr, "NOPERM", "permissions that docs/OPERATIONS.md lists")
	if err := s.Client(t).Do(t.Context(), "ACL", "SETUSER", "lame", "resetkeys", "+@all").Err(); err != nil {
		t.Fatal(err)
	}
	mustSay(t, "redis://lame:pw@"+s.Addr, "NOPERM", "permissions that docs/OPERATIONS.md lists")
}

// The user in the URL is the sentinels', and Redis's unless it has one of its own.
func TestUserAndPasswordBehindASentinel(t *testing.T) {
	s := start(t, redistest.Options{Password: "right"})
	_, port, _ := strings.Cut(s.Addr, ":")
	monitor := []string{"sentinel monitor mine 127.0.0.1 " + port + " 1", "sentinel auth-pass mine right"}
	open := start(t, redistest.Options{Sentinel: monitor})
	check(t, "redis+sentinel://:right@"+open.Addr+"?master_name=mine")
	check(t, "redis+sentinel://"+open.Addr+"?master_name=mine&password=right")
	mustSay(t, "redis+sentinel://"+open.Addr+"?master_name=mine", "NOAUTH", "user:password@ in --bus are the sentinels'")
	locked := start(t, redistest.Options{Password: "sesame", Sentinel: append(monitor, "requirepass sesame")})
	check(t, "redis+sentinel://:sesame@"+locked.Addr+"?master_name=mine&password=right")
	mustSay(t, "redis+sentinel://:wrong@"+locked.Addr+"?master_name=mine&password=right", "WRONGPASS", "user:password@ in --bus are the sentinels'")
}
