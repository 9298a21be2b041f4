//go:build linux

// Package child runs the processes that a benchmark measures. Linux only.
package child

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"stripchart/bench/measure"
)

// startTimeout is how long a child may take until it can be connected to, and the
// program until it serves.
const startTimeout = 60 * time.Second

// Child is a server process: the program, or what it is compared with.
type Child struct {
	Address netip.AddrPort

	cmd    *exec.Cmd
	done   chan struct{} // closed when it has ended
	output tail
}

// Start runs cmd and reads lines, one of its outputs, until addressOf finds the
// address in one. The child is killed when this process ends, however it ends.
func Start(cmd *exec.Cmd, lines io.Reader, addressOf func(line string) string) (*Child, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &Child{cmd: cmd, done: make(chan struct{})}
	address := make(chan string, 1)
	go func() {
		defer close(c.done)
		scan := bufio.NewScanner(lines)
		for scan.Scan() {
			c.output.add(scan.Text())
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
		if c.Address, err = netip.ParseAddrPort(a); err != nil {
			c.Kill()
			return nil, fmt.Errorf("address of the server: %w", err)
		}
		return c, nil
	case <-c.done:
		return nil, fmt.Errorf("the server ended before it could be connected to:\n%s", &c.output)
	case <-time.After(startTimeout):
		c.Kill()
		return nil, fmt.Errorf("the server said no address in %v:\n%s", startTimeout, &c.output)
	}
}

// Program runs stripchart, or what says its address on standard error as it does,
// until it serves.
func Program(cmd *exec.Cmd) (*Child, error) {
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	c, err := Start(cmd, stderr, func(line string) string {
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
	if err := c.AwaitReady(); err != nil {
		c.Kill()
		return nil, err
	}
	return c, nil
}

// AwaitReady asks until the program serves.
func (c *Child) AwaitReady() error {
	client := http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	for end := time.Now().Add(startTimeout); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		answer, err := client.Get("http://" + c.Address.String() + "/readyz")
		if err != nil {
			continue
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return nil
		}
	}
	c.Kill()
	return fmt.Errorf("stripchart was not ready in %v:\n%s", startTimeout, &c.output)
}

// Kill ends the child at once and waits for it.
func (c *Child) Kill() {
	_ = c.cmd.Process.Kill() // it may have ended
	<-c.done
}

// Stop asks the child to end and waits for it.
func (c *Child) Stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-c.done:
	case <-time.After(startTimeout):
		c.Kill()
	}
}

// PID returns the process's number.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// CPU returns the processor time that it has used so far.
func (c *Child) CPU() (time.Duration, error) { return measure.CPU(c.PID()) }

// Resident returns its memory in RAM, in bytes.
func (c *Child) Resident() (int64, error) { return measure.Resident(c.PID()) }

// Metrics reads the program's figures.
func (c *Child) Metrics() (measure.Metrics, error) {
	return measure.Scrape("http://" + c.Address.String() + "/metrics")
}

// Build makes the program as `make binary` does, and returns its path in dir.
func Build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "stripchart")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "stripchart/cmd/stripchart")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build stripchart: %w\n%s", err, out)
	}
	return binary, nil
}

// Machine says what a report's figures were taken on.
func Machine() string {
	system := runtime.GOOS
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		system = "Linux " + strings.TrimSpace(string(release))
	}
	return fmt.Sprintf("%s, %d processors, %s", runtime.Version(), runtime.NumCPU(), system)
}

// tail keeps the last lines of a child's output, for when something goes wrong.
// Start writes it before done is closed; read it after that, or after an address
// was told.
type tail struct{ lines []string }

func (t *tail) add(line string) {
	t.lines = append(t.lines, line)
	if len(t.lines) > 20 {
		t.lines = t.lines[1:]
	}
}

func (t *tail) String() string { return strings.Join(t.lines, "\n") }
