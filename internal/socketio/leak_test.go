package socketio

import (
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// Clients that come and go in every way, clean and unclean, while packets are
// sent to them: afterwards the server is as it was before.
func TestNothingIsLeftOfTenThousandClients(t *testing.T) {
	const clients = 10_000
	a := newApp()
	a.connected, a.disconnected = make(chan *Socket, clients), make(chan string, clients)
	st := newSite(t, Config{
		PingInterval: 300 * time.Millisecond, PingTimeout: 300 * time.Millisecond,
		ConnectTimeout: time.Second, UpgradeTimeout: 300 * time.Millisecond,
		OutputBytes: 10_000, MaxConnsPerAddr: -1,
	}, map[string]Namespace{"/": a})
	addr := st.web.Listener.Addr().String()

	round := func(n int) {
		var wg sync.WaitGroup
		places := make(chan struct{}, 50)
		for i := range n {
			places <- struct{}{}
			wg.Go(func() {
				defer func() { <-places }()
				leave(t, st, addr, i)
			})
		}
		// Somebody sends to all of them meanwhile.
		stop := make(chan struct{})
		var sending sync.WaitGroup
		sending.Go(func() {
			p := stringEvent("update", 3000)
			var out []Outgoing
			for {
				select {
				case s := <-a.connected:
					out = append(out, Outgoing{Conn: s.Conn(), Packets: []*Packet{p}})
				case <-stop:
					return
				default:
					st.server.Broadcast(out[max(0, len(out)-100):])
				}
			}
		})
		wg.Wait()
		close(stop)
		sending.Wait()
		eventually(t, "every connection has ended", func() bool { return st.server.Stats().Connections == 0 })
		http.DefaultClient.CloseIdleConnections()
	}
	measure := func(limit int) (goroutines int, heap uint64) {
		eventually(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= limit })
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return runtime.NumGoroutine(), m.HeapAlloc
	}
	round(clients / 10) // pools and maps have their size after it
	a.ends = map[*Socket]int{}
	goroutines, heap := measure(10)
	s := st.server
	// What is kept for each client is kept for those of every round. What many at once have
	// made pools and maps grow by, on a busy machine, is not.
	for again := range 3 {
		round(clients)
		if err := a.balanced(); err != nil {
			t.Fatal(err)
		}
		a.ends = map[*Socket]int{}
		_, heapAfter := measure(goroutines)
		if s.heartbeat.count != 0 || len(s.sessions) != 0 || len(s.conns) != 0 || s.admitted.total != 0 || len(s.admitted.byAddr) != 0 || s.Stats().Polling != 0 {
			t.Fatalf("left: heartbeat %d, sessions %d, conns %d, admitted %+v, polling %d",
				s.heartbeat.count, len(s.sessions), len(s.conns), s.admitted, s.Stats().Polling)
		}
		t.Logf("%d clients: heap %d KB before, %d KB after; closed: %v", clients, heap>>10, heapAfter>>10, s.Stats().Closed)
		grown := int64(heapAfter) - int64(heap)
		if grown <= 100*int64(clients) {
			return
		}
		if again == 2 {
			t.Errorf("the heap grows with every round, the last time by %d bytes a client", grown/int64(clients))
		}
		heap = heapAfter
	}
}

// leave is one client's life, of a kind chosen by i.
func leave(t *testing.T, st *site, addr string, i int) {
	if i%4 == 0 {
		leavePolling(t, st, addr, i/4)
		return
	}
	c, err := tryDial(addr, "", eio4)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.conn.Close()
	kind := rand.IntN(8)
	if kind > 0 { // else it never joins
		_, _ = c.conn.Write(maskedText("40"))
		for range 1 + rand.IntN(3) {
			if _, _, err := c.frame(); err != nil {
				return
			}
		}
	}
	switch kind {
	case 1: // WebSocket's goodbye
		_, _ = c.conn.Write(maskedFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, ""))))
		waitForEnd(c)
	case 2: // Engine.IO's goodbye
		_, _ = c.conn.Write(maskedText("1"))
		waitForEnd(c)
	case 3: // leaves the namespace, then vanishes
		_, _ = c.conn.Write(maskedText("41"))
	case 4: // reset
		_ = c.conn.(*net.TCPConn).SetLinger(0)
	case 5: // garbage
		_, _ = c.conn.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
		waitForEnd(c)
	case 6: // half a frame
		_, _ = c.conn.Write(maskedText(strings.Repeat("x", 500))[:100])
	case 7: // silence; the ping timeout ends it
		if i%16 == 1 {
			waitForEnd(c)
		}
	}
}

func waitForEnd(c *client) {
	for {
		if _, _, err := c.frame(); err != nil {
			return
		}
	}
}

func leavePolling(t *testing.T, st *site, addr string, i int) {
	get := func(query string) string {
		resp, err := http.Get("http://" + addr + "/?" + query)
		if err != nil {
			t.Error(err)
			return ""
		}
		defer resp.Body.Close()
		var b [200]byte
		n, _ := resp.Body.Read(b[:])
		return string(b[:n])
	}
	post := func(query, body string) {
		resp, err := http.Post("http://"+addr+"/?"+query, textPayload, strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		resp.Body.Close()
	}
	open := get(polling4)
	_, rest, ok := strings.Cut(open, `"sid":"`)
	if !ok {
		t.Errorf("handshake: %q", open)
		return
	}
	q := polling4 + "&sid=" + rest[:26]
	if i%5 > 0 { // else it never joins
		post(q, "40")
		get(q)
	}
	switch i % 5 {
	case 1: // goodbye
		post(q, "1")
	case 2: // garbage
		post(q, "x")
	case 3, 4: // an upgrade that succeeds, or fails; then vanishes
		c, err := tryDial(addr, "", strings.Replace(q, "polling", "websocket", 1))
		if err != nil {
			return // a slow machine: the session has timed out
		}
		defer c.conn.Close()
		_, _ = c.conn.Write(maskedText("2probe"))
		if i%5 == 3 {
			_, _ = c.conn.Write(maskedText("5"))
		}
		_, _, _ = c.frame()
	}
}
