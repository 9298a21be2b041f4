package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/gobwas/ws/wsutil"

	"stripchart/internal/socketio"
	"stripchart/internal/socketio/siotest"
	"stripchart/internal/testkit"
	"stripchart/internal/wire"
)

const (
	metricRefused = `stripchart_connections_refused_total{answer="too many connections"}`
	metricOfAddr  = `stripchart_connections_refused_total{answer="too many connections from this address"}`
	metricDropped = `stripchart_packets_dropped_total`
)

func metricClosed(reason string) string {
	return fmt.Sprintf("stripchart_connections_closed_total{reason=%q}", reason)
}

// metric reads a figure of the program; 0 if it is not there.
func metric(t testing.TB, p *process, name string) float64 {
	t.Helper()
	_, text := get(t, p.url+"/metrics")
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			f, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return f
		}
	}
	return 0
}

// counted waits for a counter, which may be behind what a client sees.
func counted(t testing.TB, p *process, name string, want float64) {
	t.Helper()
	for end := time.Now().Add(testkit.Patience); metric(t, p, name) != want; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s is %v, want %v", name, metric(t, p, name), want)
		}
	}
}

// limited starts the program with a limit, which it is to show.
func limited(t testing.TB, limit, value string, args ...string) *process {
	t.Helper()
	p := start(t, "program", append(args, "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0")...)
	if _, text := get(t, p.url+"/metrics"); !strings.Contains(text, fmt.Sprintf("\nstripchart_limit{limit=%q} %s\n", limit, value)) {
		t.Errorf("/metrics does not show the limit %s as %s", limit, value)
	}
	return p
}

// refusedFrom expects a WebSocket and a poll from an address to get 503.
func refusedFrom(t *testing.T, p *process, from string) {
	t.Helper()
	var status ws.StatusError
	if _, err := openSocket(p, from); !errors.As(err, &status) || status != http.StatusServiceUnavailable {
		t.Errorf("a WebSocket gets %v, want 503", err)
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext:       (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext,
	}
	r, err := (&http.Client{Timeout: testkit.Patience, Transport: transport}).Get(p.url + "/socket.io/?EIO=4&transport=polling")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		t.Errorf("a poll gets %d, Retry-After %q; want 503 and a time", r.StatusCode, r.Header.Get("Retry-After"))
	}
}

func TestConnectionsAreLimitedByFlags(t *testing.T) {
	enter := func(t *testing.T, p *process, from string) *siotest.Client {
		t.Helper()
		conn, err := openSocket(p, from)
		if err != nil {
			t.Fatalf("from %s: %v", from, err)
		}
		t.Cleanup(conn.Close)
		return conn
	}
	t.Run("in total", func(t *testing.T) {
		p := limited(t, "connections", "3", "--max-connections", "3")
		first := enter(t, p, "127.0.0.1")
		enter(t, p, "127.0.0.1")
		enter(t, p, "127.0.0.2")
		refusedFrom(t, p, "127.0.0.3")
		counted(t, p, metricRefused, 2)
		first.Close()
		counted(t, p, "stripchart_connections", 2)
		enter(t, p, "127.0.0.3")
	})
	t.Run("per address", func(t *testing.T) {
		p := limited(t, "connections_per_address", "2", "--max-connections-per-address", "2", "--max-connections", "none")
		enter(t, p, "127.0.0.1")
		enter(t, p, "127.0.0.1")
		refusedFrom(t, p, "127.0.0.1")
		counted(t, p, metricOfAddr, 2)
		enter(t, p, "127.0.0.2")
	})
}

func TestAConnectionThatJoinsNothingIsCut(t *testing.T) {
	p := limited(t, "connect_seconds", "3", "--connect-timeout", "3s")
	stays := dial(t, p.url)
	idle, err := openSocket(p, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if code := idle.Closed(); code != 0 {
		t.Errorf("closed with %d, want no close frame", code)
	}
	counted(t, p, metricClosed(socketio.ReasonConnectTimeout), 1)
	var a wire.Subscribed
	stays.ask(wire.EventSubscribe, wire.Subscribe{Query: "load1"}, &a)
	if !a.OK {
		t.Errorf("one that has joined gets %+v", a)
	}
}

func TestPacketSizeIsLimitedByAFlag(t *testing.T) {
	p := limited(t, "packet_bytes", "2048", "--max-packet", "2k")
	event := func(size int) string {
		const around = `42/live,["x",""]`
		return `42/live,["x","` + strings.Repeat("x", size-len(around)) + `"]`
	}
	c := dial(t, p.url)
	c.send(event(2048))
	var a wire.Subscribed
	if c.ask(wire.EventSubscribe, wire.Subscribe{Query: "load1"}, &a); !a.OK {
		t.Errorf("after a packet of the largest size: %+v", a)
	}
	c.send(event(2049))
	if code := c.Closed(); code != ws.StatusMessageTooBig {
		t.Errorf("closed with %d, want 1009", code)
	}
	counted(t, p, metricClosed(socketio.ReasonTooLarge), 1)
}

func TestEventsPerSecondAreLimitedByAFlag(t *testing.T) {
	p := limited(t, "events_per_second", "10", "--max-events", "10")
	c := dial(t, p.url)
	var burst bytes.Buffer
	for range 500 { // however slow this machine
		if err := wsutil.WriteClientText(&burst, []byte(`42/live,["x"]`)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Write(burst.Bytes()); err != nil {
		t.Fatal(err)
	}
	if code := c.Closed(); code != ws.StatusPolicyViolation {
		t.Errorf("closed with %d, want 1008", code)
	}
	counted(t, p, metricClosed(socketio.ReasonTooManyMessages), 1)
}

// A page that does not read is sent no more than the bound, and has every sample
// once when it reads again.
func TestOutputIsLimitedByAFlag(t *testing.T) {
	p := limited(t, "output_bytes", "4096", "--max-output", "4k", "--max-events", "10000", "--interval", "50ms")
	c := dial(t, p.url)
	var watched, all wire.Subscribed
	c.ask(wire.EventSubscribe, wire.Subscribe{Query: `cpu_usage_percent{cpu="total"}`}, &watched)
	c.ask(wire.EventSubscribe, wire.Subscribe{Query: `{__name__=~".+"}`}, &all)
	if !watched.OK || !all.OK {
		t.Fatalf("answers %+v, %+v", watched, all)
	}
	// Answers fill the socket sooner than updates alone.
	for end := time.Now().Add(testkit.Patience); metric(t, p, metricDropped) == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nothing was dropped")
		}
		now := time.Now().UnixMilli()
		c.send(fmt.Sprintf(`42/live,1000["history",{"query":"{__name__=~\".+\"}","from":%d,"to":%d,"points":1200}]`, now-60_000, now))
	}
	stopped := time.Now().UnixMilli()

	var times []int64
	for len(times) == 0 || times[len(times)-1] < stopped+200 {
		packet := c.read()
		var m struct {
			Room   string  `json:"room"`
			From   *string `json:"from"`
			Blocks []struct {
				X []int64 `json:"x"`
			} `json:"blocks"`
		}
		arg, isUpdate := strings.CutPrefix(packet, `42/live,["update",`)
		if !isUpdate {
			var isBootstrap bool
			if arg, isBootstrap = strings.CutPrefix(packet, `42/live,["bootstrap",`); !isBootstrap {
				continue
			}
		}
		if err := json.Unmarshal([]byte(strings.TrimSuffix(arg, "]")), &m); err != nil {
			t.Fatalf("%s: %v", packet, err)
		}
		if m.Room != watched.Room {
			continue
		}
		if !isUpdate && m.From == nil {
			times = nil
		}
		for _, b := range m.Blocks {
			times = append(times, b.X...)
		}
	}
	var h struct {
		OK     bool `json:"ok"`
		Blocks []struct {
			X []int64 `json:"x"`
		} `json:"blocks"`
	}
	c.ask(wire.EventHistory, map[string]any{"query": `cpu_usage_percent{cpu="total"}`, "from": times[0], "to": times[len(times)-1], "points": 20_000}, &h)
	if !h.OK || len(h.Blocks) != 1 || !slices.Equal(times, h.Blocks[0].X) {
		t.Errorf("the page holds the times %v, the history is %+v", times, h)
	}
}

func TestCompressionIsAgreedOnUnlessSwitchedOff(t *testing.T) {
	for _, args := range [][]string{nil, {"--compress-from", "0"}} {
		p := start(t, "program", append(args, "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0")...)
		var dialer ws.Dialer
		dialer.Extensions = append(dialer.Extensions, wsflate.DefaultParameters.Option())
		conn, _, handshake, err := dialer.Dial(context.Background(), "ws"+strings.TrimPrefix(p.url, "http")+"/socket.io/?EIO=4&transport=websocket")
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		if got := len(handshake.Extensions) == 1; got != (args == nil) {
			t.Errorf("%v: extensions %v", args, handshake.Extensions)
		}
	}
}

// The defaults of the flags are those of package socketio.
func TestDefaultLimits(t *testing.T) {
	for name, c := range map[string]struct {
		args       []string
		perAddress int // of socketio.Config
	}{
		"loopback":      {nil, -1},
		"others":        {[]string{"--listen", "0.0.0.0:5000", "--insecure"}, 0},
		"loopback, set": {[]string{"--max-connections-per-address", "7"}, 7},
		"others, none":  {[]string{"--listen", "0.0.0.0:5000", "--insecure", "--max-connections-per-address", "none"}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			o, _, err := parse(c.args, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			got := limitsOf(socketio.NewServer(o.sockets(o.capacity(manyDescriptors), nil)).Config())
			want := limitsOf(socketio.NewServer(socketio.Config{MaxConnsPerAddr: c.perAddress}).Config())
			if got != want {
				t.Errorf("limits %v, want %v", got, want)
			}
		})
	}
}

// Descriptors are kept back for the store and for measuring, and connections for what is no viewer.
func TestConnectionsFitTheDescriptors(t *testing.T) {
	public := []string{"--listen", "0.0.0.0:5000", "--insecure"}
	for name, c := range map[string]struct {
		descriptors int
		args        []string
		want        capacity
	}{
		"plenty":             {1 << 20, nil, capacity{51024, -1, 50000, -1}},
		"a unit's":           {65536, nil, capacity{51024, -1, 50000, -1}},
		"here":               {20000, nil, capacity{19488, -1, 18464, -1}},
		"few":                {1024, nil, capacity{768, -1, 576, -1}},
		"few, none":          {1024, []string{"--max-connections", "none"}, capacity{768, -1, 576, -1}},
		"fewer wanted":       {1024, []string{"--max-connections", "3"}, capacity{768, -1, 3, -1}},
		"many, fewer wanted": {65536, []string{"--max-connections", "3"}, capacity{1027, -1, 3, -1}},
		"public":             {65536, public, capacity{51024, 4064, 50000, 2000}},
		"public, few":        {1024, public, capacity{768, 480, 576, 288}},
		"public, none":       {1024, append(public[:3:3], "--max-connections-per-address", "none"), capacity{768, -1, 576, -1}},
		"public, two":        {65536, append(public[:3:3], "--max-connections-per-address", "2"), capacity{51024, 68, 50000, 2}},
		"hardly any":         {8, public, capacity{6, 3, 5, 2}},
	} {
		o, _, err := parse(c.args, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if got := o.capacity(c.descriptors); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func limitsOf(c socketio.Config) [6]int {
	return [...]int{c.MaxConns, c.MaxConnsPerAddr, int(c.ConnectTimeout), c.MaxPayload, c.EventsPerSecond, c.OutputBytes}
}

func TestBadLimitsAreRefused(t *testing.T) {
	for _, c := range []struct{ flag, value, says string }{
		{"--max-connections", "0", "or none"},
		{"--max-connections", "many", "or none"},
		{"--max-connections-per-address", "0", "or none"},
		{"--connect-timeout", "99ms", "100ms to 5m"},
		{"--connect-timeout", "6m", "100ms to 5m"},
		{"--max-packet", "1023", "1k to 16M"},
		{"--max-packet", "17M", "1k to 16M"},
		{"--max-packet", "64kB", "64k or 1M"},
		{"--max-packet", "9999999M", "64k or 1M"},
		{"--max-packet", "-1", "64k or 1M"},
		{"--max-events", "9", "10 to 10000"},
		{"--max-events", "10001", "10 to 10000"},
		{"--max-events", "x", "int"},
		{"--max-series", "0", "1 to 100000000"},
		{"--max-series", "100000001", "1 to 100000000"},
		{"--max-new-series", "0", "1 to 100000000"},
		{"--max-new-series", "100000001", "1 to 100000000"},
		{"--max-output", "3k", "4k to 64M"},
		{"--max-output", "65M", "4k to 64M"},
		{"--max-queries", "0", "1 to 1000"},
		{"--max-queries", "1001", "1 to 1000"},
		{"--query-timeout", "99ms", "100ms to 10m"},
		{"--query-timeout", "11m", "100ms to 10m"},
		{"--max-query-samples", "999", "1000 to 1000000000"},
		{"--memory-limit", "63M", "64M or more"},
		{"--memory-limit", "much", "64k or 1M"},
		{"--memory-limit", "9999999999G", "2G"},
		{"--memory-limit", "-1", "64k or 1M"},
	} {
		_, _, err := parse([]string{c.flag + "=" + c.value}, io.Discard)
		if err == nil || !strings.Contains(err.Error(), c.flag) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s=%s: %v; want a word of %q", c.flag, c.value, err, c.says)
		}
	}
}
