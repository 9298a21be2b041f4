package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"stripchart/internal/testkit"
	"stripchart/internal/wire"
)

// withDescriptors starts the program where it may have so many files open.
func withDescriptors(t testing.TB, n int, args ...string) *process {
	t.Helper()
	return startCommand(t, "program", exec.Command("/bin/sh", append([]string{"-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, n), os.Args[0]}, args...)...))
}

// hold sends the beginning of a request from each of n connections. The channel is
// closed when the server has ended them all.
func hold(t testing.TB, p *process, n int, heads ...string) <-chan struct{} {
	t.Helper()
	var wait sync.WaitGroup
	address := strings.TrimPrefix(p.url, "http://")
	for i := range n {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(testkit.Patience))
		_, _ = io.WriteString(c, heads[i%len(heads)]) // it may be refused already
		wait.Go(func() {
			// Ended by the server: a reset too, where it had not read everything.
			if _, err := io.Copy(io.Discard, c); err != nil && os.IsTimeout(err) {
				t.Error("a request that never ends was not cut")
			}
		})
	}
	ended := make(chan struct{})
	go func() { wait.Wait(); close(ended) }()
	return ended
}

// A stranger who holds as many connections as there are descriptors stops nothing: the
// collector goes on measuring, a page that is there goes on receiving, probes are
// answered, and the next page gets in.
func TestRequestsThatNeverEndStopNothing(t *testing.T) {
	p := withDescriptors(t, 1024, "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0", "--interval", "100ms")
	viewer := dial(t, p.url)
	var a wire.Subscribed
	if viewer.ask(wire.EventSubscribe, wire.Subscribe{Query: `cpu_usage_percent{cpu="total"}`}, &a); !a.OK {
		t.Fatalf("%+v", a)
	}
	viewer.next(wire.EventBootstrap)

	const length = "Content-Length: 1000\r\n\r\n"
	ended := hold(t, p, 1010,
		"POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\nContent-Encoding: snappy\r\n"+length,
		"GET / HTTP/1.1\r\nHost: localhost\r\n"+length,
		"POST /healthz HTTP/1.1\r\nHost: localhost\r\n"+length,
		"POST /socket.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: localhost\r\n"+length,
		"POST / HTTP/1.1\r\nHost: evil.example\r\n"+length,
		"GET / HTTP/1.1\r\nHo",
		"",
	)
	probes := &http.Client{Timeout: testkit.Patience, Transport: &http.Transport{DisableKeepAlives: true}}
	newest := int64(0)
	for i := 0; i < 50; { // so many ticks: five seconds in which all are held, or refused
		var u wire.Update
		if err := json.Unmarshal(viewer.next(wire.EventUpdate), &u); err != nil {
			t.Fatal(err)
		}
		for _, b := range u.Blocks {
			for _, x := range b.X {
				if newest > 0 && x-newest > 5000 { // half of the time for which a request is held
					t.Errorf("nothing was measured for %d ms", x-newest)
				}
				newest = x
				i++
			}
		}
		if i%10 == 0 {
			r, err := probes.Get(p.url + "/readyz")
			if err != nil {
				t.Errorf("a probe: %v", err)
				continue
			}
			r.Body.Close()
			if r.StatusCode != http.StatusOK {
				t.Errorf("a probe: %d", r.StatusCode)
			}
		}
	}
	<-ended
	another := dial(t, p.url)
	if another.ask(wire.EventSubscribe, wire.Subscribe{Query: "load1"}, &a); !a.OK {
		t.Errorf("the next page: %+v", a)
	}
	if l := p.log.String(); strings.Contains(l, "too many open files") {
		t.Errorf("it says:\n%s", l)
	}
	if n := metric(t, p, `stripchart_limit{limit="open_connections"}`); n != 768 {
		t.Errorf("%v connections may be open", n)
	}
	p.stop()
}
