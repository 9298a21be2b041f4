//go:build linux

package load

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// messageKind is what a viewer has to know of a message.
type messageKind uint8

const (
	kindOther      messageKind = iota // nothing to do
	kindOpen                          // Engine.IO's handshake
	kindPing                          // to be answered
	kindClose                         // Engine.IO's goodbye
	kindHello                         // the namespace is open
	kindUpdate                        // what is measured
	kindBootstrap                     // the last part of one
	kindPart                          // another part of it
	kindAnswer                        // a request was granted
	kindRefusal                       // a request was refused
	kindNoEntrance                    // CONNECT_ERROR
)

// kindOf reads no more of a message than its beginning, and of a bootstrap what
// tells whether another part follows.
func kindOf(text []byte) messageKind {
	if len(text) == 0 {
		return kindOther
	}
	switch text[0] {
	case '0':
		return kindOpen
	case '1':
		return kindClose
	case '2':
		return kindPing
	case '4':
	default:
		return kindOther
	}
	if event, ok := bytes.CutPrefix(text, []byte(`42/live,["`)); ok {
		switch {
		case bytes.HasPrefix(event, []byte(`update"`)):
			return kindUpdate
		case bytes.HasPrefix(event, []byte(`bootstrap"`)):
			// Labels could hold the text, but not unescaped.
			if bytes.Contains(event, []byte(`,"more":true`)) {
				return kindPart
			}
			return kindBootstrap
		case bytes.HasPrefix(event, []byte(`hello"`)):
			return kindHello
		}
		return kindOther
	}
	switch {
	case bytes.HasPrefix(text, []byte("43/live,")):
		if bytes.Contains(text, []byte(`[{"ok":true`)) {
			return kindAnswer
		}
		return kindRefusal
	case bytes.HasPrefix(text, []byte("44/live,")):
		return kindNoEntrance
	}
	return kindOther
}

// numberAfter returns the digits that follow the first key in b as a number, 0
// if there are none.
func numberAfter(b []byte, key string) int64 {
	i := bytes.Index(b, []byte(key))
	if i < 0 {
		return 0
	}
	n := int64(0)
	for _, c := range b[i+len(key):] {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

// textAfter returns what stands between the first key in b and the next
// quotation mark.
func textAfter(b []byte, key string) []byte {
	i := bytes.Index(b, []byte(key))
	if i < 0 {
		return nil
	}
	b = b[i+len(key):]
	if end := bytes.IndexByte(b, '"'); end >= 0 {
		return b[:end]
	}
	return nil
}

// The two times in an update; what precedes them has no text of a user's.
const (
	keyNow      = `"now":`
	keySample   = `"x":[`
	keyPosition = `"position":"`
)

// request is the upgrade request of RFC 6455, section 4.1. The key is the same
// for all: nobody here checks what it guards against.
func request(host string) []byte {
	return []byte("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: " + host +
		"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: c3RyaXBjaGFydC1iZW5jaA==\r\n\r\n")
}

// subscriptions are the messages that join the plan's rooms. since is the
// position to continue from, or "".
func subscriptions(queries []string, window float64, points int, since string) []string {
	out := make([]string, len(queries))
	for i, q := range queries {
		query, err := json.Marshal(q)
		if err != nil {
			panic("load: encode query: " + err.Error()) // a string always encodes
		}
		var text strings.Builder
		fmt.Fprintf(&text, `42/live,%d["subscribe",{"query":%s,"window":%g,"points":%d`, i, query, window, points)
		if since != "" {
			fmt.Fprintf(&text, `,"since":%q`, since) // a position has no character that Go and JSON quote differently
		}
		text.WriteString("}]")
		out[i] = text.String()
	}
	return out
}
