package socketio

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// rsv returns f with a reserved bit set.
func rsv(f ws.Frame) ws.Frame {
	f.Header.Rsv = ws.Rsv(true, false, false)
	return f
}

func TestWebSocketProtocolErrorsCloseWithTheirCode(t *testing.T) {
	text := func(s string) ws.Frame { return ws.NewTextFrame([]byte(s)) }
	cases := []struct {
		name string
		send []byte
		want ws.StatusCode
	}{
		{"unmasked", ws.MustCompileFrame(text(`42["x"]`)), ws.StatusProtocolError},
		{"reserved bit", maskedFrame(rsv(text("3"))), ws.StatusProtocolError},
		{"reserved opcode", maskedFrame(ws.NewFrame(3, true, nil)), ws.StatusProtocolError},
		{"reserved control opcode", maskedFrame(ws.NewFrame(11, true, nil)), ws.StatusProtocolError},
		{"fragmented ping", maskedFrame(ws.NewFrame(ws.OpPing, false, nil)), ws.StatusProtocolError},
		{"long ping", maskedFrame(ws.NewPingFrame(make([]byte, 126))), ws.StatusProtocolError},
		{"continuation of nothing", maskedFrame(ws.NewFrame(ws.OpContinuation, true, nil)), ws.StatusProtocolError},
		{"message within a message", append(maskedFrame(ws.NewFrame(ws.OpText, false, []byte("4"))), maskedText("3")...), ws.StatusProtocolError},
		{"length beyond 63 bits", []byte{0x81, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, ws.StatusProtocolError},
		{"not UTF-8", maskedText("4\xff"), ws.StatusInvalidFramePayloadData},
		// Refused when the length is known; the payload need not come.
		{"too big", maskedText(strings.Repeat("4", 1001))[:8], ws.StatusMessageTooBig},
		{"too big in fragments", append(maskedFrame(ws.NewFrame(ws.OpText, false, make([]byte, 600))),
			maskedFrame(ws.NewFrame(ws.OpContinuation, true, make([]byte, 600)))...), ws.StatusMessageTooBig},
		{"empty message", maskedText(""), ws.StatusPolicyViolation},
		{"endless fragments", append(maskedFrame(ws.NewFrame(ws.OpText, false, nil)),
			bytes.Repeat(maskedFrame(ws.NewFrame(ws.OpContinuation, false, nil)), maxFragments+1)...), ws.StatusPolicyViolation},
		{"close frame of one byte", maskedFrame(ws.NewCloseFrame([]byte{3})), ws.StatusProtocolError},
		{"close code that may not be sent", maskedFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1005, ""))), ws.StatusProtocolError},
		{"close reason not UTF-8", maskedFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "\xff"))), ws.StatusProtocolError},
		// The peer's own farewell is answered with its code.
		{"close without code", maskedFrame(ws.NewCloseFrame(nil)), ws.StatusNormalClosure},
		{"close 1001", maskedFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1001, "bye"))), ws.StatusGoingAway},
		{"close 4321", maskedFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(4321, ""))), 4321},
	}
	st := newSite(t, Config{MaxPayload: 1000}, map[string]Namespace{"/": newApp()})
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c := st.join("/")
			c.t = t
			c.sendBytes(tc.send)
			if code := c.expectClose(); code != tc.want {
				t.Fatalf("closed with %d, want %d", code, tc.want)
			}
			c.expectEnd()
		})
	}
}

func TestProtocolErrorsOfTheUpperLayersCloseTheConnection(t *testing.T) {
	st := newSite(t, Config{MaxPayload: 1000}, map[string]Namespace{"/": newApp(), "/other": newApp()})
	for _, send := range []string{
		"abc", "0", "2", "5", "7", // Engine.IO: what only the server sends, or nobody
		"4", "4abc", "47", "49", "4\"x\"",
		"40", "40[1]", // connected already; no array
		"42/other,[\"x\"]", "42/nowhere,[\"x\"]", // not connected
		"42", "42{}", `42"x"`, "42[]", "42[1]", "42[null]", `42["x"`, `42["x"] 1`, `42abc["x"]`, `42-1["x"]`,
		`429007199254740993["x"]`, `4299999999999999999999["x"]`,
		`42["connect"]`, `42["disconnect"]`, `42["newListener"]`, // the client's library emits these itself
		`43["x"]`, `431{}`, "43", "41{}", `44{"message":"x"}`,
		`45["x"]`, `450-["x"]`, `4565-["x"]`, `451["x"]`,
	} {
		t.Run(send, func(t *testing.T) {
			c := st.join("/")
			c.t = t
			c.send(send)
			if code := c.expectClose(); code != ws.StatusPolicyViolation {
				t.Fatalf("closed with %d", code)
			}
		})
	}
	t.Run("binary out of the blue", func(t *testing.T) {
		c := st.join("/")
		c.sendFrame(ws.NewBinaryFrame([]byte{1}))
		c.expectClose()
	})
	t.Run("text instead of an attachment", func(t *testing.T) {
		c := st.join("/")
		c.send(`451-["x",{"_placeholder":true,"num":0}]`)
		c.send(`42["x"]`)
		c.expectClose()
	})
	t.Run("attachments beyond the maximum payload", func(t *testing.T) {
		c := st.join("/")
		c.send(`452-["x"]`)
		c.sendFrame(ws.NewBinaryFrame(make([]byte, 600)))
		c.sendFrame(ws.NewBinaryFrame(make([]byte, 600)))
		if code := c.expectClose(); code != ws.StatusMessageTooBig {
			t.Fatalf("closed with %d", code)
		}
	})
}

func TestFragmentsAndControlFramesInBetween(t *testing.T) {
	a := newApp()
	a.event = func(s *Socket, name string, args []json.RawMessage, _ func(json.RawMessage)) {
		s.Send(EncodeEvent("/", name, args[0]))
	}
	st := newSite(t, Config{EventsPerSecond: -1, MaxPayload: 100_000}, map[string]Namespace{"/": a})
	c := st.join("/")
	var b []byte
	b = append(b, maskedFrame(ws.NewFrame(ws.OpText, false, []byte(`42["x","h`)))...)
	b = append(b, maskedFrame(ws.NewPingFrame([]byte("are you there")))...)
	b = append(b, maskedFrame(ws.NewPongFrame(nil))...)
	b = append(b, maskedFrame(ws.NewFrame(ws.OpContinuation, false, []byte("\xc3")))...) // half of é
	b = append(b, maskedFrame(ws.NewFrame(ws.OpContinuation, false, nil))...)
	b = append(b, maskedFrame(ws.NewFrame(ws.OpContinuation, true, []byte("\xa9\"]")))...)
	b = append(b, maskedText(`42["y","`+strings.Repeat("z", 70_000)+`"]`)...)
	for _, step := range []int{len(b), 4096, 1000, 33} {
		for rest := b; len(rest) > 0; rest = rest[min(step, len(rest)):] {
			c.sendBytes(rest[:min(step, len(rest))])
		}
		op, payload, err := c.frame()
		if err != nil || op != ws.OpPong || string(payload) != "are you there" {
			t.Fatalf("got %x %q %v, want the pong", op, payload, err)
		}
		c.expect(`42["x","hé"]`)
		c.expect(`42["y","` + strings.Repeat("z", 70_000) + `"]`)
	}
}

// FuzzFrames checks that a stream of bytes means the same however it is cut
// into reads, and that no message exceeds the maximum.
func FuzzFrames(f *testing.F) {
	f.Add(maskedText("40"), uint8(1))
	f.Add(append(maskedFrame(ws.NewFrame(ws.OpText, false, []byte("4"))), maskedFrame(ws.NewFrame(ws.OpContinuation, true, []byte("2")))...), uint8(3))
	f.Add(append(maskedFrame(ws.NewPingFrame([]byte("x"))), maskedFrame(ws.NewCloseFrame(nil))...), uint8(2))
	f.Add(maskedFrame(ws.NewBinaryFrame(make([]byte, 200))), uint8(5))
	f.Add([]byte{0x81, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, uint8(9))
	f.Fuzz(func(t *testing.T, stream []byte, step uint8) {
		const limit = 300
		run := func(step int) (log []string) {
			r := &frameReader{max: limit}
			for rest := bytes.Clone(stream); len(rest) > 0; {
				n := min(step, len(rest))
				err := r.feed(rest[:n], func(op ws.OpCode, payload []byte) error {
					if len(payload) > limit {
						t.Fatalf("message of %d bytes", len(payload))
					}
					log = append(log, fmt.Sprintf("%x %q", op, payload))
					return nil
				})
				if err != nil {
					return append(log, err.Error())
				}
				if len(r.message) > limit {
					t.Fatalf("%d bytes kept", len(r.message))
				}
				rest = rest[n:]
			}
			return append(log, fmt.Sprint("idle ", r.idle()))
		}
		whole, cut := run(len(stream)+1), run(int(step)+1)
		if strings.Join(whole, "\n") != strings.Join(cut, "\n") {
			t.Fatalf("whole:\n%q\nin steps of %d:\n%q", whole, int(step)+1, cut)
		}
	})
}
