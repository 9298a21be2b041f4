package socketio

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// packetsOf returns the packets in the response to a poll; binary ones begin with "binary ".
func packetsOf(t *testing.T, protocol uint8, contentType, body string) []string {
	t.Helper()
	packets, err := decoded(body, contentType, protocol)
	if err != nil {
		t.Fatalf("response %.100q: %v", body, err)
	}
	for i, p := range packets {
		if text, is := strings.CutPrefix(p, "text "); is {
			packets[i] = text
		}
	}
	return packets
}

// python-engineio gives up on an answer of more than 16 packets.
func TestAnAnswerToAPollHasAtMost16Packets(t *testing.T) {
	for _, version := range []struct {
		query    string
		protocol uint8
		media    string
	}{
		{"EIO=4&transport=polling", protocol4, textPayload},
		{"EIO=3&transport=polling&b64=1", protocol3, textPayload},
		{"EIO=3&transport=polling", protocol3, "application/octet-stream"},
	} {
		t.Run(version.query, func(t *testing.T) {
			a := newApp()
			st := newSite(t, Config{}, map[string]Namespace{"/": a})
			status, body := st.do("GET", version.query, "")
			if status != 200 {
				t.Fatalf("handshake: %d %q", status, body)
			}
			var h handshake
			if err := json.Unmarshal([]byte(packetsOf(t, version.protocol, version.media, body)[0][1:]), &h); err != nil {
				t.Fatal(err)
			}
			q := version.query + "&sid=" + h.SID
			if version.protocol == protocol4 {
				st.expect("POST", q, "40", 200, "ok")
				st.expect("GET", q, "", 200, "40")
			}
			s := await(t, a.connected, "Connected")
			var want []string
			send := func(p *Packet) {
				want = append(want, string(p.text))
				for _, b := range p.attachments {
					want = append(want, "binary "+string(b))
				}
				if !s.Send(p) {
					t.Fatal("refused")
				}
			}
			for i := range 40 {
				send(EncodeEvent("/", "n", json.RawMessage(fmt.Sprint(i))))
			}
			// One event can be more packets than an answer takes.
			var attachments [][]byte
			for i := range 40 {
				attachments = append(attachments, []byte{byte(i)})
			}
			send(EncodeEventArgs("/", "binary", nil, attachments...))
			for i := range 15 {
				send(EncodeEventArgs("/", "small", nil, []byte{1, byte(i)}))
			}
			var got []string
			for len(got) < len(want) {
				status, body := st.do("GET", q, "")
				if status != 200 {
					t.Fatalf("poll: %d %q", status, body)
				}
				packets := packetsOf(t, version.protocol, version.media, body)
				if len(packets) > 16 {
					t.Fatalf("%d packets in one answer", len(packets))
				}
				got = append(got, packets...)
			}
			for i, p := range want {
				if got[i] != p {
					t.Fatalf("packet %d is %q, want %q", i, got[i], p)
				}
			}
		})
	}
}

// An event that an answer has taken in part goes on where the WebSocket begins.
func TestAnUpgradeWithinAnEventOfManyAttachmentsLosesNone(t *testing.T) {
	a := newApp()
	st := newSite(t, Config{}, map[string]Namespace{"/": a})
	q := st.pollSession()
	st.expect("POST", q, "40", 200, "ok")
	s := await(t, a.connected, "Connected")
	st.expect("GET", q, "", 200, "40")
	var attachments [][]byte
	for i := range 20 {
		attachments = append(attachments, []byte{byte(i)})
	}
	s.Send(EncodeEventArgs("/", "binary", nil, attachments...), EncodeEvent("/", "last", nil))
	if _, body := st.do("GET", q, ""); len(strings.Split(body, "\x1e")) != 16 {
		t.Fatalf("got %q", body)
	}
	c := st.dial(strings.Replace(q, "polling", "websocket", 1))
	c.send("2probe")
	c.expect("3probe")
	c.send("5")
	for i := 15; i < 20; i++ {
		if op, b, err := c.frame(); err != nil || op != 2 || !bytes.Equal(b, []byte{byte(i)}) {
			t.Fatalf("attachment %d: %x %q %v", i, op, b, err)
		}
	}
	c.expect(`42["last"]`)
}

// A long history must not become one answer: it is copied for it, base64 and all.
func TestAnAnswerToAPollIsBoundedInBytes(t *testing.T) {
	a := newApp()
	drained := make(chan *Socket, 1)
	a.drained = func(s *Socket) { drained <- s }
	st := newSite(t, Config{OutputBytes: 1000}, map[string]Namespace{"/": a})
	q := st.pollSession()
	st.expect("POST", q, "40", 200, "ok")
	s := await(t, a.connected, "Connected")
	st.expect("GET", q, "", 200, "40")
	p := stringEvent("part", 100_000)
	s.Send(p, p, p, p, p, p)
	if s.Send(p) {
		t.Fatal("accepted above the bound")
	}
	for left := 6; left > 0; {
		_, body := st.do("GET", q, "")
		if len(body) > answerBytes {
			t.Fatalf("%d bytes in one answer", len(body))
		}
		if len(drained) > 0 && left > 2 {
			t.Fatal("Drained while packets are queued")
		}
		left -= len(strings.Split(body, "\x1e"))
	}
	await(t, drained, "Drained")
}
