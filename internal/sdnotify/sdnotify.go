// Package sdnotify tells systemd how a program is doing: that it is ready, what
// it is at, that it lives, that it stops. Where systemd did not start the
// program, or the unit is not of Type=notify, it does nothing.
//
// Guarantees:
//
//  1. READY=1 is sent once, when Ready is closed, and STOPPING=1 once, when the
//     context ends; nothing follows it.
//  2. WATCHDOG=1 is sent at half of the unit's WatchdogSec, each time only after
//     Alive has returned true. A heart that stands still, whether Alive says so
//     or does not return, is not reported as beating; systemd then restarts the
//     program.
//  3. Until Ready is closed, each beat also prolongs the time that the start may
//     take by WatchdogSec. A long start that goes on is waited for, and one that is
//     stuck is ended, without a guess in the unit at how long a start may be.
//  4. What cannot be sent is logged once and never stops the program.
package sdnotify

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// statusEvery is how often Status is asked. Only changes are sent.
const statusEvery = time.Second

// Options say what is told. Ready, Alive and Log are required.
type Options struct {
	// Ready is closed when others may count on the program: a server can be
	// joined, a collector measures.
	Ready <-chan struct{}
	// Alive reports whether the program's heart beats. It is called in a goroutine
	// of its own, one call at a time, and may wait, as for the hub's lock.
	Alive func() bool
	// Status is one line for `systemctl status`, such as "catching up: 120 of
	// 3400". Empty leaves the last one; nil means that there are none.
	Status func() string
	Log    *slog.Logger
}

// Run tells systemd until ctx ends, and returns when the call of Alive that
// is under way, if any, has returned. Returns at once where nobody listens.
func Run(ctx context.Context, o Options) {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return
	}
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		o.Log.Warn("systemd's watchdog is not served", "err", err)
	}
	n := notifier{Options: o, watchdog: watchdog}
	n.run(ctx)
}

// notifier is the state of one Run.
type notifier struct {
	Options
	watchdog time.Duration // WatchdogSec; 0: there is none
	ready    bool
	status   string // the last that was sent
	failed   bool   // a message could not be sent, and that was logged
}

func (n *notifier) run(ctx context.Context) {
	var asking sync.WaitGroup
	defer asking.Wait()

	var beats <-chan time.Time // nil, without a watchdog, never comes
	if n.watchdog > 0 {
		ticker := time.NewTicker(n.watchdog / 2)
		defer ticker.Stop()
		beats = ticker.C
	}
	looks := time.NewTicker(statusEvery)
	defer looks.Stop()

	ready := n.Ready
	answer := make(chan bool, 1) // of Alive
	waits := false               // for an answer
	silent := false              // the heart stood still at the last beat
	miss := func() {
		if !silent {
			n.Log.Error("the program does not go on; systemd will restart it", "watchdog", n.watchdog)
		}
		silent = true
	}
	n.sendStatus()
	for {
		select {
		case <-ctx.Done():
			n.send(daemon.SdNotifyStopping)
			return
		case <-ready:
			ready, n.ready = nil, true
			n.send(daemon.SdNotifyReady)
			n.sendStatus()
		case <-looks.C:
			n.sendStatus()
		case <-beats:
			if waits {
				miss()
				continue
			}
			waits = true
			asking.Go(func() { answer <- n.Alive() })
		case alive := <-answer:
			waits = false
			if !alive {
				miss()
				continue
			}
			silent = false
			n.sendBeat()
		}
	}
}

func (n *notifier) sendBeat() {
	message := daemon.SdNotifyWatchdog
	if !n.ready {
		message += fmt.Sprintf("\nEXTEND_TIMEOUT_USEC=%d", n.watchdog.Microseconds())
	}
	n.send(message)
}

func (n *notifier) sendStatus() {
	if n.Status == nil {
		return
	}
	// A line of a message is a message of its own.
	status := strings.ReplaceAll(n.Status(), "\n", " ")
	if status == "" || status == n.status {
		return
	}
	n.status = status
	n.send("STATUS=" + status)
}

func (n *notifier) send(message string) {
	if _, err := daemon.SdNotify(false, message); err != nil && !n.failed {
		n.failed = true
		n.Log.Warn("systemd could not be told", "message", message, "err", err)
	}
}
