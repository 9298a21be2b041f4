package redislink

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stripchart/internal/bus/redisbus/redistest"
)

// patience bounds every wait: far beyond what a working link takes.
const patience = 2 * time.Minute

// shared is one Redis for the tests that need no server of their own.
var shared *redistest.Server

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "redislink")
	if err != nil {
		log.Fatal(err)
	}
	if shared, err = redistest.New(dir, redistest.Options{}); err != nil {
		log.Fatal(err)
	}
	ignore := goleak.IgnoreCurrent()
	code := m.Run()
	if err := goleak.Find(ignore); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	shared.Kill9()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

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
	eventually(t, "a write over "+url, func() bool { return p.Do(t.Context(), write(t.Context())) == nil })
}

// mustSay checks that all attempts of a Pool and of a Client to reach url fail, and
// leave exactly one line in the log, which has these words.
func mustSay(t *testing.T, url string, words ...string) {
	t.Helper()
	var log lines
	r := open(t, url, log.logger())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
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

func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("did not happen: %s", what)
		}
	}
}

// lines is a logger's output.
type lines struct {
	mu  sync.Mutex
	all strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func start(t testing.TB, o redistest.Options) *redistest.Server { return redistest.Start(t, o) }
