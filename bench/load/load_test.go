//go:build linux

package load

import (
	"bytes"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serverFrame is a frame as a server sends it.
func serverFrame(op byte, payload []byte) []byte {
	b := appendFrame(nil, op, string(payload))
	b[1] &^= 0x80
	head := len(b) - len(payload) - 4
	return append(b[:head], b[head+4:]...)
}

func TestFrameBoundariesAreFoundHoweverTheBytesArrive(t *testing.T) {
	var sent [][]byte
	var wire []byte
	for _, n := range []int{0, 1, 125, 126, 300, 65535, 65536, 70000} {
		payload := bytes.Repeat([]byte{byte(n)}, n)
		sent = append(sent, payload)
		wire = append(wire, serverFrame(opText, payload)...)
	}
	for _, step := range []int{1, 2, 3, 7, 130, 65537, len(wire)} {
		var got [][]byte
		var rest []byte
		for from := 0; from < len(wire); from += step {
			rest = append(rest, wire[from:min(from+step, len(wire))]...)
			for {
				op, payload, after, ok, err := nextFrame(rest)
				if err != nil || ok && op != opText {
					t.Fatalf("steps of %d: opcode %d, %v", step, op, err)
				}
				if !ok {
					break
				}
				got = append(got, bytes.Clone(payload))
				rest = after
			}
			if step == 1 && from > 1000 && len(rest) > 11 {
				break // the long ones byte by byte take long and show nothing new
			}
		}
		for i := range got {
			if !bytes.Equal(got[i], sent[i]) {
				t.Fatalf("steps of %d: frame %d has %d bytes, not %d", step, i, len(got[i]), len(sent[i]))
			}
		}
		if step > 1 && (len(got) != len(sent) || len(rest) > 0) {
			t.Errorf("steps of %d: %d frames of %d, %d bytes left", step, len(got), len(sent), len(rest))
		}
	}
}

func TestFramesThatAServerMayNotSendAreRefused(t *testing.T) {
	for name, b := range map[string][]byte{
		"masked":     {0x81, 0x81, 0, 0, 0, 0, 'x'},
		"fragmented": {0x01, 0x01, 'x'},
		"reserved":   {0xc1, 0x01, 'x'},
		"endless":    {0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 0},
	} {
		if _, _, _, _, err := nextFrame(b); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestMessagesAreTold(t *testing.T) {
	for text, want := range map[string]messageKind{
		"":                                 kindOther,
		"6":                                kindOther,
		`0{"sid":"x"}`:                     kindOpen,
		"1":                                kindClose,
		"2":                                kindPing,
		`40/live,{"sid":"y"}`:              kindOther,
		`44/live,{"message":"no"}`:         kindNoEntrance,
		`42["update",{"x":[],"y":[]}]`:     kindOther, // of namespace /
		`42/live,["hello",{"protocol":1}]`: kindHello,
		`42/live,["update",{"room":"r"}]`:  kindUpdate,
		`42/live,["bootstrap",{"room":"r","blocks":[]}]`:        kindBootstrap,
		`42/live,["bootstrap",{"blocks":[],"more":true}]`:       kindPart,
		`42/live,["status",{"state":"stale"}]`:                  kindOther,
		`43/live,0[{"ok":true,"room":"r"}]`:                     kindAnswer,
		`43/live,7[{"ok":false,"error":{"code":"overloaded"}}]`: kindRefusal,
	} {
		if got := kindOf([]byte(text)); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
}

func TestFieldsOfAnUpdate(t *testing.T) {
	update := []byte(`42/live,["update",{"room":"r-1","position":"3k9f-1-0","now":1544608803005,"blocks":[{"ids":[0],"x":[1544608803000,1544608803001],"y":[[5,6]]}]}]`)
	if got := numberAfter(update, keyNow); got != 1544608803005 {
		t.Errorf("now: %d", got)
	}
	if got := numberAfter(update, keySample); got != 1544608803000 {
		t.Errorf("x: %d", got)
	}
	if got := textAfter(update, keyPosition); string(got) != "3k9f-1-0" {
		t.Errorf("position: %s", got)
	}
	for _, key := range []string{`"nothing":`, `"room":`, `]}]}]`} {
		if got := numberAfter(update, key); got != 0 {
			t.Errorf("%s: %d", key, got)
		}
	}
	if got := textAfter([]byte(`"position":"unfinished`), keyPosition); got != nil {
		t.Errorf("unfinished: %s", got)
	}
}
