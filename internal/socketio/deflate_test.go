package socketio

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
)

// joinDeflating is join by a client that asks for compression.
func (st *site) joinDeflating() *client {
	st.t.Helper()
	dialer := ws.Dialer{}
	dialer.Extensions = append(dialer.Extensions, wsflate.DefaultParameters.Option())
	c, err := dialWith(dialer, st.web.Listener.Addr().String(), eio4)
	if err != nil {
		st.t.Fatal(err)
	}
	c.t = st.t
	st.t.Cleanup(func() { c.conn.Close() })
	c.expectPrefix("0")
	c.connect("/")
	return c
}

func deflatedText(t *testing.T, text string) ws.Frame {
	t.Helper()
	f, err := wsflate.CompressFrame(ws.NewTextFrame([]byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestLargePacketsAreCompressedForThoseWhoAsk(t *testing.T) {
	a := echoApp()
	st := newSite(t, Config{CompressFrom: 512}, map[string]Namespace{"/": a})
	plain, asking := st.join("/"), st.joinDeflating()
	out := []Outgoing{{Conn: await(t, a.connected, "Connected").Conn()}, {Conn: await(t, a.connected, "Connected").Conn()}}
	long := strings.Repeat("0.25,", 2000)
	packets := []*Packet{EncodeEvent("/", "small", nil), EncodeEvent("/", "large", json.RawMessage(`"`+long+`"`)), EncodeEvent("/", "end", nil)}
	for i := range out {
		out[i].Packets = packets
	}
	before := st.server.Stats().BytesOut
	for range 2 {
		st.server.Broadcast(out)
		plain.expect(`42["small"]`)
		plain.expect(`42["large","` + long + `"]`)
		plain.expect(`42["end"]`)
		asking.expect(`42["small"]`)
		h, err := ws.ReadHeader(asking.in)
		if err != nil || !h.Rsv1() || h.OpCode != ws.OpText {
			t.Fatalf("got %+v, %v", h, err)
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(asking.in, payload); err != nil {
			t.Fatal(err)
		}
		f, err := wsflate.DecompressFrame(ws.Frame{Header: h, Payload: payload})
		if err != nil || string(f.Payload) != `42["large","`+long+`"]` {
			t.Fatalf("got %.50q, %v", f.Payload, err)
		}
		asking.expect(`42["end"]`)
	}
	if sent := st.server.Stats().BytesOut - before; sent > 2*(10_000+2_000) {
		t.Fatalf("%d bytes sent", sent)
	}

	asking.sendFrame(deflatedText(t, `42["x","y"]`))
	asking.expect(`42["x","y"]`)
	asking.send(`42["x","not compressed"]`)
	asking.expect(`42["x","not compressed"]`)
	// In fragments, with a ping in between.
	f := deflatedText(t, `42["x","`+strings.Repeat("z", 300)+`"]`)
	first, rest := ws.Frame{Header: f.Header, Payload: f.Payload[:5]}, ws.NewFrame(ws.OpContinuation, true, f.Payload[5:])
	first.Header.Fin, first.Header.Length = false, 5
	asking.sendBytes(bytes.Join([][]byte{maskedFrame(first), maskedFrame(ws.NewPingFrame(nil)), maskedFrame(rest)}, nil))
	if op, _, err := asking.frame(); op != ws.OpPong || err != nil {
		t.Fatalf("got %x %v", op, err)
	}
	asking.expect(`42["x","` + strings.Repeat("z", 300) + `"]`)
}

func TestCompressedMessagesKeepTheBounds(t *testing.T) {
	st := newSite(t, Config{CompressFrom: 512, MaxPayload: 10_000}, map[string]Namespace{"/": newApp()})
	bad := ws.NewTextFrame([]byte("\xff\xff\xff\xff"))
	bad.Header.Rsv = ws.Rsv(true, false, false)
	second := ws.NewFrame(ws.OpContinuation, true, nil)
	second.Header.Rsv = ws.Rsv(true, false, false)
	for name, tc := range map[string]struct {
		send []byte
		want ws.StatusCode
	}{
		"more than the maximum once decompressed": {maskedFrame(deflatedText(t, strings.Repeat("4", 10_001))), ws.StatusMessageTooBig},
		"a hundred times the maximum":             {maskedFrame(deflatedText(t, strings.Repeat("4", 1_000_000))), ws.StatusMessageTooBig},
		"not deflate data":                        {maskedFrame(bad), ws.StatusInvalidFramePayloadData},
		"not UTF-8 once decompressed":             {maskedFrame(deflatedText(t, "4\xff")), ws.StatusInvalidFramePayloadData},
		"compressed continuation":                 {append(maskedFrame(ws.NewFrame(ws.OpText, false, nil)), maskedFrame(second)...), ws.StatusProtocolError},
		"another reserved bit":                    {maskedFrame(ws.Frame{Header: ws.Header{Fin: true, Rsv: ws.Rsv(true, true, false), OpCode: ws.OpText}}), ws.StatusProtocolError},
	} {
		t.Run(name, func(t *testing.T) {
			c := st.joinDeflating()
			c.t = t
			c.sendBytes(tc.send)
			if code := c.expectClose(); code != tc.want {
				t.Fatalf("closed with %d, want %d", code, tc.want)
			}
		})
	}
	t.Run("not agreed on", func(t *testing.T) {
		c := newSite(t, Config{}, map[string]Namespace{"/": newApp()}).joinDeflating()
		c.sendFrame(deflatedText(t, `42["x"]`))
		if code := c.expectClose(); code != ws.StatusProtocolError {
			t.Fatalf("closed with %d", code)
		}
	})
}

// A packet queued while the session polls, and sent compressed after the
// upgrade, must be the same packet.
func TestUpgradeToACompressedWebSocket(t *testing.T) {
	a := newApp()
	st := newSite(t, Config{CompressFrom: 512}, map[string]Namespace{"/": a})
	q := st.pollSession()
	st.expect("POST", q, "40", 200, "ok")
	s := await(t, a.connected, "Connected")
	st.expect("GET", q, "", 200, "40")
	dialer := ws.Dialer{}
	dialer.Extensions = append(dialer.Extensions, wsflate.DefaultParameters.Option())
	c, err := dialWith(dialer, st.web.Listener.Addr().String(), strings.Replace(q, "polling", "websocket", 1))
	if err != nil {
		t.Fatal(err)
	}
	c.t = t
	defer c.conn.Close()
	c.send("2probe")
	c.expect("3probe")
	s.Send(stringEvent("large", 5000))
	s.Send(stringEvent("end", 0))
	c.send("5")
	h, err := ws.ReadHeader(c.in)
	if err != nil || !h.Rsv1() {
		t.Fatalf("got %+v, %v", h, err)
	}
	if _, err := io.CopyN(io.Discard, c.in, h.Length); err != nil {
		t.Fatal(err)
	}
	c.expect(`42["end",""]`)
}

// The cost and the gain of compression for a bootstrap of one series over an hour, once for all
// connections that share the packet.
func BenchmarkDeflate(b *testing.B) {
	var f flatePool
	var x, y []string
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 3600 {
		x = append(x, strconv.Itoa(1700000000000+1000*i))
		y = append(y, strconv.FormatFloat(float64(r.IntN(1000))/10, 'f', -1, 64))
	}
	p := EncodeEvent("/live", "bootstrap", json.RawMessage(`{"x":[`+strings.Join(x, ",")+`],"y":[[`+strings.Join(y, ",")+`]]}`))
	b.ReportAllocs()
	b.SetBytes(int64(p.Size()))
	var d *deflated
	for b.Loop() {
		d = f.deflate(p)
	}
	b.ReportMetric(float64(len(d.frame))/float64(p.Size()), "compressed/plain")
}
