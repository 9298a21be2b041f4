package socketio

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// stringEvent is an event with a string argument of n bytes.
func stringEvent(name string, n int) *Packet {
	return EncodeEvent("/", name, json.RawMessage(`"`+strings.Repeat("x", n)+`"`))
}

// fill writes until a packet is queued, and returns how many went in.
func fill(t testing.TB, c *Conn) int {
	t.Helper()
	p := stringEvent("fill", 64<<10)
	for n := 1; n < 1000; n++ {
		if !c.Write(p) {
			t.Fatal("refused although nothing was queued")
		}
		if c.queued() {
			return n
		}
	}
	t.Fatal("the socket never became full")
	return 0
}

func TestWriteAcceptsTheWholeCallBelowTheBoundAndNothingAbove(t *testing.T) {
	a := newApp()
	drained := make(chan *Socket, 10)
	a.drained = func(s *Socket) { drained <- s }
	st := newSite(t, Config{OutputBytes: 100_000}, map[string]Namespace{"/": a})
	c := st.join("/")
	s := await(t, a.connected, "Connected")
	n := fill(t, s.Conn())
	// Still below the bound (what is queued is less than one packet of 64 KiB):
	// a call that far exceeds it is taken whole.
	if !s.Send(stringEvent("big", 300_000), stringEvent("last", 0)) {
		t.Fatal("refused below the bound")
	}
	for range 3 {
		if s.Send(stringEvent("no", 0), stringEvent("no", 0)) {
			t.Fatal("accepted above the bound")
		}
	}
	for range n {
		c.expectPrefix(`42["fill",`)
	}
	c.expectPrefix(`42["big",`)
	c.expect(`42["last",""]`)
	if got := await(t, drained, "Drained"); got != s {
		t.Fatal("Drained for another socket")
	}
	if !s.Send(stringEvent("again", 0)) {
		t.Fatal("refused after Drained")
	}
	c.expect(`42["again",""]`)
	select {
	case <-drained:
		t.Fatal("Drained twice")
	case <-time.After(20 * time.Millisecond):
	}
	if got := st.server.Stats().Refused; got != 3 {
		t.Fatalf("Stats.Refused = %d, want 3", got)
	}
}

func TestWriteOnAClosedConnectionIsRefusedWithoutDrained(t *testing.T) {
	a := newApp()
	a.drained = func(*Socket) { t.Error("Drained on a closed connection") }
	st := newSite(t, Config{OutputBytes: 1000}, map[string]Namespace{"/": a})
	c := st.join("/")
	s := await(t, a.connected, "Connected")
	fill(t, s.Conn())
	s.Send(stringEvent("x", 1000)) // up to the bound
	if s.Send(stringEvent("x", 0)) {
		t.Fatal("accepted above the bound")
	}
	c.conn.Close()
	await(t, a.disconnected, "Disconnected")
	if s.Send(stringEvent("x", 0)) || s.Conn().Write(stringEvent("x", 0)) {
		t.Fatal("accepted on a closed connection")
	}
}

func TestAClientThatDoesNotReadIsClosedAndNobodyWaitsForIt(t *testing.T) {
	a := newApp()
	st := newSite(t, Config{DrainTimeout: 50 * time.Millisecond, OutputBytes: 1000}, map[string]Namespace{"/": a})
	st.join("/")
	s := await(t, a.connected, "Connected")
	// The kernel's queue is bounded too: else it would take 4 MB before anybody
	// noticed, and from each such client.
	if n := fill(t, s.Conn()); directIO && n > 16 {
		t.Fatalf("%d KiB went into the kernel", 64*n)
	}
	if got := await(t, a.disconnected, "Disconnected"); got != ReasonTooSlow {
		t.Fatalf("reason %q", got)
	}
}

func TestUnreadAcknowledgementsCloseTheConnectionAtAHardLimit(t *testing.T) {
	a := newApp()
	long := json.RawMessage(`"` + strings.Repeat("y", 16<<10) + `"`)
	a.event = func(s *Socket, _ string, _ []json.RawMessage, ack func(json.RawMessage)) {
		for !s.Conn().queued() && s.Send(stringEvent("fill", 64<<10)) {
		}
		ack(long)
	}
	st := newSite(t, Config{OutputBytes: 16 << 10, EventsPerSecond: -1}, map[string]Namespace{"/": a})
	c := st.join("/")
	for i := range 200 {
		if _, err := c.conn.Write(maskedText(fmt.Sprintf(`42%d["ask"]`, i))); err != nil {
			break
		}
	}
	if got := await(t, a.disconnected, "Disconnected"); got != ReasonTooManyAcks {
		t.Fatalf("reason %q", got)
	}
}

// Writers at full speed, a reader with pauses: every refused Write is followed
// by a Drained, what was accepted arrives, once and in order.
func TestNoWriteIsRefusedWithoutADrainedToCome(t *testing.T) {
	const viewers, packets = 8, 3000
	a := newApp()
	type state struct {
		drained chan struct{}
		next    int
	}
	a.connect = func(s *Socket, _ json.RawMessage) error {
		s.Data = &state{drained: make(chan struct{}, 1)}
		return nil
	}
	a.drained = func(s *Socket) {
		select {
		case s.Data.(*state).drained <- struct{}{}:
		default:
			t.Error("Drained twice for one episode")
		}
	}
	st := newSite(t, Config{OutputBytes: 20_000, PingInterval: time.Hour}, map[string]Namespace{"/": a})
	var wg sync.WaitGroup
	var refusals atomic.Int64
	for range viewers {
		c := st.join("/")
		// Small buffers, so that the socket is often full.
		c.conn.(*net.TCPConn).SetReadBuffer(32 << 10)
		s := await(t, a.connected, "Connected")
		if err := s.conn.net.(*net.TCPConn).SetWriteBuffer(16 << 10); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			data := s.Data.(*state)
			pad := strings.Repeat("p", 700)
			for data.next < packets {
				p := EncodeEvent("/", "n", fmt.Appendf(nil, `[%d,"%s"]`, data.next, pad))
				if s.Send(p) {
					data.next++
					continue
				}
				refusals.Add(1)
				select {
				case <-data.drained:
				case <-time.After(patience):
					t.Error("refused, and no Drained came")
					return
				}
			}
		})
		wg.Go(func() {
			for i := range packets {
				_, b, err := c.frame()
				if err != nil {
					t.Error(err)
					return
				}
				if want := fmt.Sprintf(`42["n",[%d,`, i); !strings.HasPrefix(string(b), want) {
					t.Errorf("got %.40q, want %q", b, want)
					return
				}
				if rand.IntN(200) == 0 {
					time.Sleep(2 * time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
	if refusals.Load() == 0 {
		t.Error("nothing was refused: this run has shown nothing")
	}
}

func TestBroadcastIsOneSystemCallPerViewerHoweverManyPackets(t *testing.T) {
	const viewers = 100
	a := newApp()
	st := newSite(t, Config{}, map[string]Namespace{"/": a})
	var clients []*client
	var out []Outgoing
	for range viewers {
		clients = append(clients, st.join("/"))
		out = append(out, Outgoing{Conn: await(t, a.connected, "Connected").Conn()})
	}
	gone := out[7].Conn
	clients[7].conn.Close()
	await(t, a.disconnected, "Disconnected")
	before := st.server.Stats()
	var rooms []*Packet
	for i := range 12 {
		rooms = append(rooms, EncodeEvent("/", "update", fmt.Appendf(nil, "%d", i)))
	}
	for i := range out {
		out[i].Packets = rooms[i%3:] // not all watch the same
	}
	st.server.Broadcast(out)
	for i, c := range clients {
		if out[i].OK == (out[i].Conn == gone) {
			t.Fatalf("viewer %d: OK = %v", i, out[i].OK)
		}
		if !out[i].OK {
			continue
		}
		for j := i % 3; j < 12; j++ {
			c.expect(fmt.Sprintf(`42["update",%d]`, j))
		}
	}
	after := st.server.Stats()
	if got := after.Writes - before.Writes; got != viewers-1 {
		t.Fatalf("%d system calls for %d viewers", got, viewers-1)
	}
	if got, want := after.PacketsOut-before.PacketsOut, int64(34*12+33*11+33*10-11); got != want {
		t.Fatalf("Stats.PacketsOut grew by %d, want %d", got, want)
	}
}

func TestLargeCallsLeaveTogetherToo(t *testing.T) {
	a := newApp()
	st := newSite(t, Config{}, map[string]Namespace{"/": a})
	c := st.join("/")
	s := await(t, a.connected, "Connected")
	var ps []*Packet
	for i := range 2000 { // more than a vector takes
		ps = append(ps, EncodeEvent("/", "n", fmt.Appendf(nil, `[%d,"%0100d"]`, i, 0)))
	}
	if !s.Send(ps...) {
		t.Fatal("refused")
	}
	for i := range ps {
		c.expectPrefix(fmt.Sprintf(`42["n",[%d,`, i))
	}
}

func TestBroadcastAllocatesNothingPerViewer(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, and sync.Pool drops things at random under it")
	}
	const viewers = 200
	a := newApp()
	st := newSite(t, Config{}, map[string]Namespace{"/": a})
	var out []Outgoing
	for range viewers {
		c := st.join("/")
		go func() {
			var b [4096]byte
			for {
				if _, err := c.conn.Read(b[:]); err != nil {
					return
				}
			}
		}()
		out = append(out, Outgoing{Conn: await(t, a.connected, "Connected").Conn()})
	}
	rooms := []*Packet{EncodeEvent("/", "a", nil), EncodeEvent("/", "b", nil)}
	for i := range out {
		out[i].Packets = rooms[i%2:]
	}
	perCall := testing.AllocsPerRun(50, func() { st.server.Broadcast(out) })
	// The senders' goroutines are started per call, not per viewer.
	if limit := float64(4 + 4*runtime.GOMAXPROCS(0)); perCall > limit {
		t.Fatalf("%.0f allocations for %d viewers, want at most %.0f for any number", perCall, viewers, limit)
	}
	one := out[0].Conn
	single := rooms[0]
	if got := testing.AllocsPerRun(100, func() { one.Write(single) }); got > 0 {
		t.Fatalf("Write allocates %.0f times", got)
	}
}

// A Write is taken whole while the queue is below its bound, so a bootstrap may
// exceed it by far. What the page asks for meanwhile waits behind it.
func TestAnAnswerBehindALargeWriteClosesNobody(t *testing.T) {
	a := newApp()
	a.event = func(s *Socket, _ string, _ []json.RawMessage, ack func(json.RawMessage)) {
		s.Send(stringEvent("big", 4<<20))
		ack(json.RawMessage(`"done"`))
	}
	st := newSite(t, Config{OutputBytes: 16 << 10}, map[string]Namespace{"/": a})
	c := st.join("/")
	c.send(`421["ask"]`)
	time.Sleep(100 * time.Millisecond) // the client does not read yet
	c.expectPrefix(`42["big"`)
	c.expect(`431["done"]`)
}
