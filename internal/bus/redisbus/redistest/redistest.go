// Package redistest starts a real Redis or Valkey for tests: the program that $REDIS_SERVER
// names, or else redis-server or valkey-server in the path. Without one the tests fail.
package redistest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

// patience bounds the wait for a server to answer.
const patience = 20 * time.Second

// Options of Start.
type Options struct {
	// Args are appended to the command line: "--maxmemory", "10mb".
	Args []string
	// Persist keeps an append-only file that is synced with every command. Without it the
	// server is empty after a restart.
	Persist bool
	// Password, if any, is asked for.
	Password string
	// TLS, if any, makes it a server of TLS.
	TLS *TLS
	// Sentinel, if any, makes the server a sentinel, with these lines of configuration at its
	// first start.
	Sentinel []string
}

// Server is a Redis of a test's own, on a port of 127.0.0.1 that stays the same.
type Server struct {
	Addr string // host:port
	URL  string // redis://... or rediss://..., with the password
	Dir  string // its data

	options Options
	cmd     *exec.Cmd
	exited  chan struct{}
}

// Start starts a server, which ends with the test.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := New(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill9)
	return s
}

// New starts a server that keeps its files in dir, for TestMain; end it with Kill9.
func New(dir string, o Options) (*Server, error) {
	logging.Disable() // the client writes a line for each try
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	where := url.URL{Scheme: "redis", Host: addr}
	if o.TLS != nil {
		where.Scheme = "rediss"
	}
	if o.Password != "" {
		where.User = url.UserPassword("", o.Password)
	}
	s := &Server{Addr: addr, URL: where.String(), Dir: dir, options: o}
	return s, s.start()
}

// freeAddr returns an address that nothing listens on. Its port lies below those
// that the kernel gives to outgoing connections, so that a server that was killed
// gets it back; and so does the port of a cluster's own connections, 10,000 above.
func freeAddr() (string, error) {
	for range 100 {
		port := 12_000 + rand.IntN(10_000)
		addr := fmt.Sprint("127.0.0.1:", port)
		if isFree(addr) && isFree(fmt.Sprint("127.0.0.1:", port+10_000)) {
			return addr, nil
		}
	}
	return "", errors.New("no free TCP port between 12000 and 22000")
}

func isFree(addr string) bool {
	l, err := net.Listen("tcp", addr)
	return err == nil && l.Close() == nil
}

// Program returns the path of the redis-server that tests start.
func Program() (string, error) {
	if named := os.Getenv("REDIS_SERVER"); named != "" {
		path, err := exec.LookPath(named)
		if err != nil {
			return "", fmt.Errorf("REDIS_SERVER: %w", err)
		}
		return path, nil
	}
	path, err := exec.LookPath("redis-server")
	if err != nil {
		path, err = exec.LookPath("valkey-server")
	}
	if err != nil {
		return "", fmt.Errorf("redis-server is needed (make deps): %w", err)
	}
	return path, nil
}

func (s *Server) start() error {
	name, err := Program()
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(s.Addr)
	args := []string{"--port", port, "--bind", "127.0.0.1", "--dir", s.Dir, "--save", "", "--daemonize", "no", "--repl-diskless-sync-delay", "0",
		"--logfile", filepath.Join(s.Dir, "redis.log"), "--unixsocket", filepath.Join(s.Dir, "redis.sock")}
	if s.options.Persist {
		args = append(args, "--appendonly", "yes", "--appendfsync", "always")
	}
	if s.options.Password != "" {
		args = append(args, "--requirepass", s.options.Password)
	}
	if len(s.options.Sentinel) > 0 {
		conf := filepath.Join(s.Dir, "sentinel.conf") // which it rewrites
		lines := append([]string{"port " + port, "bind 127.0.0.1", "dir " + s.Dir}, s.options.Sentinel...)
		if _, err := os.Stat(conf); err != nil {
			if err := os.WriteFile(conf, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
				return err
			}
		}
		args = []string{conf, "--sentinel", "--logfile", filepath.Join(s.Dir, "redis.log")}
	}
	if s.options.TLS != nil {
		args = append(args, s.options.TLS.arguments(port)...)
	}
	args = append(args, s.options.Args...)
	s.cmd = exec.Command(name, args...)
	s.cmd.SysProcAttr = dieWithParent()
	if err := s.cmd.Start(); err != nil {
		return err
	}
	cmd, exited := s.cmd, make(chan struct{})
	s.exited = exited
	go func() {
		defer close(exited)
		_ = cmd.Wait() // killed, in the end
	}()
	return s.await()
}

// await waits until the server answers with its data loaded.
func (s *Server) await() error {
	c := s.newClient()
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := c.Ping(ctx).Err()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("redis-server does not answer: %w", err)
		case <-s.exited:
			log, _ := os.ReadFile(filepath.Join(s.Dir, "redis.log"))
			return fmt.Errorf("redis-server ended: %s", strings.TrimSpace(string(log)))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (s *Server) newClient() *redis.Client {
	o, err := redis.ParseURL(s.URL)
	if err != nil {
		panic(err) // it is ours
	}
	if s.options.TLS != nil {
		if o.TLSConfig, err = s.options.TLS.client(); err != nil {
			panic(err) // they are a test's own files
		}
	}
	o.DialerRetries = 1
	o.MaxRetries = -1
	o.ContextTimeoutEnabled = true
	return redis.NewClient(o)
}

// Client returns a client, which is closed with the test.
func (s *Server) Client(t testing.TB) *redis.Client {
	t.Helper()
	c := s.newClient()
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Kill9 kills the server and waits for its end. Its data stay on disk.
func (s *Server) Kill9() {
	_ = s.cmd.Process.Kill() // it may have ended
	<-s.exited
}

// Restart starts the server again, after Kill9 or instead of it: with the data
// that are on disk, or without any.
func (s *Server) Restart(t testing.TB, keep bool) {
	t.Helper()
	s.Kill9()
	if !keep {
		for _, name := range []string{"appendonlydir", "appendonly.aof", "dump.rdb"} {
			if err := os.RemoveAll(filepath.Join(s.Dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

// Pause stops the server as a debugger would: connections stay, and nothing answers.
func (s *Server) Pause(t testing.TB) {
	t.Helper()
	s.signal(t, syscall.SIGSTOP)
	for c := s.Client(t); ; { // it may run on for a moment
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		err := c.Ping(ctx).Err()
		cancel()
		if err != nil {
			return
		}
	}
}

// Resume ends Pause.
func (s *Server) Resume(t testing.TB) { s.signal(t, syscall.SIGCONT) }

func (s *Server) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// PID returns the number of the server's process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Socket returns the path of the server's Unix socket.
func (s *Server) Socket() string { return filepath.Join(s.Dir, "redis.sock") }
