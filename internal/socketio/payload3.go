package socketio

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// Engine.IO 3 has two framings of a polling payload.
//
// Text, for clients that ask with b64=1; the length counts UTF-16 code units:
//
//	6:4hello10:b4AQIDBA==
//
// Binary, for all others: kind (0 text, 1 binary), the digits of the length in
// bytes as one byte each (0-9), 255, the packet:
//
//	\x00\x06\xff4hello \x01\x05\xff\x04\x01\x02\x03\x04
//
// Clients of 2014-2018 in browsers cannot read the text framing unless they
// asked for it; clients in Node.js cannot read the binary one, and ask.
const (
	frame3Text   = 0
	frame3Binary = 1
	frame3End    = 255
	// maxLengthDigits keeps a length within an int of 32 bits.
	maxLengthDigits = 9
)

var errPayloadLength = errors.New("packet length does not fit the payload")

// legacyPacket is a Packet in the encodings of Engine.IO 3.
type legacyPacket struct {
	frame []byte // WebSocket frames, if they differ from Packet.frame
	ascii []byte // text without characters above 127
}

// forLegacy returns the encodings of Engine.IO 3, made at the first call.
func (p *Packet) forLegacy() *legacyPacket {
	if l := p.legacy.Load(); l != nil {
		return l
	}
	l := &legacyPacket{ascii: asciiJSON(p.text)}
	if len(p.attachments) > 0 {
		var frame bytes.Buffer
		if p.text != nil {
			_ = ws.WriteFrame(&frame, ws.NewTextFrame(p.text)) // to memory: cannot fail
		}
		for _, a := range p.attachments {
			// A binary packet has its type as a byte, not as a digit.
			_ = ws.WriteFrame(&frame, ws.NewBinaryFrame(append([]byte{engineMessage - '0'}, a...)))
		}
		l.frame = frame.Bytes()
	}
	p.legacy.Store(l) // two at once make the same
	return l
}

// asciiJSON escapes the characters above 127, which in a packet can stand only
// inside JSON strings. The 1.x clients encode and expect text payloads as
// UTF-8 twice, the 2.x clients once; without such characters both agree.
func asciiJSON(text []byte) []byte {
	i := 0
	for i < len(text) && text[i] < utf8.RuneSelf {
		i++
	}
	if i == len(text) {
		return text
	}
	out := append(make([]byte, 0, len(text)*2), text[:i]...)
	for _, r := range string(text[i:]) {
		if r < utf8.RuneSelf {
			out = append(out, byte(r))
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			const hex = "0123456789abcdef"
			out = append(out, '\\', 'u', hex[unit>>12], hex[unit>>8&15], hex[unit>>4&15], hex[unit&15])
		}
	}
	return out
}

func encodePayload3(ps []*Packet, asText bool) (body []byte, contentType string) {
	for _, p := range ps {
		if len(p.text) > 0 {
			if text := p.forLegacy().ascii; asText {
				body = appendText3(body, text)
			} else {
				body = append(appendHead3(body, frame3Text, len(text)), text...)
			}
		}
		for _, a := range p.attachments {
			if asText {
				encoded := base64.StdEncoding.AppendEncode([]byte("b4"), a)
				body = appendText3(body, encoded)
				continue
			}
			body = append(appendHead3(body, frame3Binary, len(a)+1), engineMessage-'0')
			body = append(body, a...)
		}
	}
	if asText {
		return body, textPayload
	}
	return body, "application/octet-stream"
}

// appendText3 appends a packet of ASCII only.
func appendText3(body, packet []byte) []byte {
	body = strconv.AppendInt(body, int64(len(packet)), 10)
	return append(append(body, ':'), packet...)
}

func appendHead3(body []byte, kind byte, length int) []byte {
	body = append(body, kind)
	start := len(body)
	body = strconv.AppendInt(body, int64(length), 10)
	for i := start; i < len(body); i++ {
		body[i] -= '0'
	}
	return append(body, frame3End)
}

// decodeBinaryPayload3 parses the binary framing.
func decodeBinaryPayload3(body []byte, receive func([]byte, bool) error) error {
	if len(body) == 0 {
		return errEmptyPacket
	}
	for len(body) > 0 {
		kind := body[0]
		end := bytes.IndexByte(body, frame3End)
		if kind > frame3Binary || end < 2 || end > maxLengthDigits+1 {
			return errPayloadLength
		}
		length := 0
		for _, digit := range body[1:end] {
			if digit > 9 {
				return errPayloadLength
			}
			length = length*10 + int(digit)
		}
		body = body[end+1:]
		if length == 0 || length > len(body) {
			return errPayloadLength
		}
		data := body[:length]
		body = body[length:]
		if err := receive3(data, kind == frame3Binary, receive); err != nil {
			return err
		}
	}
	return nil
}

// receive3 passes on one packet. A binary one begins with its type as a byte,
// which must be that of a message.
func receive3(data []byte, binary bool, receive func([]byte, bool) error) error {
	if !binary {
		if !utf8.Valid(data) {
			return errPayloadText
		}
		return receive(data, false)
	}
	if len(data) == 0 || data[0] != engineMessage-'0' {
		return errEngineType
	}
	return receive(data[1:], true)
}

// decodeTextPayload3 parses the text framing.
func decodeTextPayload3(body []byte, receive func([]byte, bool) error) error {
	if !utf8.Valid(body) {
		return errPayloadText
	}
	if len(body) == 0 {
		return errEmptyPacket
	}
	for len(body) > 0 {
		length, rest, ok := number(body, 1<<30)
		if !ok || length == 0 || len(rest) == 0 || rest[0] != ':' {
			return errPayloadLength
		}
		rest = rest[1:]
		n, ok := prefixUTF16(rest, int(length))
		if !ok {
			return errPayloadLength
		}
		if err := receiveText3(rest[:n], receive); err != nil {
			return err
		}
		body = rest[n:]
	}
	return nil
}

// receiveText3 passes on one packet of the text framing.
func receiveText3(data []byte, receive func([]byte, bool) error) error {
	if data[0] != 'b' {
		return receive(decodedOnce(data), false)
	}
	if len(data) < 2 || data[1] != engineMessage {
		return errEngineType
	}
	b, err := base64.StdEncoding.AppendDecode(nil, data[2:])
	if err != nil {
		return errPayloadBase64
	}
	return receive(b, true)
}

// prefixUTF16 returns how many bytes of b, valid UTF-8, make units UTF-16 units.
func prefixUTF16(b []byte, units int) (n int, ok bool) {
	for units > 0 && n < len(b) {
		r, size := utf8.DecodeRune(b[n:])
		units -= utf16.RuneLen(r)
		n += size
	}
	return n, units == 0
}

// decodedOnce undoes the second encoding of the 1.x clients, which send the
// bytes of the UTF-8 text as characters. Text counts as encoded twice if all its
// characters are below 256 and, taken as bytes, are valid UTF-8. Text of a 2.x client that
// fits this by chance has sequences like "Ã©", which people do not write on purpose.
func decodedOnce(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for _, r := range string(text) {
		if r > 255 {
			return text
		}
		out = append(out, byte(r))
	}
	if !utf8.Valid(out) {
		return text
	}
	return out
}
