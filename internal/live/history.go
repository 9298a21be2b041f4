package live

import (
	"encoding/json"
	"fmt"

	"stripchart/internal/wire"
)

// maxAsking is how many histories a client may have asked for and not been
// answered.
const maxAsking = 32

// maxTime is the last millisecond of the year 9999, Unix ms: no sample is later.
const maxTime = 253_402_300_799_999

// History answers with samples of the past, once. The answer comes later, from
// another goroutine.
func (c *Client) History(arg json.RawMessage, ack Ack) {
	var m wire.History
	if err := readRequest(arg, &m); err != nil {
		ack.refuse(err)
		return
	}
	points, err := c.readPoints(m.Points)
	if err != nil {
		ack.refuse(err)
		return
	}
	if span := m.To - m.From; m.From < 0 || m.To > maxTime || span < 0 || span > c.o.Limits.Window*1000 {
		ack.refuse(badRequest("from and to must be Unix milliseconds, ascending, before the year 10000, and at most %d seconds apart", c.o.Limits.Window))
		return
	}
	sel, err := c.readQuery(m.Query)
	if err != nil {
		ack.refuse(err)
		return
	}
	c.recent.Mu.Lock()
	defer c.recent.Mu.Unlock()
	if c.gone || c.tasks.closed {
		return
	}
	if !c.ask() {
		c.start(func() {
			ack.refuse(&wire.Error{Code: wire.CodeOverloaded, Message: fmt.Sprintf("at most %d histories may be asked for at once; wait for an answer first", maxAsking)})
		})
		return
	}
	c.start(func() {
		defer c.answered()
		end, ok := c.begin()
		if !ok {
			return // nobody is there to be told
		}
		defer end()
		answer, err := c.reader.once(sel, m.From, m.To, points)
		if err != nil {
			c.log.Warn("history could not be read", "query", m.Query, "err", err)
			ack.refuse(readFailed(err))
			return
		}
		if ack != nil {
			ack(answer.AppendJSON(nil))
		}
	})
}
