package sdnotify

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	// watchdog is WatchdogSec in these tests; a beat is due at half of it.
	watchdog = 100 * time.Millisecond
	// patience is how long a message may take on a busy machine.
	patience = 2 * time.Minute
)

func TestReadyIsSaidWhenItIsTrueAndStoppingAtTheEnd(t *testing.T) {
	s := listen(t)
	ready := make(chan struct{})
	stop := s.run(t, Options{Ready: ready, Alive: always})

	s.until(t, "WATCHDOG=1")
	s.until(t, "WATCHDOG=1")
	if s.heard("READY=1") {
		t.Fatalf("it is not ready yet: %q", s.messages)
	}
	close(ready)
	s.until(t, "READY=1")
	stop()
	s.until(t, "STOPPING=1")
	if last := s.messages[len(s.messages)-1]; last != "STOPPING=1" || s.next(t, 2*watchdog) != "" {
		t.Errorf("something followed the end: %q", s.messages)
	}
	if n := s.count("READY=1"); n != 1 {
		t.Errorf("READY=1 was sent %d times", n)
	}
}

func TestALongStartIsProlongedWhileTheHeartBeatsAndNotAfterwards(t *testing.T) {
	s := listen(t)
	ready := make(chan struct{})
	s.run(t, Options{Ready: ready, Alive: always})

	prolonged := "WATCHDOG=1\nEXTEND_TIMEOUT_USEC=" + strconv.FormatInt(watchdog.Microseconds(), 10)
	for range 3 {
		if got := s.next(t, patience); got != prolonged {
			t.Fatalf("got %q, want %q", got, prolonged)
		}
	}
	close(ready)
	s.until(t, "READY=1")
	if got := s.next(t, patience); got != "WATCHDOG=1" {
		t.Errorf("after the start: %q", got)
	}
}

func TestADeadHeartStopsThePings(t *testing.T) {
	s := listen(t)
	var log bytes.Buffer
	var dead atomic.Bool
	stop := s.run(t, Options{
		Ready: closed(), Alive: func() bool { return !dead.Load() }, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	s.until(t, "WATCHDOG=1")
	dead.Store(true)
	s.silence(t)

	dead.Store(false)
	s.until(t, "WATCHDOG=1")
	stop()
	if n := strings.Count(log.String(), "does not go on"); n != 1 {
		t.Errorf("said %d times that it stands still:\n%s", n, &log)
	}
}

func TestAHeartThatDoesNotAnswerStopsThePingsAndIsAskedOnce(t *testing.T) {
	s := listen(t)
	locked := make(chan struct{})
	var asked atomic.Int32
	stop := s.run(t, Options{Ready: closed(), Alive: func() bool {
		asked.Add(1)
		<-locked
		return true
	}})
	s.until(t, "READY=1")
	s.silence(t)
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times while it waited", n)
	}
	close(locked)
	s.until(t, "WATCHDOG=1")
	stop()
}

func TestAStuckHeartDoesNotKeepTheEndFromBeingSaid(t *testing.T) {
	s := listen(t)
	locked, asked := make(chan struct{}), make(chan struct{})
	stop := s.run(t, Options{Ready: closed(), Alive: func() bool {
		close(asked)
		<-locked
		return false
	}})
	<-asked
	go stop()
	s.until(t, "STOPPING=1")
	close(locked)
}

func TestStatusIsALineAndIsSentWhenItChanges(t *testing.T) {
	s := listen(t)
	ready := make(chan struct{})
	var status atomic.Value
	status.Store("catching up: 1 of 2\nREADY=1")
	s.run(t, Options{Ready: ready, Alive: always, Status: func() string { return status.Load().(string) }})

	s.until(t, "STATUS=catching up: 1 of 2 READY=1")
	status.Store("")
	close(ready)
	s.until(t, "READY=1")
	status.Store("3 viewers")
	s.until(t, "STATUS=3 viewers")
	for range 3 {
		s.until(t, "WATCHDOG=1")
	}
	if n := s.count("STATUS="); n != 2 {
		t.Errorf("%d statuses: %q", n, s.messages)
	}
}

func TestWithoutAWatchdogNobodyIsAsked(t *testing.T) {
	s := listen(t)
	t.Setenv("WATCHDOG_USEC", "")
	stop := s.run(t, Options{Ready: closed(), Alive: func() bool {
		t.Error("asked")
		return true
	}})
	s.until(t, "READY=1")
	if got := s.next(t, 2*watchdog); got != "" {
		t.Errorf("got %q", got)
	}
	stop()
	s.until(t, "STOPPING=1")
}

func TestWithoutSystemdNothingHappens(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	Run(t.Context(), Options{}) // returns before ctx ends
}

func TestAManagerThatIsGoneIsReportedOnceAndBorne(t *testing.T) {
	s := listen(t)
	var log bytes.Buffer
	beats := make(chan struct{}, 100)
	if err := s.conn.Close(); err != nil {
		t.Fatal(err)
	}
	stop := s.run(t, Options{Ready: closed(), Log: slog.New(slog.NewTextHandler(&log, nil)), Alive: func() bool {
		beats <- struct{}{}
		return true
	}})
	for range 3 {
		<-beats
	}
	stop()
	if n := strings.Count(log.String(), "could not be told"); n != 1 {
		t.Errorf("said %d times:\n%s", n, &log)
	}
}

func always() bool { return true }

func closed() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// manager is systemd's side: the socket that a unit's program is given.
type manager struct {
	conn     *net.UnixConn
	messages []string // all that were read
}

// listen opens the socket and sets the environment that systemd would.
func listen(t *testing.T) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_PID", "")
	t.Setenv("WATCHDOG_USEC", strconv.FormatInt(watchdog.Microseconds(), 10))
	return &manager{conn: conn}
}

// run starts Run and returns what ends it and waits; the test's end does so too.
func (s *manager) run(t *testing.T, o Options) (stop func()) {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		Run(ctx, o)
	}()
	stop = func() {
		cancel()
		<-over
	}
	t.Cleanup(stop)
	return stop
}

// next returns the next message, or "" when none comes within the time.
func (s *manager) next(t *testing.T, within time.Duration) string {
	t.Helper()
	if err := s.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1024)
	n, err := s.conn.Read(buf)
	if err != nil {
		return ""
	}
	s.messages = append(s.messages, string(buf[:n]))
	return string(buf[:n])
}

// until reads until a message begins with want.
func (s *manager) until(t *testing.T, want string) {
	t.Helper()
	for {
		switch got := s.next(t, patience); {
		case got == "":
			t.Fatalf("no %q within %v; heard %q", want, patience, s.messages)
		case strings.HasPrefix(got, want):
			return
		}
	}
}

// silence fails unless, after a ping that may have been under way, none comes
// for the time after which systemd would act.
func (s *manager) silence(t *testing.T) {
	t.Helper()
	for range 2 {
		if s.next(t, 2*watchdog) == "" {
			return
		}
	}
	t.Fatalf("pings go on: %q", s.messages)
}

func (s *manager) heard(prefix string) bool { return s.count(prefix) > 0 }

func (s *manager) count(prefix string) (n int) {
	for _, m := range s.messages {
		if strings.HasPrefix(m, prefix) {
			n++
		}
	}
	return n
}
