package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stripchart/internal/testkit"
	"stripchart/internal/wire"
)

// The test binary is the program too: with this variable set it runs main, so
// that the tests kill real processes and read real exit codes.
const actAs = "STRIPCHART_TEST_ACT_AS"

func TestMain(m *testing.M) {
	switch os.Getenv(actAs) {
	case "program":
		main()
	case "writer":
		os.Exit(writer(os.Args[1:]))
	case "idler":
		os.Exit(idler(os.Args[1:]))
	}
	goleak.VerifyTestMain(m)
}

// runWith is main of the program with a load, which runs beside it and ends with ctx.
func runWith(args []string, load func(context.Context, *program)) int {
	o, _, err := parse(args, io.Discard)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitUsage
	}
	p, err := open(o, commandRun, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitError
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var loading sync.WaitGroup
	loading.Go(func() { load(ctx, p) })
	err = p.Run(ctx)
	stop()
	loading.Wait()
	if err != nil || p.Close() != nil {
		return exitError
	}
	return exitOK
}

// process is a started program.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	stdout io.Reader
	url    string // where it listens, once it has said so
	log    *testkit.Log
	done   chan error // capacity 1: how it ended
}

// start runs the program and waits until it says where it listens, or, as a
// collector, where its batches wait; or ends.
func start(t testing.TB, as string, args ...string) *process {
	t.Helper()
	return startCommand(t, as, exec.Command(os.Args[0], args...))
}

// startCommand is start by a command that becomes the program.
func startCommand(t testing.TB, as string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, log: &testkit.Log{}, done: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), actAs+"="+as)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.stdout, err = p.cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	listening := make(chan string, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		find := regexp.MustCompile(`url=(https?://\S+)|spool=`)
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			fmt.Fprintln(p.log, lines.Text())
			if m := find.FindStringSubmatch(lines.Text()); m != nil {
				select {
				case listening <- m[1]:
				default:
				}
			}
		}
	}()
	if as == "program" {
		go func() {
			<-read
			p.done <- p.cmd.Wait()
		}()
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	select {
	case p.url = <-listening:
	case <-read:
	case <-time.After(testkit.Patience):
		t.Fatalf("the program did not start:\n%s", p.log)
	}
	return p
}

// end waits for the program and returns its exit code; -1 when it was killed.
func (p *process) end() int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(testkit.Patience):
		p.t.Fatalf("the program did not end:\n%s", p.log)
		return 0
	}
}

func get(t testing.TB, url string) (int, string) {
	t.Helper()
	c := http.Client{Timeout: testkit.Patience, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func TestStartsServesAndStopsCleanly(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		dir := t.TempDir()
		p := start(t, "program", "--data-dir", dir, "--listen", "127.0.0.1:0", "--interval", "100ms")
		for _, path := range []string{"/healthz", "/readyz"} {
			if code, body := get(t, p.url+path); code != 200 || body != "ok\n" {
				t.Errorf("%s: %d %q", path, code, body)
			}
		}
		_, metrics := get(t, p.url+"/metrics")
		for _, name := range []string{
			"stripchart_batches_total", "stripchart_samples_total", "stripchart_samples_refused_total", "stripchart_series",
			"stripchart_rooms", "stripchart_viewers", "stripchart_sent_bytes_total", "stripchart_viewer_stalls_total",
			"stripchart_join_seconds", "stripchart_apply_seconds", "stripchart_ring_bytes", "process_resident_memory_bytes",
		} {
			if !strings.Contains(metrics, "\n"+name) {
				t.Errorf("/metrics lacks %s", name)
			}
		}
		c := dial(t, p.url)
		var hello wire.Hello
		if err := json.Unmarshal(c.next(wire.EventHello), &hello); err != nil || hello.Protocol != wire.Protocol || hello.Window != 100 {
			t.Errorf("hello %+v, %v", hello, err)
		}
		if err := p.cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		var bye wire.Bye
		if err := json.Unmarshal(c.next(wire.EventBye), &bye); err != nil || bye.RetryMS <= 0 {
			t.Errorf("bye %+v, %v", bye, err)
		}
		if code := p.end(); code != exitOK {
			t.Errorf("exit code %d after %v:\n%s", code, signal, p.log)
		}
	}
}

func TestSecondStartSaysWhereTheFirstRuns(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "program", "--data-dir", dir, "--listen", "127.0.0.1:0")
	second := start(t, "program", "--data-dir", dir, "--listen", "127.0.0.1:0")
	if code := second.end(); code != exitError {
		t.Errorf("exit code %d", code)
	}
	if out := second.log.String(); !strings.Contains(out, p.url) || !strings.Contains(out, "--data-dir") {
		t.Errorf("the second start says:\n%s", out)
	}
}

func TestBadSurroundingsAreNamed(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	newer := t.TempDir()
	if err := os.WriteFile(filepath.Join(newer, "VERSION"), []byte("99\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says []string
	}{
		"port that was asked for is taken":   {[]string{"--listen", taken.Addr().String()}, exitError, []string{taken.Addr().String(), "--listen", "in use"}},
		"data directory cannot be written":   {[]string{"--data-dir", filepath.Join(file, "data")}, exitError, []string{file, "writable"}},
		"data directory of a newer version":  {[]string{"--data-dir", newer}, exitError, []string{newer, "99"}},
		"unknown flag":                       {[]string{"--lisen", "x"}, exitUsage, []string{"--lisen", "--help"}},
		"unknown command":                    {[]string{"colect"}, exitUsage, []string{"colect"}},
		"bad duration":                       {[]string{"--interval", "soon"}, exitUsage, []string{"--interval", "soon", "100s"}},
		"interval too short":                 {[]string{"--interval", "10ms"}, exitUsage, []string{"--interval", "50ms"}},
		"window too long":                    {[]string{"--window", "1y"}, exitUsage, []string{"--window", "30d"}},
		"address that others can reach":      {[]string{"--listen", "0.0.0.0:0"}, exitUsage, []string{"--insecure"}},
		"every address":                      {[]string{"--listen", ":0"}, exitUsage, []string{"--insecure"}},
		"address without a port":             {[]string{"--listen", "localhost"}, exitUsage, []string{"--listen", "host:port"}},
		"default series that is no selector": {[]string{"--default-series", "sum(up)"}, exitUsage, []string{"sum(up)", "selector"}},
		"unknown log format":                 {[]string{"--log-format", "xml"}, exitUsage, []string{"--log-format", "json"}},
	} {
		t.Run(name, func(t *testing.T) {
			args := c.args
			if !strings.Contains(strings.Join(args, " "), "--data-dir") {
				args = append([]string{"--data-dir", filepath.Join(t.TempDir(), "data")}, args...)
			}
			p := start(t, "program", args...)
			if code := p.end(); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			for _, s := range c.says {
				if !strings.Contains(p.log.String(), s) {
					t.Errorf("nothing is said of %q:\n%s", s, p.log)
				}
			}
		})
	}
}

func TestInsecureLetsOthersIn(t *testing.T) {
	p := start(t, "program", "--data-dir", t.TempDir(), "--listen", "0.0.0.0:0", "--insecure")
	if code, _ := get(t, p.url+"/healthz"); code != 200 {
		t.Errorf("/healthz: %d", code)
	}
}

func TestFlagsComeFromTheEnvironmentToo(t *testing.T) {
	t.Setenv("STRIPCHART_LISTEN", "127.0.0.1:0")
	t.Setenv("STRIPCHART_DATA_DIR", t.TempDir())
	t.Setenv("STRIPCHART_WINDOW", "5m")
	t.Setenv("STRIPCHART_LOG_FORMAT", "text")
	p := start(t, "program")
	var hello wire.Hello
	if err := json.Unmarshal(dial(t, p.url).next(wire.EventHello), &hello); err != nil || hello.Window != 300 {
		t.Errorf("hello %+v, %v", hello, err)
	}
}

func TestHelpAndVersion(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"version"}} {
		var out, errs bytes.Buffer
		if code := run(context.Background(), args, nil, &out, &errs); code != exitOK || errs.Len() > 0 || !strings.Contains(out.String(), "stripchart") {
			t.Errorf("%v: exit code %d, %q, %q", args, code, &out, &errs)
		}
	}
}

// The program in this process: no goroutine may be left behind (TestMain), also
// when it fails half-way.
func TestNothingIsLeftBehind(t *testing.T) {
	dir := t.TempDir()
	o, _, err := parse([]string{"--data-dir", dir, "--listen", "127.0.0.1:0", "--interval", "50ms"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		p, err := open(o, commandRun, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		if err := p.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
		cancel()
		for range 2 {
			if err := p.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
	}
	o.Listen = "127.0.0.1:1x"
	if _, err := open(o, commandRun, io.Discard); err == nil {
		t.Error("opened a bad address")
	}
}
