package socketio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// decoded lists what a payload brings: "text ..." and "binary ...".
func decoded(body, contentType string, protocol uint8) (list []string, err error) {
	err = decodePayload([]byte(body), contentType, protocol, func(data []byte, binary bool) error {
		kind := "text"
		if binary {
			kind = "binary"
		}
		list = append(list, fmt.Sprintf("%s %s", kind, data))
		return nil
	})
	return list, err
}

const octets = "application/octet-stream"

func TestDecodePayload(t *testing.T) {
	for _, tc := range []struct {
		name, body, contentType string
		protocol                uint8
		want                    []string
	}{
		{"one", "4hello", textPayload, 4, []string{"text 4hello"}},
		{"several", "4é\x1e2\x1e4€", textPayload, 4, []string{"text 4é", "text 2", "text 4€"}},
		{"binary", "4hello\x1ebAQIDBA==", "", 4, []string{"text 4hello", "binary \x01\x02\x03\x04"}},

		{"3: text", "6:4hello2:4€", textPayload, 3, []string{"text 4hello", "text 4€"}},
		{"3: UTF-16 pairs count twice", "3:4\U0001F600", textPayload, 3, []string{"text 4\U0001F600"}},
		{"3: base64", "10:b4AQIDBA==1:2", textPayload, 3, []string{"binary \x01\x02\x03\x04", "text 2"}},
		{"3: encoded twice, by 1.x clients", "3:4\u00c3\u00a9", textPayload, 3, []string{"text 4é"}},
		{"3: binary framing", "\x00\x06\xff4hello\x01\x05\xff\x04\x01\x02\x03\x04", octets, 3, []string{"text 4hello", "binary \x01\x02\x03\x04"}},
		{"3: binary framing, two digits", "\x00\x01\x02\xff4" + strings.Repeat("x", 11), octets, 3, []string{"text 4xxxxxxxxxxx"}},
	} {
		got, err := decoded(tc.body, tc.contentType, tc.protocol)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(tc.want) {
			t.Errorf("%s: got %q, %v, want %q", tc.name, got, err, tc.want)
		}
	}
}

func TestDecodePayloadRefuses(t *testing.T) {
	for _, tc := range []struct {
		body, contentType string
		protocol          uint8
		want              error
	}{
		{"", textPayload, 4, errEmptyPacket},
		{"4a\x1e", textPayload, 4, errEmptyPacket},
		{"\x1e4a", textPayload, 4, errEmptyPacket},
		{"b!", textPayload, 4, errPayloadBase64},
		{"4\xff", textPayload, 4, errPayloadText},
		{"4hello", octets, 4, errPayloadType},
		{"", textPayload, 3, errEmptyPacket},
		{"4hello", textPayload, 3, errPayloadLength},
		{"0:", textPayload, 3, errPayloadLength},
		{"7:4hello", textPayload, 3, errPayloadLength},
		{"99999999999999999999:4", textPayload, 3, errPayloadLength},
		{"2:4\U0001F600", textPayload, 3, errPayloadLength}, // ends within a pair
		{"3:b4!", textPayload, 3, errPayloadBase64},
		{"1:b", textPayload, 3, errEngineType},
		{"2:4\xff", textPayload, 3, errPayloadText},
		{"", octets, 3, errEmptyPacket},
		{"\x00\x06\xff4hell", octets, 3, errPayloadLength},
		{"\x00\xff", octets, 3, errPayloadLength},
		{"\x00\x00\xff", octets, 3, errPayloadLength},
		{"\x02\x01\xff4", octets, 3, errPayloadLength},
		{"\x00\x0a\xff4hello", octets, 3, errPayloadLength},
		{"\x00" + strings.Repeat("\x09", 10) + "\xff4", octets, 3, errPayloadLength},
		{"\x00\x02\xff4\xfe", octets, 3, errPayloadText},
		{"\x01\x01\xff\x02", octets, 3, errEngineType},
	} {
		if got, err := decoded(tc.body, tc.contentType, tc.protocol); !errors.Is(err, tc.want) {
			t.Errorf("EIO %d %q: got %q, %v, want %v", tc.protocol, tc.body, got, err, tc.want)
		}
	}
}

func TestEncodePayload(t *testing.T) {
	text := EncodeEvent("/", "é", json.RawMessage(`"€`+"\U0001F600"+`"`))
	both := EncodeEventArgs("/", "b", []json.RawMessage{json.RawMessage(`{"_placeholder":true,"num":0}`)}, []byte{1, 2, 3, 4})
	raw := EncodeRaw([]byte{5}, true)
	for _, tc := range []struct {
		protocol uint8
		asText   bool
		want     string
	}{
		{4, false, "42[\"é\",\"€\U0001F600\"]\x1e" + `451-["b",{"_placeholder":true,"num":0}]` + "\x1ebAQIDBA==\x1ebBQ=="},
		{3, true, `33:42["\u00e9","\u20ac\ud83d\ude00"]39:451-["b",{"_placeholder":true,"num":0}]10:b4AQIDBA==6:b4BQ==`},
		{3, false, "\x00\x03\x03\xff" + `42["\u00e9","\u20ac\ud83d\ude00"]` + "\x00\x03\x09\xff" + `451-["b",{"_placeholder":true,"num":0}]` + "\x01\x05\xff\x04\x01\x02\x03\x04\x01\x02\xff\x04\x05"},
	} {
		body, contentType := encodePayload([]*Packet{text, both, raw}, tc.protocol, tc.asText)
		if want := tc.protocol == 3 && !tc.asText; (contentType == octets) != want {
			t.Errorf("EIO %d text=%v: content type %q", tc.protocol, tc.asText, contentType)
		}
		if string(body) != tc.want {
			t.Errorf("EIO %d text=%v:\ngot  %q\nwant %q", tc.protocol, tc.asText, body, tc.want)
		}
	}
	if frame := both.wire(encoding{legacy: true}); !bytes.Contains(frame, []byte{0x82, 5, 4, 1, 2, 3, 4}) {
		t.Errorf("a binary frame of Engine.IO 3 has its type in front: %q", frame)
	}
}

// FuzzPayload checks for each framing that what is decoded, encoded and decoded
// again is the same.
func FuzzPayload(f *testing.F) {
	for _, body := range []string{
		"4hello", "4é\x1e2\x1e4€", "4hello\x1ebAQIDBA==", "6:4hello10:b4AQIDBA==1:2", "3:4\u00c3\u00a9", "3:4\U0001F600",
		"\x00\x06\xff4hello\x01\x05\xff\x04\x01\x02\x03\x04", "\x00\x01\x02\xff4xxxxxxxxxxx", "0:", "1:", "b", "\x1e",
	} {
		for framing := range uint8(3) {
			f.Add([]byte(body), framing)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, framing uint8) {
		protocol, asText, contentType := uint8(protocol4), false, textPayload
		switch framing % 3 {
		case 1:
			protocol, asText = protocol3, true
		case 2:
			protocol, contentType = protocol3, octets
		}
		var packets []*Packet
		ascii := true
		err := decodePayload(body, contentType, protocol, func(data []byte, binary bool) error {
			ascii = ascii && (binary || len(asciiJSON(data)) == len(data))
			if binary {
				packets = append(packets, newPacket(nil, data))
			} else {
				packets = append(packets, newPacket(bytes.Clone(data)))
			}
			return nil
		})
		if err != nil {
			return
		}
		want, _ := decoded(string(body), contentType, protocol)
		encoded, contentType := encodePayload(packets, protocol, asText)
		got, err := decoded(string(encoded), contentType, protocol)
		if err != nil {
			t.Fatalf("%q: encoded as %q: %v", body, encoded, err)
		}
		if protocol == protocol3 && !ascii {
			return // what is above 127 is escaped, which only JSON means the same by
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Fatalf("%q: got %q, want %q", body, got, want)
		}
	})
}
