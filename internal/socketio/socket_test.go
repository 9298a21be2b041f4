package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

func TestOpenPacketTellsTheSession(t *testing.T) {
	st := newSite(t, Config{PingInterval: 30 * time.Second, PingTimeout: 7 * time.Second, MaxPayload: 1234}, nil)
	c := st.dial(eio4)
	var h handshake
	text := c.read()
	if err := json.Unmarshal([]byte(text[1:]), &h); err != nil {
		t.Fatal(err)
	}
	if text[0] != '0' || len(h.SID) < 20 || len(h.Upgrades) != 0 || h.PingInterval != 30000 || h.PingTimeout != 7000 || h.MaxPayload != 1234 {
		t.Fatalf("got %s", text)
	}
}

func TestNamespacesEventsAndAcks(t *testing.T) {
	a := newApp()
	a.connect = func(s *Socket, auth json.RawMessage) error {
		s.Data = string(auth)
		if string(auth) == `{"token":"bad"}` {
			return errors.New("token is unknown")
		}
		return nil
	}
	a.event = func(s *Socket, name string, args []json.RawMessage, ack func(json.RawMessage)) {
		switch name {
		case "echo":
			s.Send(EncodeEvent(s.Namespace(), "echoed", args[0]))
		case "ask":
			go func() { ack(args[0]); ack(json.RawMessage("2")) }()
		case "nothing":
			ack(nil)
		}
	}
	st := newSite(t, Config{}, map[string]Namespace{"/": newApp(), "/live": a})
	c := st.open()
	c.send(`40/live,{"token":"bad"}`)
	c.expect(`44/live,{"message":"token is unknown"}`)
	c.send(`40/nowhere,`)
	c.expect(`44/nowhere,{"message":"Invalid namespace"}`)
	c.send(`40/live,{"token":"good"}`)
	c.expectPrefix(`40/live,{"sid":"`)
	s := await(t, a.connected, "Connected")
	if s.Data != `{"token":"good"}` || s.Namespace() != "/live" || !s.Connected() {
		t.Fatalf("socket %+v", s)
	}
	c.send(`42/live,["echo",{"a":[1,2,"\u00e9"]}]`)
	c.expect(`42/live,["echoed",{"a":[1,2,"\u00e9"]}]`)
	c.send(`42/live,17["ask",{"b":null}]`)
	c.expect(`43/live,17[{"b":null}]`)
	c.send(`42/live,18["nothing"]`)
	c.expect(`43/live,18[]`)

	c.connect("/")
	c.send("41/live,")
	if got := await(t, a.disconnected, "Disconnected"); got != ReasonClientLeft {
		t.Fatalf("reason %q", got)
	}
	if s.Send(EncodeEvent("/live", "late", nil)) {
		t.Fatal("a socket that left can still send")
	}
	c.connect("/live") // and back
	s = await(t, a.connected, "Connected again")
	s.Disconnect()
	s.Disconnect()
	c.expect("41/live,")
	if got := await(t, a.disconnected, "Disconnected"); got != ReasonServerLeft {
		t.Fatalf("reason %q", got)
	}
	c.send(`42/live,["echo",1]`) // sent before the client had heard of it
	c.connect("/live")
	await(t, a.connected, "Connected a third time")
	c.conn.Close()
	if got := await(t, a.disconnected, "Disconnected"); got != ReasonTransportClose {
		t.Fatalf("reason %q", got)
	}
}

func TestAttachmentsAreRefusedPolitelyUnlessWanted(t *testing.T) {
	a := newApp()
	st := newSite(t, Config{}, map[string]Namespace{"/": a})
	c := st.join("/")
	c.send(`451-5["upload",{"_placeholder":true,"num":0}]`)
	c.sendFrame(ws.NewBinaryFrame([]byte{1, 2, 3}))
	c.expect(`435[` + binaryRefusal + `]`)
	// The connection is as good as before.
	c.send(`42["x"]`)
	c.connectAgainFails()
}

// connectAgainFails ends the connection, which shows that it was alive.
func (c *client) connectAgainFails() {
	c.t.Helper()
	c.send("40")
	if code := c.expectClose(); code != ws.StatusPolicyViolation {
		c.t.Fatalf("closed with %d", code)
	}
}

// wholeApp takes attachments.
type wholeApp struct{ *app }

func (wholeApp) Receive(s *Socket, m Message) {
	if m.Reply != nil {
		m.Reply(m.Args, m.Attachments)
		return
	}
	s.Send(EncodeEventArgs(s.Namespace(), m.Name, m.Args, m.Attachments...))
}

func TestAttachmentsInBothDirections(t *testing.T) {
	st := newSite(t, Config{}, map[string]Namespace{"/b": wholeApp{newApp()}})
	c := st.join("/b")
	for _, head := range []string{`452-/b,["up",`, `452-/b,7["up",`} {
		c.send(head + `{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`)
		c.sendFrame(ws.NewBinaryFrame([]byte{1, 2, 3}))
		c.sendFrame(ws.NewBinaryFrame(nil))
		want := `452-/b,["up",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`
		if head != `452-/b,["up",` {
			want = `462-/b,7[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`
		}
		c.expect(want)
		for _, want := range []string{"\x01\x02\x03", ""} {
			op, b, err := c.frame()
			if err != nil || op != ws.OpBinary || string(b) != want {
				t.Fatalf("got %x %q %v, want binary %q", op, b, err, want)
			}
		}
	}
}

func TestShutdownFlushesAndLetsClientsComeBack(t *testing.T) {
	a := newApp()
	st := newSite(t, Config{}, map[string]Namespace{"/": a})
	c := st.join("/")
	s := await(t, a.connected, "Connected")
	big := EncodeEvent("/", "big", json.RawMessage(`"`+string(make([]byte, 8<<20))+`"`))
	if !s.Send(big, EncodeEvent("/", "bye", nil)) {
		t.Fatal("not sent")
	}
	done := make(chan error, 1)
	go func() { done <- st.server.Shutdown(context.Background()) }()
	for range 2 {
		if _, _, err := c.frame(); err != nil {
			t.Fatal(err)
		}
	}
	// No DISCONNECT packet: after one, the official clients stay away.
	if code := c.expectClose(); code != ws.StatusGoingAway {
		t.Fatalf("closed with %d", code)
	}
	c.conn.Close()
	if err := await(t, done, "Shutdown"); err != nil {
		t.Fatal(err)
	}
	if got := await(t, a.disconnected, "Disconnected"); got != ReasonShutdown {
		t.Fatalf("reason %q", got)
	}
	if status, _ := st.do("GET", "EIO=4&transport=polling", ""); status != 503 {
		t.Fatalf("a stopped server answers %d", status)
	}
	if err := st.server.Shutdown(context.Background()); err != nil {
		t.Fatal("second Shutdown:", err)
	}
}
