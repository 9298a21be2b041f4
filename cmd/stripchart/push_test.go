package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
	"stripchart/internal/bus/rw"
	"stripchart/internal/testkit"
	"stripchart/internal/wire"
)

// pushProcess is a running stripchart push.
type pushProcess struct {
	t     testing.TB
	cmd   *exec.Cmd
	stdin io.WriteCloser
	log   bytes.Buffer // valid after end
}

func startPush(t testing.TB, url string, args ...string) *pushProcess {
	t.Helper()
	p := &pushProcess{t: t, cmd: exec.Command(os.Args[0], append([]string{"push", "--to", url}, args...)...)}
	p.cmd.Env = append(os.Environ(), actAs+"=program")
	p.cmd.Stderr = &p.log
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

func (p *pushProcess) line(format string, args ...any) {
	p.t.Helper()
	if _, err := fmt.Fprintf(p.stdin, format+"\n", args...); err != nil {
		p.t.Fatal(err)
	}
}

// end closes standard input, unless it is closed, and returns the exit code and what was
// said.
func (p *pushProcess) end() (int, string) {
	p.t.Helper()
	_ = p.stdin.Close()
	stuck := time.AfterFunc(testkit.Patience, func() { _ = p.cmd.Process.Kill() })
	defer stuck.Stop()
	_ = p.cmd.Wait() // the exit code says it
	return p.cmd.ProcessState.ExitCode(), p.log.String()
}

// values returns what a server's history has of a query, in the order of time.
func (p *process) values(query string) []float64 {
	p.t.Helper()
	got := p.historyOf(query)
	var times []int64
	for at := range got {
		times = append(times, at)
	}
	slices.Sort(times)
	values := make([]float64, 0, len(times))
	for _, at := range times {
		values = append(values, got[at])
	}
	return values
}

// A line does not wait for the next one, nor for the end.
func TestALineIsOnAnOpenPageWhilePushGoesOnReading(t *testing.T) {
	p := start(t, "program", "serve", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0")
	p.untilReady()
	page := watch(t, p, `rtt_ms{to="lab",empty=""}`)
	push := startPush(t, p.url, "rtt_ms", "--label", "to=lab", "--label", "empty=")
	for _, line := range []string{"1.5", "2.5"} {
		push.line("%s", line)
		if update := string(page.next(wire.EventUpdate)); !strings.Contains(update, line) {
			t.Errorf("after %s the page was sent %s", line, update)
		}
	}
	if code, said := push.end(); code != exitOK || said != "" {
		t.Errorf("exit code %d: %s", code, said)
	}
}

// A server that is killed and started again costs push nothing that it has read.
func TestPushLosesNothingWhenTheServerRestarts(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "program", "serve", "--data-dir", dir, "--listen", "127.0.0.1:0")
	p.untilReady()
	push := startPush(t, p.url, "n")
	number := 0
	lines := func(n int) {
		for range n {
			number++
			push.line("%d", number)
			time.Sleep(time.Millisecond) // as a program that measures would
		}
	}
	lines(100)
	testkit.Eventually(t, "the first lines are there", func() bool { return len(p.values("n")) >= 50 })
	lines(50)
	p.kill9()
	lines(100)
	p = start(t, "program", "serve", "--data-dir", dir, "--listen", strings.TrimPrefix(p.url, "http://"))
	p.untilReady()
	lines(50)
	code, said := push.end()
	if code != exitOK || !strings.Contains(said, "does not take numbers") || !strings.Contains(said, "takes numbers again") {
		t.Errorf("exit code %d: %s", code, said)
	}
	got := p.values("n")
	if len(got) != number {
		t.Fatalf("%d of %d numbers are there: %v", len(got), number, got)
	}
	for i, v := range got {
		if v != float64(i+1) {
			t.Fatalf("number %d is %v", i+1, v)
		}
	}
}

func TestLinesThatCannotBeReadAreNamedAndTheRestIsSent(t *testing.T) {
	p := start(t, "program", "serve", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0")
	p.untilReady()
	push := startPush(t, p.url, "m")
	now := time.Now().UnixMilli()
	for _, line := range []string{
		"1", "abc", "", strings.Repeat("x", maxLine+10), `{"t":21.5}`, "h=40 i=x", fmt.Sprint(now-1000, " 2"), fmt.Sprint(now-90_000_000, " 3"),
	} {
		push.line("%s", line)
	}
	if _, err := io.WriteString(push.stdin, "4"); err != nil { // without an end
		t.Fatal(err)
	}
	code, said := push.end()
	if code != exitError {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{
		`line 2: "abc" is not a number`, "line 4: the line has more than", `line 6: "i": "x" is not a number`, "1 too_old",
		"lines that could not be read: 3", "not every number was written",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("nothing is said of %q:\n%s", want, said)
		}
	}
	for query, want := range map[string]string{"m": "[2 1 4]", "m_t": "[21.5]", "m_h": "[40]"} {
		if got := fmt.Sprint(p.values(query)); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

func TestHelpOfPushNamesTheLineOfCurlAndTheServer(t *testing.T) {
	code, said, _ := command(t, nil, "push", "--help")
	for _, want := range []string{"curl -d 42 http://127.0.0.1:5000/api/v1/push/my_number", "without it http://127.0.0.1:5000"} {
		if code != exitOK || !strings.Contains(strings.Join(strings.Fields(said), " "), want) {
			t.Errorf("exit code %d: %q is not in %s", code, want, said)
		}
	}
}

func TestPushSaysWhatIsWrongWithItsArguments(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler()) // something else listens there
	defer web.Close()
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"push"}, exitUsage, "<name>"},
		{[]string{"push", ""}, exitUsage, "no metric name"},
		{[]string{"push", "m", "--label", "x"}, exitUsage, "want name=value"},
		{[]string{"push", "m", "--label", "a=1", "--label", "a=2"}, exitUsage, "there twice"},
		{[]string{"push", "m", "--label", "__name__=x"}, exitUsage, "argument NAME"},
		{[]string{"push", "m", "--to", "localhost:5000"}, exitUsage, "--to"},
		{[]string{"push", "m", "--data-dir", "x"}, exitUsage, "--data-dir means nothing to stripchart push"},
		{[]string{"push", "m", "--window", "1h"}, exitUsage, "--window means nothing to stripchart push"},
		{[]string{"push", "m", "--to", web.URL}, exitError, "give that with --to; numbers that were not sent: 1"},
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), c.args, strings.NewReader("1\n"), &out, &errs); code != c.code || !strings.Contains(errs.String(), c.says) {
			t.Errorf("%q: exit code %d, %s; want %d, %s", c.args, code, &errs, c.code, c.says)
		}
	}
}

// A stop sends what was read, and takes no longer than it may when the server is away.
func TestPushStopsWhenItIsTold(t *testing.T) {
	p := start(t, "program", "serve", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0")
	p.untilReady()
	push := startPush(t, p.url, "m")
	push.line("1")
	testkit.Eventually(t, "the line is there", func() bool { return len(p.values("m")) == 1 })
	if err := push.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := push.cmd.Wait(); err == nil || push.log.String() != "stripchart: stopped before the end of the input; 1 lines were read and acknowledged\n" {
		t.Errorf("with everything sent that was read: %v, %s", err, &push.log)
	}
	p.kill9()
	push = startPush(t, p.url, "m")
	push.line("1")
	if err := push.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code, said := push.end(); code == exitOK {
		t.Errorf("exit code %d: %s", code, said)
	}
}

// Who pushes a file and is stopped learns that not all of it is there, and how much is.
func TestPushSaysThatItWasStoppedBeforeTheEnd(t *testing.T) {
	var mu sync.Mutex
	got := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		b, _, err := rw.Decode(body, rw.Limits{})
		if err != nil {
			t.Error(err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		got += b.Samples()
		w.Header().Set(httpbus.HeaderSamplesWritten, fmt.Sprint(b.Samples()))
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	ctx, stop := context.WithCancel(t.Context())
	time.AfterFunc(time.Second, stop)
	var errs bytes.Buffer
	code := run(ctx, []string{"push", "m", "--to", server.URL}, strings.NewReader(strings.Repeat("a=1 b=2\n", 20_000)), io.Discard, &errs)
	mu.Lock()
	defer mu.Unlock()
	if want := fmt.Sprintf("stripchart: stopped before the end of the input; %d lines were read and acknowledged\n", got/2); code != exitError || errs.String() != want || got == 0 {
		t.Errorf("exit code %d, %q; want %q", code, &errs, want)
	}
}

// sentLines runs a reader and a sender on in, as stripchart push does.
func sentLines(t *testing.T, ctx context.Context, in io.Reader, publish func(context.Context, *bus.Batch) error) (said string, reader *lineReader, err error) {
	t.Helper()
	var mu sync.Mutex
	var log strings.Builder
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(&log, format+"\n", args...)
	}
	r := newLineReader([][2]string{{"__name__", "m"}}, say)
	stop := make(chan struct{})
	go r.run(in, stop)
	s := &lineSender{publish: publish, readings: r.readings, ended: r.ended, say: say, to: "the server"}
	err = s.run(ctx)
	close(stop)
	synctest.Wait()
	return log.String(), r, err
}

// Every line is sent once, in order, with a time of its own, however the server answers.
func TestLinesOutliveAServerThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lines = 3*maxRequest + 7
		var in strings.Builder
		for n := range lines {
			fmt.Fprintln(&in, n)
		}
		began := time.Now()
		var taken []bus.Sample
		tries := 0
		said, _, err := sentLines(t, t.Context(), strings.NewReader(in.String()), func(_ context.Context, b *bus.Batch) error {
			if tries++; tries%3 != 0 {
				return errors.New("connection refused")
			}
			if len(b.Series) != 1 || len(b.Series[0].Samples) > maxRequest {
				t.Errorf("a request of %d series and %d samples", len(b.Series), b.Samples())
			}
			taken = append(taken, b.Series[0].Samples...)
			return nil
		})
		if err != nil || len(taken) != lines {
			t.Fatalf("%v: %d of %d: %s", err, len(taken), lines, said)
		}
		for i, x := range taken {
			if x.V != float64(i) || i > 0 && x.T <= taken[i-1].T {
				t.Fatalf("sample %d is %+v", i, x)
			}
		}
		if ahead := taken[lines-1].T - time.Now().UnixMilli(); ahead > maxAhead.Milliseconds() {
			t.Errorf("after %v the times are %d ms ahead", time.Since(began), ahead)
		}
	})
}

func TestPushGivesUpAMinuteAfterTheLastLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		said, _, err := sentLines(t, t.Context(), strings.NewReader("1\n2\n"), func(context.Context, *bus.Batch) error { return errors.New("connection refused") })
		if d := time.Since(began); err == nil || d < lastTries || d > lastTries+5*time.Second {
			t.Errorf("after %v: %v", d, err)
		}
		if strings.Count(said, "connection refused") != 1 || !strings.Contains(err.Error(), "not sent: 2") {
			t.Errorf("%q, %v", said, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Hour, stop)
		in, out := io.Pipe()
		defer out.Close()
		go func() { _, _ = out.Write([]byte("1\n")) }()
		began := time.Now()
		_, _, err := sentLines(t, ctx, in, func(context.Context, *bus.Batch) error { return errors.New("connection refused") })
		if d := time.Since(began); err == nil || d < time.Hour || d > time.Hour+stopTries+5*time.Second {
			t.Errorf("stopped after an hour, it ended after %v: %v", d, err)
		}
		in.Close()
	})
}

// Reading waits when as much waits as may; nothing is dropped.
func TestReadingWaitsForTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().UnixMilli()
		const lines = maxWaiting + 3*maxRequest
		var read atomic.Int64
		var in readerFunc = func(p []byte) (int, error) {
			n := read.Add(1)
			if n > lines {
				return 0, io.EOF
			}
			return copy(p, fmt.Sprintf("%d %d\n", now-lines+n, n)), nil
		}
		var away atomic.Bool
		away.Store(true)
		time.AfterFunc(time.Hour, func() {
			if n := read.Load(); n > maxWaiting+maxRequest+2 { // those that wait, those under way, and one that nobody takes yet
				t.Errorf("%d lines were read while the server was away", n)
			}
			away.Store(false)
		})
		got := 0
		said, _, err := sentLines(t, t.Context(), in, func(_ context.Context, b *bus.Batch) error {
			if away.Load() {
				return errors.New("away")
			}
			got += b.Samples()
			return nil
		})
		if !strings.Contains(said, "nothing more is read until") {
			t.Errorf("it is not said: %s", said)
		}
		if err != nil || got != lines {
			t.Errorf("%v: %d samples", err, got)
		}
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// What the server says of a request is told, and ends nothing.
func TestWhatTheServerDoesNotTakeIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		first error
		fatal bool
	}{
		"in part":       {fmt.Errorf("%w: 1 too_old", bus.ErrNotAllWritten), false},
		"not recorded":  {bus.ErrNotStored, false},
		"refused":       {fmt.Errorf("%w: 400", bus.ErrRefused), false},
		"wrong address": {fmt.Errorf("%w: 404", httpbus.ErrWrongAddress), true},
	} {
		synctest.Test(t, func(t *testing.T) {
			published := 0
			in, out := io.Pipe()
			go func() {
				for range 2 {
					_, _ = out.Write([]byte("1\n")) // the test fails by the count
					time.Sleep(time.Second)
				}
				out.Close()
			}()
			said, _, err := sentLines(t, t.Context(), in, func(context.Context, *bus.Batch) error {
				if published++; published == 1 {
					return c.first
				}
				return nil
			})
			in.Close()
			time.Sleep(2 * time.Second) // the writer ends
			if err == nil || c.fatal != (published == 1) || !c.fatal && !strings.Contains(said, c.first.Error()) {
				t.Errorf("%s: %d requests, %v, %q", name, published, err, said)
			}
		})
	}
}

// The first two lines of "Your own numbers" in README.md, as they stand there.
func TestTheFirstLinesOfYourOwnNumbers(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "\n## Your own numbers\n")
	_, section, _ = strings.Cut(section, "```sh\n")
	lines := strings.SplitN(section, "\n", 3)
	if len(lines) < 3 || !strings.HasPrefix(lines[0], "ping -i 1 ::1 |") || !strings.HasPrefix(lines[1], "curl -d 21.5 ") {
		t.Fatalf("README.md begins that section with %q", lines)
	}
	p := start(t, "program", "serve", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0")
	p.untilReady()
	// A ping that ends, in the words of the real one; and the program under its name.
	path := t.TempDir()
	for name, script := range map[string]string{
		"ping": `echo "PING ::1(::1) 56 data bytes"
for n in 1 2 3; do echo "64 bytes from ::1: icmp_seq=$n ttl=64 time=0.04$n ms"; done
echo; echo "--- ::1 ping statistics ---"; echo "3 packets transmitted, 3 received, 0% packet loss, time 2031ms"
echo "rtt min/avg/max/mdev = 0.041/0.042/0.043/0.000 ms"`,
		"stripchart": `exec env ` + actAs + `=program '` + os.Args[0] + `' "$@"`,
	} {
		if err := os.WriteFile(filepath.Join(path, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range lines[:2] {
		sh := exec.Command("sh", "-c", strings.ReplaceAll(line, "http://127.0.0.1:5000", p.url))
		sh.Env = append(os.Environ(), "PATH="+path+":"+os.Getenv("PATH"), "STRIPCHART_TO="+p.url)
		if out, err := sh.CombinedOutput(); err != nil || strings.Contains(string(out), "error") {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
	for query, want := range map[string]string{"rtt_ms": "[0.041 0.042 0.043]", "room_celsius": "[21.5]"} {
		if got := fmt.Sprint(p.values(query)); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}
