//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os/exec"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stripchart/internal/bus"
	"stripchart/internal/bus/membus"
	"stripchart/internal/bus/redisbus"
	"stripchart/internal/live"
	"stripchart/internal/server"
	"stripchart/internal/socketio"
	"stripchart/internal/store"
)

// Roles of this program as a child, its first argument.
const (
	roleSource = "source" // sources that publish to Redis
	roleMemory = "memory" // the yardstick: sources, bus in memory and server in one process
)

// play runs one of the roles; commands come on stdin.
func play(ctx context.Context, role string, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet(role, flag.ContinueOnError)
	url := flags.String("bus", "", "Redis")
	dir := flags.String("dir", "", "data directory")
	sources := flags.Int("sources", 1, "")
	var s shape
	flags.IntVar(&s.series, "series", 1, "")
	flags.IntVar(&s.samples, "samples", 1, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	obey := func(b bus.Bus) error { return newPublisher(ctx, b, *sources, s).serve(stdin, stdout) }
	if role == roleMemory {
		return inMemory(ctx, *dir, stderr, obey)
	}
	b, err := redisbus.Open(ctx, redisbus.Options{URL: *url, Logger: slog.New(slog.NewTextHandler(stderr, nil))})
	if err != nil {
		return err
	}
	return errors.Join(obey(b), b.Close())
}

// inMemory is the program's own parts on the bus in memory, wired as the program
// wires them, but with sources that publish as fast as they are told.
func inMemory(ctx context.Context, dir string, stderr io.Writer, publish func(bus.Bus) error) (err error) {
	const accept = 24 * time.Hour
	log := slog.New(slog.NewTextHandler(stderr, nil))
	registry := prometheus.NewRegistry()
	b := membus.New(membus.Options{})
	st, err := store.Open(store.Options{Dir: dir, Retention: 30 * 24 * time.Hour, OutOfOrder: accept + 5*time.Minute, Registerer: registry})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close(), st.Close()) }()
	sockets := socketio.NewServer(socketio.Config{MaxConnsPerAddr: -1})
	defer sockets.Close()
	hub, err := live.New(live.Options{
		Bus: b, Store: live.NewStore(st), Transport: server.Transport(sockets), Log: log, Registry: registry,
		DefaultSeries: "cpu_usage_percent", Accept: accept,
	})
	if err != nil {
		return err
	}
	defer hub.Close()
	web, err := server.New(server.Options{Sockets: sockets, Hub: hub, Registry: registry, Log: log, Window: 100 * time.Second})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	run, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 2)
	go func() { ended <- hub.Run(run) }()
	go func() { ended <- web.Serve(l) }()
	log.Info("open this page", "url", "http://"+l.Addr().String(), "bus", "memory")
	err = publish(b)
	bye, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err = errors.Join(err, web.Shutdown(bye, time.Second))
	stop()
	return errors.Join(err, <-ended, <-ended)
}

// control is a child's publisher, as its parent commands it.
type control struct {
	commands io.WriteCloser
	answers  *bufio.Scanner
}

// controlOf takes cmd's standard input and output; call it before cmd starts.
func controlOf(cmd *exec.Cmd) (*control, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &control{in, bufio.NewScanner(out)}, nil
}

// do has a command carried out.
func (c *control) do(command string) (t totals, err error) {
	if _, err := fmt.Fprintln(c.commands, command); err != nil {
		return t, fmt.Errorf("tell the sources %q: %w", command, err)
	}
	if !c.answers.Scan() {
		return t, fmt.Errorf("the sources ended at %q: %w", command, errors.Join(c.answers.Err(), io.ErrUnexpectedEOF))
	}
	if err := json.Unmarshal(c.answers.Bytes(), &t); err != nil {
		return t, fmt.Errorf("the sources answered %q: %w", c.answers.Text(), err)
	}
	if t.Err != "" {
		return t, fmt.Errorf("the sources failed: %s", t.Err)
	}
	return t, nil
}

// role returns the command that runs this program as one of its children.
func (b *bench) role(role, dir, url string, s situation) *exec.Cmd {
	cmd := exec.CommandContext(b.ctx, b.self, role, "-bus", url, "-dir", dir, "-sources", fmt.Sprint(s.sources),
		"-series", fmt.Sprint(s.shape.series), "-samples", fmt.Sprint(s.shape.samples))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}
