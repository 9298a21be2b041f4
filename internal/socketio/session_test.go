package socketio

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// The session that Accept makes of the handshake is with the connection when the
// application first sees it, and stays, also over an upgrade.
func TestTheSessionOfTheHandshakeTravelsWithTheConnection(t *testing.T) {
	var requests atomic.Int64
	a := newApp()
	st := newSite(t, Config{Accept: func(r *http.Request) (Session, error) {
		return Session{Address: "network of " + r.URL.Query().Get("user"), Data: requests.Add(1)}, nil
	}}, map[string]Namespace{"/": a})
	mustBe := func(transport string, want Session) *Socket {
		t.Helper()
		s := await(t, a.connected, "Connected")
		if got := s.Conn().Session(); got != want {
			t.Errorf("%s: %+v, want %+v", transport, got, want)
		}
		return s
	}
	c := st.dial("EIO=4&transport=websocket&user=ada")
	c.expectPrefix("0")
	c.send("40")
	mustBe("websocket", Session{Address: "network of ada", Data: int64(1)})

	status, body := st.do("GET", polling4+"&user=bob", "")
	if status != 200 {
		t.Fatalf("handshake: %d %q", status, body)
	}
	q := session(t, body)
	st.expect("POST", q, "40", 200, "ok")
	s := mustBe("polling", Session{Address: "network of bob", Data: int64(2)})
	st.expect("GET", q, "", 200, "40")
	up := st.dial(strings.Replace(q, "polling", "websocket", 1))
	up.send("2probe")
	up.expect("3probe")
	up.send("5")
	eventually(t, "the upgrade", func() bool { return st.server.Stats().Polling == 0 })
	if got := s.Conn().Session(); got != (Session{Address: "network of bob", Data: int64(2)}) {
		t.Errorf("after the upgrade: %+v", got)
	}
}

// A token that was removed must not go on polling, nor upgrade.
func TestEveryRequestOfASessionIsJudgedAnew(t *testing.T) {
	var removed atomic.Bool
	st := newSite(t, Config{Accept: func(*http.Request) (Session, error) {
		if removed.Load() {
			return Session{}, errors.New("your token was removed")
		}
		return Session{}, nil
	}}, map[string]Namespace{"/": newApp()})
	q := st.pollSession()
	st.expect("POST", q, "40", 200, "ok")
	removed.Store(true)
	const refused = `{"code":4,"message":"your token was removed"}`
	st.expect("GET", q, "", 403, refused)
	st.expect("POST", q, "2", 403, refused)
	if _, err := tryDial(st.web.Listener.Addr().String(), "", strings.Replace(q, "polling", "websocket", 1)); err == nil {
		t.Error("the session was upgraded")
	}
}
