package chaos

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is one real program that the harness starts, hurts and ends. It has a
// process group of its own, so that its end takes along what it has started, and
// it dies with the harness, however that ends.
type process struct {
	name string
	log  string // file that standard output and error are appended to
	bin  string
	args []string
	env  []string // in addition to the harness's own

	mu    sync.Mutex // guards what follows
	cmd   *exec.Cmd  // nil: not running
	stdin io.WriteCloser
	ended chan struct{} // closed when cmd was waited for
	wants bool          // it was started and not told to end: an end is a failure
	fault error         // the first end that nobody wanted
}

// start starts the program; it must not be running.
func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		return fmt.Errorf("start %s: it is running", p.name)
	}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	defer out.Close()
	cmd := exec.Command(p.bin, p.args...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	fmt.Fprintf(out, "--- %s start %s %s\n", time.Now().Format("15:04:05.000"), p.bin, strings.Join(p.args, " "))
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	ended := make(chan struct{})
	p.cmd, p.ended, p.wants = cmd, ended, true
	go func() {
		defer close(ended)
		err := cmd.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.cmd = nil
		if p.wants && p.fault == nil {
			p.fault = fmt.Errorf("%s ended by itself: %v; see %s", p.name, err, p.log)
		}
	}()
	return nil
}

// say writes a line to the program's standard input.
func (p *process) say(line string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return fmt.Errorf("%s is not running", p.name)
	}
	_, err := io.WriteString(p.stdin, line+"\n")
	return err
}

// signal sends s to the whole process group.
func (p *process) signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return fmt.Errorf("%s is not running", p.name)
	}
	return syscall.Kill(-p.cmd.Process.Pid, s)
}

// kill ends the program with -9 and waits for its end. It does nothing when it
// is not running.
func (p *process) kill() { p.end(syscall.SIGKILL, 0) }

// stop asks the program to end and kills it when it has not after patience.
func (p *process) stop(patience time.Duration) error {
	if p.end(syscall.SIGTERM, patience) {
		return nil
	}
	return fmt.Errorf("%s did not stop within %v and was killed; see %s", p.name, patience, p.log)
}

// end reports whether the program ended by the signal, and not by the kill after patience.
func (p *process) end(s syscall.Signal, patience time.Duration) bool {
	p.mu.Lock()
	cmd, ended := p.cmd, p.ended
	p.wants = false
	p.mu.Unlock()
	if cmd == nil {
		return true
	}
	_ = syscall.Kill(-cmd.Process.Pid, s)
	if s != syscall.SIGKILL {
		select {
		case <-ended:
			return true
		case <-time.After(patience):
		}
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
		return false
	}
	<-ended
	return true
}

// failure returns how the program ended without being asked to, once.
func (p *process) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.fault
	p.fault = nil
	return err
}

// loopback is the host of what this process starts. Each process has one of its own, so that
// runs side by side never take each other's ports: a process id has at most 22 bits, and
// 127.128.0.0/9 leaves 23.
var loopback = func() string {
	id := os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d", 128|id>>16&0x7f, id>>8&0xff, id&0xff)
}()

var (
	portsMu   sync.Mutex
	portsUsed = map[int]bool{} // guarded by portsMu
)

// freeAddress returns a host and a TCP port that nothing listens on, each once. The port lies
// below the range from which the kernel takes those of outgoing connections: a server that is
// down for a moment gets its own back.
func freeAddress() (string, error) {
	portsMu.Lock()
	defer portsMu.Unlock()
	for range 1000 {
		port := 12_000 + rand.IntN(20_000)
		if portsUsed[port] {
			continue
		}
		address := fmt.Sprintf("%s:%d", loopback, port)
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		l.Close()
		portsUsed[port] = true
		return address, nil
	}
	return "", errors.New("no free TCP port between 12000 and 32000")
}

// poll is how long a wait sleeps between two looks.
const poll = 20 * time.Millisecond

// until calls ok every few milliseconds until it is true, or patience is over. Patience
// is counted in looks: on a machine that is too busy for the harness it lasts longer.
func until(patience time.Duration, ok func() bool) bool {
	return untilStill(patience, ok, func() int64 { return 0 })
}

// untilStill is until with a patience that begins anew with every progress, ten times
// at most.
func untilStill(patience time.Duration, ok func() bool, progress func() int64) bool {
	last, still := int64(0), time.Duration(0)
	for total := time.Duration(0); ; total += poll {
		if ok() {
			return true
		}
		if p := progress(); p != last {
			last, still = p, 0
		}
		if still += poll; still > patience || total > 10*patience {
			return false
		}
		time.Sleep(poll)
	}
}

// healthy reports whether a GET of the URL answers 200 within a second.
func healthy(url string) bool {
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}
