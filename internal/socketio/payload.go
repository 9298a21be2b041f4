package socketio

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf8"
)

// separator stands between the packets of an Engine.IO 4 payload:
//
//	4hello\x1ebAQIDBA==\x1e2
const separator = '\x1e'

var (
	errPayloadText   = errors.New("payload is not valid UTF-8")
	errPayloadBase64 = errors.New("binary packet is not valid base64")
	errPayloadType   = errors.New("payload of this content type is not taken")
)

const textPayload = "text/plain; charset=UTF-8"

// encodePayload returns the body of a poll's response and its content type.
// base64 asks for Engine.IO 3's text framing.
func encodePayload(ps []*Packet, protocol uint8, asText bool) (body []byte, contentType string) {
	if protocol == protocol3 {
		return encodePayload3(ps, asText)
	}
	for _, p := range ps {
		if len(p.text) > 0 {
			body = append(appendSeparator(body), p.text...)
		}
		for _, a := range p.attachments {
			body = append(appendSeparator(body), 'b')
			body = base64.StdEncoding.AppendEncode(body, a)
		}
	}
	return body, textPayload
}

func appendSeparator(body []byte) []byte {
	if len(body) > 0 {
		body = append(body, separator)
	}
	return body
}

// decodePayload calls receive for every packet of a request, in order, until an
// error. data is valid during the call only.
func decodePayload(body []byte, contentType string, protocol uint8, receive func(data []byte, binary bool) error) error {
	octets := strings.HasPrefix(contentType, "application/octet-stream")
	if protocol == protocol3 {
		if octets {
			return decodeBinaryPayload3(body, receive)
		}
		return decodeTextPayload3(body, receive)
	}
	if octets {
		return errPayloadType
	}
	if !utf8.Valid(body) {
		return errPayloadText
	}
	for {
		data, rest, more := bytes.Cut(body, []byte{separator})
		if err := decodeText(data, receive); err != nil {
			return err
		}
		if !more {
			return nil
		}
		body = rest
	}
}

// decodeText passes on one packet of a text payload: "4hello" or "b<base64>".
func decodeText(data []byte, receive func([]byte, bool) error) error {
	if len(data) == 0 {
		return errEmptyPacket
	}
	if data[0] != 'b' {
		return receive(data, false)
	}
	b, err := base64.StdEncoding.AppendDecode(nil, data[1:])
	if err != nil {
		return errPayloadBase64
	}
	return receive(b, true)
}
