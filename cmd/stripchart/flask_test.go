package main

import (
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"stripchart/internal/bus/redisbus/redistest"
	"stripchart/internal/testkit"
)

// publisher is the loop of the recipe's streaming.py: it knows Flask-SocketIO and Redis, and nothing of us.
const publisher = `
import sys, time, datetime
from flask_socketio import SocketIO
socketio = SocketIO(message_queue=sys.argv[1])
value = 40.5
while True:
    x = datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S.%f")
    socketio.emit("update", {"x": [x], "y": [value]})
    value += 1
    time.sleep(0.05)
`

// startPublisher runs the system's own Python, as the tests in e2e/clients do; make deps installs what it needs.
func startPublisher(t *testing.T, redis string) {
	t.Helper()
	var complaints strings.Builder
	cmd := exec.Command("/usr/bin/python3", "-s", "-c", publisher, redis)
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() && complaints.Len() > 0 {
			t.Logf("the publisher says (make deps installs python3-flask-socketio and python3-redis):\n%s", &complaints)
		}
	})
}

// oldUpdates are what the recipe's page is sent in namespace /.
type oldUpdates struct {
	X []string
	Y []float64
}

// watchRoot joins namespace / and returns the next n values after the bootstrap.
func watchRoot(t *testing.T, url string, n int) (values []float64) {
	t.Helper()
	conn, _, _, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(url, "http")+"/socket.io/?EIO=3&transport=websocket")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for len(values) < n {
		_ = conn.SetReadDeadline(time.Now().Add(testkit.Patience))
		b, err := wsutil.ReadServerText(struct {
			io.Reader
			io.Writer
		}{conn, conn})
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		arg, ok := strings.CutPrefix(string(b), `42["update",`)
		if !ok {
			continue
		}
		var u oldUpdates
		if err := json.Unmarshal([]byte(strings.TrimSuffix(arg, "]")), &u); err != nil || len(u.X) != len(u.Y) {
			t.Fatalf("%s: %v", b, err)
		}
		values = append(values, u.Y...)
	}
	return values
}

// An old publisher goes on unchanged, and its page too: what it emits into Redis is in namespace /, which the recipe's
// page and /plotly open, in the history and on pages, whichever way the batches go.
func TestAnOldFlaskPublisherFeedsTheOldPageAndTheNew(t *testing.T) {
	redis := redistest.Start(t, redistest.Options{})
	startPublisher(t, redis.URL)
	const series = `cpu_usage_percent{source="flask"}`
	for name, bus := range map[string]string{"alone": "", "a collector and a server": redis.URL} {
		t.Run(name, func(t *testing.T) {
			listens := []string{"--interval", "1h", "--from-flask", redis.URL + "/0?channel=flask-socketio", "--flask-series", series}
			serves := []string{"--data-dir", t.TempDir(), "--listen", "127.0.0.1:0", "--default-series", series}
			var p *process
			if bus == "" {
				p = start(t, "program", append(listens, serves...)...)
			} else {
				start(t, "program", append(listens, "collect", "--bus", bus, "--data-dir", t.TempDir())...)
				p = start(t, "program", append(serves, "serve", "--bus", bus)...)
			}
			p.untilReady()
			if code, body := get(t, p.url+"/plotly"); code != 200 || !strings.Contains(body, "plotly") {
				t.Errorf("/plotly: %d", code)
			}
			values := watchRoot(t, p.url, 5)
			for i := 1; i < len(values); i++ {
				if values[i] != values[i-1]+1 {
					t.Errorf("the old page was sent %v", values)
				}
			}
			testkit.Eventually(t, "the samples are in the history", func() bool { return len(p.values(series)) > 5 })
		})
	}
}
