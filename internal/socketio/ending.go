package socketio

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// ending is what a WebSocket's close frame says: a code, and a text that tells a
// person what has happened and what to do.
type ending struct {
	code ws.StatusCode
	text string
}

var normalEnd = ending{code: ws.StatusNormalClosure}

// maxEndingText is what a control frame leaves for the text, in bytes.
const maxEndingText = ws.MaxControlFramePayloadSize - 2

// frame encodes the close frame. A text that is too long for one is cut.
func (e ending) frame() []byte {
	text := e.text
	for len(text) > maxEndingText {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(e.code, text)))
}

// endingFor returns the Reason and the ending of a connection whose reading failed with
// err.
func (s *Server) endingFor(err error) (reason string, e ending) {
	e = ending{closeStatus(err), err.Error()}
	switch {
	case errors.Is(err, errRate):
		e.text = fmt.Sprintf("too many messages: more than %d a second for %v; wait for answers before sending more",
			s.cfg.EventsPerSecond, s.cfg.slowedFor())
		return ReasonTooManyMessages, e
	case errors.Is(err, errTooBig):
		e.text = fmt.Sprintf("message exceeds %d bytes; send less at once", s.cfg.MaxPayload)
		return ReasonTooLarge, e
	}
	return ReasonParseError, e
}

// shutFor closes a connection whose reading failed with err, and returns the Reason and the
// ending.
func (c *Conn) shutFor(err error, grace time.Duration) (reason string, e ending) {
	reason, e = c.server.endingFor(err)
	if reason == ReasonParseError {
		c.server.cfg.Logger.Debug("socketio: the client violated the protocol", "addr", c.addr.name, "error", err)
	}
	c.shut(reason, e, grace)
	return reason, e
}
