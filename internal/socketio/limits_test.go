package socketio

import (
	"math"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

func TestConnectionsInTotalAndPerAddressAreLimited(t *testing.T) {
	st := newSite(t, Config{MaxConns: 5, MaxConnsPerAddr: 3}, map[string]Namespace{"/": newApp()})
	refused := func(local, why string) {
		t.Helper()
		_, err := tryDial(st.web.Listener.Addr().String(), local, eio4)
		if err == nil || !strings.Contains(err.Error(), "503") {
			t.Fatalf("%s: got %v, want 503", why, err)
		}
	}
	var first *client
	for i := range 3 {
		c := st.dialFrom("127.0.0.2", eio4)
		c.expectPrefix("0")
		if i == 0 {
			first = c
		}
	}
	refused("127.0.0.2", "fourth of one address")
	st.dialFrom("127.0.0.3", eio4).expectPrefix("0")
	st.pollSession() // counts too, from 127.0.0.1
	refused("127.0.0.4", "sixth in total")
	if status, body := st.do("GET", polling4, ""); status != 503 || !strings.Contains(body, errTooManyConns.Error()) {
		t.Fatalf("polling gets %d %q", status, body)
	}
	stats := st.server.Stats()
	if stats.Connections != 5 || stats.Polling != 1 || stats.Addresses != 3 ||
		stats.Rejected[errTooManyConns.Error()] != 2 || stats.Rejected[errTooManyOfAddr.Error()] != 1 {
		t.Fatalf("stats %+v", stats)
	}
	first.conn.Close()
	eventually(t, "the place is free", func() bool { return st.server.Stats().Connections == 4 })
	st.dialFrom("127.0.0.2", eio4).expectPrefix("0")
}

func TestAFailedHandshakeTakesNoPlace(t *testing.T) {
	st := newSite(t, Config{MaxConns: 1}, map[string]Namespace{"/": newApp()})
	for range 3 {
		// An Upgrade header without the rest of the WebSocket handshake.
		if status, _ := st.do("GET", eio4, "", "Upgrade", "websocket", "Connection", "Upgrade"); status != 400 {
			t.Fatalf("got %d", status)
		}
		// The answer may be here before the place is given back.
		eventually(t, "the place is free", func() bool {
			st.server.mu.Lock()
			defer st.server.mu.Unlock()
			return st.server.admitted.total == 0
		})
	}
	st.open()
}

func TestAnAcknowledgementThatNobodyAskedForIsIgnored(t *testing.T) {
	st := newSite(t, Config{}, map[string]Namespace{"/": echoApp()})
	c := st.join("/")
	c.send(`431["yes",2]`)
	c.send(`42["x",1]`)
	c.expect(`42["x",1]`)
}

func TestTooLargeAPacketClosesTheConnection(t *testing.T) {
	large := `42["` + strings.Repeat("x", 1000) + `"]`
	t.Run("WebSocket", func(t *testing.T) {
		a := newApp()
		st := newSite(t, Config{MaxPayload: 1000}, map[string]Namespace{"/": a})
		c := st.join("/")
		c.send(large)
		if code := c.expectClose(); code != ws.StatusMessageTooBig {
			t.Fatalf("closed with %d", code)
		}
		c.conn.Close()
		if got := await(t, a.disconnected, "Disconnected"); got != ReasonTooLarge {
			t.Fatalf("reason %q", got)
		}
	})
	t.Run("polling", func(t *testing.T) {
		a := newApp()
		st := newSite(t, Config{MaxPayload: 1000}, map[string]Namespace{"/": a})
		q := st.pollSession()
		st.expect("POST", q, "40", 200, "ok")
		st.expect("POST", q, large, 413, "{")
		if got := await(t, a.disconnected, "Disconnected"); got != ReasonTooLarge {
			t.Fatalf("reason %q", got)
		}
		if n := st.server.Stats().Rejected[refusePayload.reason]; n != 1 {
			t.Fatalf("%d refused", n)
		}
	})
}

// A handshake costs its client nothing, so no number of them may keep others out.
func TestSessionsThatDoNotJoinKeepNobodyOut(t *testing.T) {
	for _, protocol := range []string{"EIO=4", "EIO=3"} {
		t.Run(protocol, func(t *testing.T) {
			a := newApp()
			st := newSite(t, Config{MaxConns: 1000, MaxConnsPerAddr: 500}, map[string]Namespace{"/": a})
			joined := st.pollSession()
			st.expect("POST", joined, "40", 200, "ok")
			st.expect("GET", joined, "", 200, "40")
			for range 1500 {
				if status, body := st.do("GET", protocol+"&transport=polling", ""); status != 200 {
					t.Fatalf("a handshake gets %d %q", status, body)
				}
			}
			st.join("/")
			st.expect("POST", joined, `42["x"]`, 200, "ok") // who has joined, stays
			eventually(t, "the others have gone", func() bool { return st.server.Stats().Connections == 102 })
			stats := st.server.Stats()
			if stats.Joining != 100 || stats.Closed[ReasonDisplaced] != 1400 {
				t.Fatalf("stats %+v", stats)
			}
			// The newest have their places still.
			late := st.pollSession()
			st.expect("POST", late, "40", 200, "ok")
			if n := st.server.Stats().Joining; n != 99 {
				t.Fatalf("%d are joining", n)
			}
		})
	}
}

func TestAnOldClientJoinsWithItsFirstPoll(t *testing.T) {
	st := newSite(t, Config{}, map[string]Namespace{"/": newApp()})
	st.pollSession()
	_, body := st.do("GET", "EIO=3&transport=polling&b64=1", "")
	_, sid, _ := strings.Cut(body, `"sid":"`)
	sid, _, _ = strings.Cut(sid, `"`)
	if n := st.server.Stats().Joining; n != 2 {
		t.Fatalf("%d are joining", n)
	}
	st.expect("POST", "EIO=3&transport=polling&b64=1&sid="+sid, "1:2", 200, "ok")
	if n := st.server.Stats().Joining; n != 1 {
		t.Fatalf("%d are joining", n)
	}
}

func TestASmallLimitLeavesRoomForJoining(t *testing.T) {
	for n, want := range map[int]int{1: 1, 2: 1, 5: 2, 100: 50, 1000: 100, 50_000: 5000, math.MaxInt: 5000} {
		if got := limitsFor(n).joining; got != want {
			t.Errorf("of %d connections %d may be joining, want %d", n, got, want)
		}
	}
}
