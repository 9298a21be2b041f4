package redislink

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"stripchart/internal/bus/redisbus/redistest"
	"stripchart/internal/testkit"
)

// shared is one Redis for the tests that need no server of their own.
var shared *redistest.Server

func TestMain(m *testing.M) { redistest.Main(m, &shared) }

// key is what the links of the tests are for.
const key = "{test}:key"

func open(t testing.TB, url string, log *slog.Logger) *Redis {
	t.Helper()
	r, err := New(url, key, log)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// pool returns a Pool of url, which is closed with the test.
func pool(t testing.TB, url string, log *slog.Logger) *Pool {
	t.Helper()
	p := open(t, url, log).Pool()
	t.Cleanup(p.Close)
	return p
}

// write is a command that only a master executes, and that needs a permission.
func write(ctx context.Context) func(*Link) error {
	return func(l *Link) error { return l.Conn.Set(ctx, key, "x", 0).Err() }
}

// mustReach checks that a link to url leads to a master that can be written to.
func mustReach(t *testing.T, url string) {
	t.Helper()
	p := pool(t, url, slog.New(slog.DiscardHandler))
	testkit.Eventually(t, "a write over "+url, func() bool { return p.Do(t.Context(), write(t.Context())) == nil })
}

// patient returns url with timeouts that a busy machine does not reach, unless url sets its
// own.
func patient(url string) string {
	if strings.Contains(url, "timeout=") {
		return url
	}
	separator := "?"
	if strings.Contains(url, "?") {
		separator = "&"
	}
	return url + separator + "dial_timeout=1m&read_timeout=1m"
}

// mustSay checks that all attempts of a Pool and of a Client to reach url fail, and
// leave exactly one line in the log, which has these words.
func mustSay(t *testing.T, url string, words ...string) {
	t.Helper()
	url = patient(url)
	var log testkit.Log
	r := open(t, url, log.Logger())
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	defer cancel()
	p, c := r.Pool(), r.Client()
	defer p.Close()
	defer c.Leave()
	var users sync.WaitGroup
	users.Go(func() {
		for range 3 {
			if err := p.Do(ctx, write(ctx)); err == nil {
				t.Errorf("%s: the pool reached it", url)
			}
		}
	})
	users.Go(func() {
		for range 3 {
			l, err := r.Dial(ctx)
			if err == nil {
				err = write(ctx)(l)
				l.Close()
			}
			if err == nil {
				t.Errorf("%s: the client reached it", url)
				continue
			}
			c.Down(err)
		}
	})
	users.Wait()
	if n := strings.Count(log.String(), "\n"); n != 1 {
		t.Errorf("%s: %d lines in the log, want 1:\n%s", url, n, &log)
	}
	for _, word := range words {
		if !strings.Contains(log.String(), word) {
			t.Errorf("%s: the log has no %q:\n%s", url, word, &log)
		}
	}
}
