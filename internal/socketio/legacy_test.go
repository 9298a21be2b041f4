package socketio

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

const (
	eio3     = "EIO=3&transport=websocket"
	polling3 = "EIO=3&transport=polling"
)

// echoApp sends back events and acknowledges with the first argument.
func echoApp() *app {
	a := newApp()
	a.event = func(s *Socket, name string, args []json.RawMessage, ack func(json.RawMessage)) {
		s.Send(EncodeEvent(s.Namespace(), name, args[0]))
		if ack != nil {
			ack(args[0])
		}
	}
	return a
}

func TestOldClientsOverWebSocket(t *testing.T) {
	root, live := echoApp(), echoApp()
	st := newSite(t, Config{}, map[string]Namespace{"/": root, "/live": live})
	c := st.dial(eio3)
	open := c.read()
	var h handshake
	if err := json.Unmarshal([]byte(open[1:]), &h); err != nil || open[0] != '0' || h.SID == "" {
		t.Fatalf("got %q", open)
	}
	c.expect("40") // connected to "/" without asking
	s := await(t, root.connected, "Connected")
	if s.ID() != h.SID {
		t.Fatalf("id %q, want the session's, of which the client makes it", s.ID())
	}
	c.send(`421["é",{"a":"é"}]`)
	c.expect(`42["é",{"a":"é"}]`)
	c.expect(`431[{"a":"é"}]`)
	c.send("40/live?token=x")
	c.expect("40/live,")
	if got := await(t, live.connected, "Connected"); got.ID() != "/live#"+h.SID {
		t.Fatalf("id %q", got.ID())
	}
	c.send(`42/live,["x",1]`)
	c.expect(`42/live,["x",1]`)
	c.send("40/nowhere")
	c.expect(`44/nowhere,"Invalid namespace"`)
	c.send("2")
	c.expect("3")
	c.send("2probe")
	c.expect("3probe")
	c.send("3") // only servers answer pings here
	c.expectClose()
}

func TestOldClientsAttachments(t *testing.T) {
	st := newSite(t, Config{}, map[string]Namespace{"/": wholeApp{newApp()}})
	c := st.dial(eio3)
	c.expectPrefix("0")
	c.expect("40")
	c.send(`451-["up",{"_placeholder":true,"num":0}]`)
	c.sendFrame(ws.NewBinaryFrame([]byte{4, 1, 2})) // the type in front
	c.expect(`451-["up",{"_placeholder":true,"num":0}]`)
	op, b, err := c.frame()
	if err != nil || op != ws.OpBinary || string(b) != "\x04\x01\x02" {
		t.Fatalf("got %x %q %v", op, b, err)
	}
	c.sendFrame(ws.NewBinaryFrame([]byte{1}))
	c.expectClose()
}

func TestARefusedOldClientIsToldWhy(t *testing.T) {
	a := newApp()
	a.connect = func(*Socket, json.RawMessage) error { return errEmptyPacket }
	st := newSite(t, Config{}, map[string]Namespace{"/": a})
	c := st.dial(eio3)
	c.expectPrefix("0")
	c.expect(`44"` + errEmptyPacket.Error() + `"`)
}

// The clients of 2014-2018 in browsers take the binary framing, those in Node.js
// ask for text.
func TestOldClientsPollInTheFramingTheyCanRead(t *testing.T) {
	st := newSite(t, Config{}, map[string]Namespace{"/": echoApp()})
	for _, tc := range []struct {
		query, contentType, post string
		frame                    func(packet string) string
	}{
		{polling3 + "&b64=1", textPayload, `13:42["é",["é"]]1:2`, func(p string) string { return string(appendText3(nil, []byte(p))) }},
		{polling3, octets, "\x00\x01\x05\xff42[\"é\",[\"é\"]]\x00\x01\xff2", func(p string) string {
			return string(append(appendHead3(nil, frame3Text, len(p)), p...))
		}},
	} {
		status, open := st.do("GET", tc.query, "")
		i := strings.Index(open, `{"sid":"`)
		if status != 200 || i < 0 || !strings.HasSuffix(open, tc.frame("40")) {
			t.Fatalf("handshake: %d %q", status, open)
		}
		q := tc.query + "&sid=" + open[i+len(`{"sid":"`):][:26]
		if status, body := st.do("POST", q, tc.post, "Content-Type", tc.contentType); status != 200 || body != "ok" {
			t.Fatalf("POST: %d %q", status, body)
		}
		want := tc.frame(`42["\u00e9",["\u00e9"]]`) + tc.frame("3")
		if status, body := st.do("GET", q, ""); status != 200 || body != want {
			t.Fatalf("GET: %d %q, want %q", status, body, want)
		}
		// Upgrade as with the new clients.
		c := st.dial(strings.Replace(q, "polling", "websocket", 1))
		c.send("2probe")
		c.expect("3probe")
		c.send("5")
		c.send(`42["x",1]`)
		c.expect(`42["x",1]`)
		c.conn.Close()
	}
}
