package socketio

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pair opens a connection to "/" and returns both its ends.
func (st *site) pair(a *app) (*client, *Socket) {
	st.t.Helper()
	c := st.join("/")
	return c, await(st.t, a.connected, "Connected")
}

func TestOutputIsCountedOncePerPacketAndUntilItHasLeft(t *testing.T) {
	a := newApp()
	st := newSite(t, Config{OutputBytes: -1}, map[string]Namespace{"/": a})
	queued := func() int64 { return st.server.Stats().QueuedBytes }
	none := func() bool { return queued() == 0 }
	var all []*client
	var sockets []*Socket
	for range 3 {
		c, s := st.pair(a)
		all, sockets = append(all, c), append(sockets, s)
	}
	q := st.pollSession()
	st.expect("POST", q, "40", 200, "ok")
	sockets = append(sockets, await(t, a.connected, "Connected"))
	st.expect("GET", q, "", 200, "40")
	eventually(t, "nothing is queued", none)
	big := stringEvent("big", 8<<20)
	for _, s := range sockets {
		s.Send(big)
	}
	if n := queued(); n != int64(big.Size()) {
		t.Fatalf("%d bytes are queued, want %d", n, big.Size())
	}
	all[0].expectPrefix(`42["big",`)
	all[1].conn.Close()
	sockets[2].Conn().kill(ReasonForcedClose)
	st.expect("GET", q, "", 200, `42["big",`)
	eventually(t, "nothing is queued", none)

	// What a session that polls has queued moves to its WebSocket, and ends with it.
	sockets[3].Send(big)
	c := st.dial(strings.Replace(q, "polling", "websocket", 1))
	c.send("2probe")
	c.expect("3probe")
	c.send("5")
	c.expectPrefix(`42["big",`)
	eventually(t, "nothing is queued", none)
	// Packets that no poll fetches are released with their session.
	late := st.pollSession()
	st.expect("POST", late, "40", 200, "ok")
	s := await(t, a.connected, "Connected")
	s.Send(big)
	s.Conn().kill(ReasonForcedClose)
	eventually(t, "nothing is queued", none)
}

// At the bound, broadcasts are still sent, and answers to single requests wait.
func TestFullOutputTakesOnlyWhatIsSmallAndTellsDrained(t *testing.T) {
	a := newApp()
	drained := make(chan *Socket, 10)
	a.drained = func(s *Socket) { drained <- s }
	st := newSite(t, Config{TotalOutputBytes: 1 << 20}, map[string]Namespace{"/": a})
	hog, hogs := st.pair(a)
	reader, s := st.pair(a)
	q := st.pollSession()
	st.expect("POST", q, "40", 200, "ok")
	polls := await(t, a.connected, "Connected")
	st.expect("GET", q, "", 200, "40")
	if !s.Conn().Ready() {
		t.Fatal("not ready while nothing is queued")
	}
	if !hogs.Send(stringEvent("big", 8<<20)) {
		t.Fatal("a call that begins below the bounds is not taken whole")
	}
	if s.Conn().Ready() || s.Send(stringEvent("large", 20<<10)) || polls.Send(stringEvent("large", 20<<10)) {
		t.Fatal("something large is taken while the output is full")
	}
	if !s.Send(stringEvent("small", 0)) || !polls.Send(stringEvent("small", 0)) {
		t.Fatal("something small is refused to a connection that reads")
	}
	if polls.Send(stringEvent("small", 0)) {
		t.Fatal("the queue of a connection grows while the output is full")
	}
	reader.expect(`42["small",""]`)
	select {
	case <-drained:
		t.Fatal("Drained while the output is full")
	case <-time.After(2 * outputWait):
	}
	hog.expectPrefix(`42["big",`)
	if got := await(t, drained, "Drained"); got != s {
		t.Fatal("Drained for another socket")
	}
	if !s.Conn().Ready() || !s.Send(stringEvent("large", 20<<10)) {
		t.Fatal("refused after Drained")
	}
	reader.expectPrefix(`42["large",`)
	st.expect("GET", q, "", 200, `42["small",""]`)
	if got := await(t, drained, "Drained"); got != polls {
		t.Fatal("Drained for another socket")
	}
	time.Sleep(2 * outputWait)
	if len(drained) != 0 {
		t.Fatal("Drained twice")
	}
}

// Connections that read do not wait for connections that do not.
func TestFullOutputIsRelievedOfThoseWhoDoNotRead(t *testing.T) {
	a := newApp()
	inBubble(t, Config{TotalOutputBytes: 1 << 20}, a, func(s *Server, p *pipes) {
		join := func() (*client, *Socket) {
			c := joinPipe(t, p)
			return c, <-a.connected
		}
		var deaf []*client
		for range 3 {
			c, socket := join()
			deaf = append(deaf, c)
			socket.Send(stringEvent("big", 400<<10))
		}
		c, reader := join()
		start := time.Now()
		for !reader.Conn().Ready() {
			time.Sleep(time.Millisecond)
		}
		if took := time.Since(start); took > relieveAfter+2*relieveEvery {
			t.Errorf("ready after %v", took)
		}
		synctest.Wait()
		if n := s.Stats().Closed[ReasonOutputFull]; n != 2 { // a quarter of the bound is free
			t.Errorf("closed: %v", s.Stats().Closed)
		}
		go reader.Send(stringEvent("big", 400<<10))
		if got, _ := c.next(); !strings.HasPrefix(got, `42["big",`) {
			t.Errorf("got %.100q", got)
		}
		for _, c := range append(deaf, c) {
			c.conn.Close()
		}
	})
}

// A long history passes a short queue on a slow line.
func TestALargeWriteMayTakeLongerThanDrainTimeout(t *testing.T) {
	a := newApp()
	inBubble(t, Config{}, a, func(s *Server, p *pipes) {
		c := joinPipe(t, p)
		socket := <-a.connected
		socket.Send(stringEvent("big", 4<<20))
		start := time.Now()
		buf := make([]byte, 16<<10)
		for n := 0; n < 4<<20; { // 16 KiB a second
			k, err := io.ReadFull(c.in, buf)
			if err != nil {
				t.Errorf("ended after %d bytes and %v: %v", n, time.Since(start), err)
				return
			}
			n += k
			if string(buf[:2]) != "2" {
				time.Sleep(time.Second)
			}
		}
		if took := time.Since(start); took < 4*time.Minute {
			t.Errorf("took %v", took)
		}
		c.conn.Close()
	})
}
