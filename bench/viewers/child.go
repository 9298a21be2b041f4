//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"stripchart/bench/floor"
	"stripchart/bench/measure"
)

// startTimeout is how long a child may take until it can be connected to.
const startTimeout = 60 * time.Second

// child is a server process of ours: the product or the floor.
type child struct {
	cmd     *exec.Cmd
	address netip.AddrPort
	done    chan struct{} // closed when it has ended
	output  *tail
}

// start runs cmd and reads lines until addressOf finds the address in one. The
// child is killed when this process ends, however it ends.
func start(cmd *exec.Cmd, lines io.Reader, output *tail, addressOf func(line string) string) (*child, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, done: make(chan struct{}), output: output}
	address := make(chan string, 1)
	go func() {
		defer close(c.done)
		scan := bufio.NewScanner(lines)
		for scan.Scan() {
			output.add(scan.Text())
			if a := addressOf(scan.Text()); a != "" {
				select {
				case address <- a:
				default: // it has told already
				}
			}
		}
		_ = cmd.Wait() // how it ended is told by its output
	}()
	select {
	case a := <-address:
		var err error
		if c.address, err = netip.ParseAddrPort(a); err != nil {
			c.kill()
			return nil, fmt.Errorf("address of the server: %w", err)
		}
		return c, nil
	case <-c.done:
		return nil, fmt.Errorf("the server ended before it could be connected to:\n%s", output)
	case <-time.After(startTimeout):
		c.kill()
		return nil, fmt.Errorf("the server said no address in %v:\n%s", startTimeout, output)
	}
}

// kill ends the child at once and waits for it.
func (c *child) kill() {
	_ = c.cmd.Process.Kill() // it may have ended
	<-c.done
}

func (c *child) cpu() (time.Duration, error) { return measure.CPU(c.cmd.Process.Pid) }
func (c *child) resident() (int64, error)    { return measure.Resident(c.cmd.Process.Pid) }

// metrics reads the product's figures.
func (c *child) metrics() (measure.Metrics, error) {
	return measure.Scrape("http://" + c.address.String() + "/metrics")
}

// startProduct runs the program with its collector. address may have port 0.
func (b *bench) startProduct(dir, address string, interval time.Duration) (*child, error) {
	cmd := exec.CommandContext(b.ctx, b.binary, "--listen", address, "--data-dir", dir, "--interval", interval.String())
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	c, err := start(cmd, stderr, &tail{}, func(line string) string {
		_, rest, found := strings.Cut(line, "url=http://")
		if !found {
			return ""
		}
		address, _, _ := strings.Cut(rest, " ")
		return address
	})
	if err != nil {
		return nil, fmt.Errorf("start stripchart: %w", err)
	}
	if err := c.awaitReady(); err != nil {
		c.kill()
		return nil, err
	}
	return c, nil
}

// awaitReady asks until the product serves.
func (c *child) awaitReady() error {
	client := http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	for end := time.Now().Add(startTimeout); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		answer, err := client.Get("http://" + c.address.String() + "/readyz")
		if err != nil {
			continue
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return nil
		}
	}
	return fmt.Errorf("stripchart was not ready in %v:\n%s", startTimeout, c.output)
}

// startFloor runs the floor, which sends frames.
func (b *bench) startFloor(frames []byte, interval time.Duration) (*child, error) {
	cmd := exec.CommandContext(b.ctx, b.self, floorRole, "-interval", interval.String())
	cmd.Stdin = bytes.NewReader(frames)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c, err := start(cmd, stdout, &tail{}, func(line string) string { return line })
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

// tail keeps the last lines of a child's output, for when something goes wrong.
// start writes it before done is closed; read it after that, or after an address
// was told.
type tail struct{ lines []string }

func (t *tail) add(line string) {
	t.lines = append(t.lines, line)
	if len(t.lines) > 20 {
		t.lines = t.lines[1:]
	}
}

func (t *tail) String() string { return strings.Join(t.lines, "\n") }
