package live

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"stripchart/internal/bus"
	"stripchart/internal/wire"
)

// Ack answers a request with one JSON object; it is called once. Nil where the
// page asked for no answer.
type Ack func(arg []byte)

func (a Ack) answer(v any) {
	if a == nil {
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		b = []byte(`{"ok":false,"error":{"code":"internal","message":"the answer could not be encoded"}}`)
	}
	a(b)
}

// refuse answers with err's code and message.
func (a Ack) refuse(err error) {
	e, ok := errors.AsType[*wire.Error](err)
	if !ok {
		e = &wire.Error{Code: wire.CodeInternal, Message: "a fault of the server, which is in its log"}
	}
	a.answer(wire.Refused{Error: e})
}

// Subscribe joins a room, or changes window and points in it. The answer and
// the bootstrap come later, from another goroutine.
func (c *Client) Subscribe(arg json.RawMessage, ack Ack) {
	req, sel, err := c.readSubscribe(arg)
	if err != nil {
		ack.refuse(err)
		return
	}
	v, err := c.enter(req, sel)
	if err != nil {
		ack.refuse(err)
		return
	}
	c.recent.Mu.Lock()
	quiet := len(c.late) == 0 && v.room.isReady()
	c.recent.Mu.Unlock()
	if quiet {
		c.startViewer(v, req, ack)
		return
	}
	c.goBackground(func() {
		if !v.room.awaitReady() {
			return
		}
		c.await()
		c.startViewer(v, req, ack)
	})
}

// startViewer resumes v where that is possible, and has it bootstrapped otherwise.
func (c *Client) startViewer(v *viewer, req subscription, ack Ack) {
	c.recent.Mu.Lock()
	failed := v.state != left && v.room.search.state == ended
	if failed {
		c.drop(v)
	}
	c.recent.Mu.Unlock()
	if failed {
		ack.refuse(tooSlow())
		return
	}
	if !req.since.IsZero() && v.canResume(req.since) {
		// The answer goes out before v is among the newcomers, so that it precedes
		// the room's first event, and without the lock.
		v.answer(ack)
		ack = nil
	}
	c.recent.Mu.Lock()
	replaced := v.state == left // another request of the page replaced v while this request waited
	if !replaced && (req.since.IsZero() || !v.resume(req.since)) {
		v.bootstrap(ack)
		ack = nil
	}
	c.recent.Mu.Unlock()
	v.answer(ack)
}

// subscription is a checked Subscribe.
type subscription struct {
	window int64 // ms
	points int
	since  bus.Position
}

func (c *Client) readSubscribe(arg json.RawMessage) (subscription, selector, error) {
	var m wire.Subscribe
	if err := readRequest(arg, &m); err != nil {
		return subscription{}, selector{}, err
	}
	req := subscription{window: c.o.Window.Milliseconds()}
	if m.Window != nil {
		if !(*m.Window >= 1 && *m.Window <= float64(c.o.Limits.Window)) {
			return req, selector{}, badRequest("window must be 1 to %d seconds", c.o.Limits.Window)
		}
		req.window = int64(math.Round(*m.Window * 1000))
	}
	var err error
	if req.points, err = c.readPoints(m.Points); err != nil {
		return req, selector{}, err
	}
	if req.since, err = bus.ParsePosition(m.Since); err != nil {
		return req, selector{}, badRequest("since must be a position that this page was sent, or be left out")
	}
	sel, err := c.readQuery(m.Query)
	return req, sel, err
}

func (a *audience) readPoints(p *int) (int, error) {
	if p == nil {
		return wire.DefaultPoints, nil
	}
	if *p < wire.MinPoints || *p > a.o.Limits.Points {
		return 0, badRequest("points must be %d to %d", wire.MinPoints, a.o.Limits.Points)
	}
	return *p, nil
}

// readRequest decodes a request's object.
func readRequest(arg json.RawMessage, m any) error {
	if len(arg) == 0 || arg[0] != '{' {
		return badRequest("the request must be one JSON object")
	}
	if err := json.Unmarshal(arg, m); err != nil {
		if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return badRequest("%s must not be a %s", t.Field, t.Value)
		}
		return badRequest("the request is not valid JSON")
	}
	return nil
}

func badRequest(format string, args ...any) error {
	return &wire.Error{Code: wire.CodeBadRequest, Message: fmt.Sprintf(format, args...)}
}

// enter puts a viewer of the client into the room of sel, in place of one that is there.
func (c *Client) enter(req subscription, sel selector) (*viewer, error) {
	c.recent.Mu.Lock()
	defer c.recent.Mu.Unlock()
	if c.gone || c.tasks.closed || !c.follower.IsReady() {
		return nil, &wire.Error{Code: wire.CodeNotReady, Message: "the server is starting or stopping; try again"}
	}
	id := sel.roomID()
	old := c.find(id)
	if old == nil {
		if len(c.viewers) >= c.o.Limits.Rooms {
			return nil, &wire.Error{Code: wire.CodeTooManyRooms, Message: fmt.Sprintf("a connection may be in %d rooms; leave one first", c.o.Limits.Rooms)}
		}
		if err := c.affords(sel.cost); err != nil {
			return nil, err
		}
	}
	r, err := c.rooms.open(id, membership{selector: sel, limit: c.o.Limits.Series}, liveEncoding{c.audience})
	if err != nil {
		return nil, err
	}
	v := newViewer(c, r, req.window, req.points)
	if old != nil { // only now, so that the room is not empty in between
		c.drop(old)
	}
	return v, nil
}

// canResume reports whether the ring covers what came after since.
func (v *viewer) canResume(since bus.Position) bool {
	v.room.recent.Mu.Lock()
	defer v.room.recent.Mu.Unlock()
	_, ok := v.room.locate(since)
	return ok && v.state != left && !v.room.crowd.refuses()
}

// locate returns the index of the first entry after p, and whether the ring
// covers all that came after p. The caller holds recent.Log.Mu.
func (a *audience) locate(p bus.Position) (uint64, bool) {
	// While a new epoch's log is read again, rooms are not told what is known here,
	// and a page that comes from another server may not know it.
	if p.Epoch != a.recent.Ring.Position(a.recent.Ring.End()).Epoch || a.follower.Standing().Rereading {
		return 0, false
	}
	return a.recent.Ring.Find(p)
}

// Unsubscribe leaves a room.
func (c *Client) Unsubscribe(arg json.RawMessage, ack Ack) {
	var m wire.Unsubscribe
	if err := readRequest(arg, &m); err != nil {
		ack.refuse(err)
		return
	}
	c.recent.Mu.Lock()
	if v := c.find(m.Room); v != nil {
		c.drop(v)
	}
	c.recent.Mu.Unlock()
	ack.answer(wire.OK{OK: true})
}

// JoinRoot makes the client a viewer of the default series in namespace /.
func (c *Client) JoinRoot() {
	c.recent.Mu.Lock()
	defer c.recent.Mu.Unlock()
	id, sel := rootRoom, c.defaultSeries
	if len(c.bound) > 0 {
		sel = sel.within(c.bound)
		id = rootRoom + sel.roomID()
	}
	if c.gone || c.find(id) != nil {
		return
	}
	r, err := c.rooms.open(id, membership{selector: sel, limit: 1, operators: true}, &rootEncoding{audience: c.audience})
	if err != nil {
		return // it is never refused
	}
	newViewer(c, r, c.o.Window.Milliseconds(), c.o.Limits.Points).bootstrap(nil)
}

// rootRoom is the id of namespace /'s room, and what the ids of its rooms for bound clients begin
// with. It is never on the wire.
const rootRoom = "/"
