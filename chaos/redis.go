package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"stripchart/internal/bus/redisbus/redistest"
)

// redis is a real redis-server.
type redis struct {
	*process
	address string
	dir     string
	bent    *bend
}

// newRedis prepares a server that keeps its files in dir; start starts it.
// config are further directives, in pairs.
func newRedis(name, dir, shim, log string, config ...string) (*redis, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	bent, err := newBend(filepath.Join(filepath.Dir(dir), name+".bent"))
	if err != nil {
		return nil, err
	}
	binary, err := redistest.Program()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(address)
	args := []string{"--port", port, "--bind", loopback, "--protected-mode", "no", "--replica-announce-ip", loopback, "--dir", dir, "--dbfilename", "dump.rdb",
		"--save", "", "--maxmemory-policy", "noeviction", "--repl-diskless-sync-delay", "0"}
	for i := 0; i < len(config); i += 2 {
		args = append(args, "--"+config[i], config[i+1])
	}
	return &redis{
		process: &process{name: name, log: log, bin: binary, args: args, env: []string{"LD_PRELOAD=" + shim, "CHAOS_SHIM=" + bent.path}},
		address: address, dir: dir, bent: bent,
	}, nil
}

// start starts the server and waits until it answers.
func (r *redis) start() error {
	if err := r.process.start(); err != nil {
		return err
	}
	var last error
	if !until(patience, func() bool {
		_, last = r.ask("PING")
		return last == nil
	}) {
		return fmt.Errorf("%s does not answer: %w; see %s", r.name, last, r.log)
	}
	return nil
}

// ask runs one command and returns Redis's answer; an error reply is returned as an error.
func (r *redis) ask(command ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	host, port, _ := net.SplitHostPort(r.address)
	out, err := exec.CommandContext(ctx, "redis-cli", append([]string{"-e", "-h", host, "-p", port}, command...)...).CombinedOutput()
	answer := strings.TrimSpace(string(out))
	if err != nil {
		return "", fmt.Errorf("%s: %s: %w: %s", r.name, strings.Join(command, " "), err, answer)
	}
	return answer, nil
}

// forget removes what the server has on disk; it must not be running.
func (r *redis) forget() error {
	if err := os.RemoveAll(r.dir); err != nil {
		return err
	}
	return os.MkdirAll(r.dir, 0o755)
}

// dump makes Redis write its data to disk and returns a copy of the file.
func (r *redis) dump() ([]byte, error) {
	if _, err := r.ask("SAVE"); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(r.dir, "dump.rdb"))
}

// restore starts the server, which must not be running, from a dump.
func (r *redis) restore(dump []byte) error {
	if err := r.forget(); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(r.dir, "dump.rdb"), dump, 0o644); err != nil {
		return err
	}
	return r.start()
}

// follow makes the server a replica of another one and waits until it has caught up.
func (r *redis) follow(address string) error {
	host, port, _ := net.SplitHostPort(address)
	if _, err := r.ask("REPLICAOF", host, port); err != nil {
		return err
	}
	if !until(patience, func() bool {
		info, err := r.ask("INFO", "replication")
		return err == nil && strings.Contains(info, "master_link_status:up")
	}) {
		return errors.New(r.name + " did not catch up with " + address)
	}
	return nil
}

// patience bounds every wait for something that takes moments on an idle machine.
const patience = 30 * time.Second
