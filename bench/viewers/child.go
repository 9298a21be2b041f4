//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os/exec"
	"time"

	"stripchart/bench/child"
	"stripchart/bench/floor"
)

// startProduct runs the program with its collector. address may have port 0.
func (b *bench) startProduct(dir, address string, interval time.Duration) (*child.Child, error) {
	return child.Program(exec.CommandContext(b.ctx, b.binary, "--listen", address, "--data-dir", dir, "--interval", interval.String()))
}

// startFloor runs the floor, which sends frames.
func (b *bench) startFloor(frames []byte, interval time.Duration) (*child.Child, error) {
	cmd := exec.CommandContext(b.ctx, b.self, floorRole, "-interval", interval.String())
	cmd.Stdin = bytes.NewReader(frames)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c, err := child.Start(cmd, stdout, func(line string) string { return line })
	if err != nil {
		return nil, fmt.Errorf("start the floor: %w", err)
	}
	return c, nil
}

// serveFloor is this program as the floor: frames on standard input, the address
// on standard output.
func serveFloor(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	flags := flag.NewFlagSet(floorRole, flag.ContinueOnError)
	interval := flags.Duration("interval", time.Second, "time between two ticks")
	if err := flags.Parse(args); err != nil {
		return err
	}
	frames, err := io.ReadAll(stdin)
	if err != nil {
		return err
	}
	s, err := floor.New(frames, *interval)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(stdout, l.Addr()); err != nil {
		return errors.Join(err, l.Close())
	}
	return s.Serve(ctx, l)
}
