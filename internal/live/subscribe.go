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
	req, sel, err := c.hub.readSubscribe(arg)
	if err != nil {
		ack.refuse(err)
		return
	}
	v, err := c.enter(req, sel)
	if err != nil {
		ack.refuse(err)
		return
	}
	h := c.hub
	h.mu.Lock()
	quiet := len(c.late) == 0 && v.room.isReady()
	h.mu.Unlock()
	if quiet {
		c.start(v, req, ack)
		return
	}
	h.goBackground(func() {
		if !h.awaitRoom(v.room) {
			return
		}
		c.await()
		c.start(v, req, ack)
	})
}

// awaitRoom waits until r's series were looked for. It reports false when the hub is
// closed before.
func (h *Hub) awaitRoom(r *Room) bool {
	select {
	case <-r.ready:
		return true
	case <-h.ctx.Done():
		return false
	}
}

// start resumes v where that is possible, and has it bootstrapped otherwise.
func (c *Client) start(v *viewer, req subscription, ack Ack) {
	h := c.hub
	h.mu.Lock()
	failed := v.state != left && v.room.search.state == ended
	if failed {
		h.remove(v)
		c.drop(v)
	}
	h.mu.Unlock()
	if failed {
		ack.refuse(tooSlow())
		return
	}
	if !req.since.IsZero() && h.canResume(v, req.since) {
		// The answer goes out before v is among the newcomers, so that it precedes
		// the room's first event, and without the lock.
		ack.answer(h.subscribed(v))
		ack = nil
	}
	h.mu.Lock()
	replaced := v.state == left // by another request of the page, while this one waited
	if !replaced && (req.since.IsZero() || !h.resume(v, req.since)) {
		h.goJoin(v, ack)
		ack = nil
	}
	h.mu.Unlock()
	ack.answer(h.subscribed(v))
}

// subscription is a checked Subscribe.
type subscription struct {
	window int64 // ms
	points int
	since  bus.Position
}

func (h *Hub) readSubscribe(arg json.RawMessage) (subscription, selector, error) {
	var m wire.Subscribe
	if err := readRequest(arg, &m); err != nil {
		return subscription{}, selector{}, err
	}
	req := subscription{window: h.o.Window.Milliseconds()}
	if m.Window != nil {
		if !(*m.Window >= 1 && *m.Window <= float64(h.o.Limits.Window)) {
			return req, selector{}, badRequest("window must be 1 to %d seconds", h.o.Limits.Window)
		}
		req.window = int64(math.Round(*m.Window * 1000))
	}
	var err error
	if req.points, err = h.readPoints(m.Points); err != nil {
		return req, selector{}, err
	}
	if req.since, err = bus.ParsePosition(m.Since); err != nil {
		return req, selector{}, badRequest("since must be a position that this page was sent, or be left out")
	}
	sel, err := parseSelector(m.Query)
	return req, sel, err
}

func (h *Hub) readPoints(p *int) (int, error) {
	if p == nil {
		return wire.DefaultPoints, nil
	}
	if *p < wire.MinPoints || *p > h.o.Limits.Points {
		return 0, badRequest("points must be %d to %d", wire.MinPoints, h.o.Limits.Points)
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
	h := c.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.closed || h.closed || !h.IsReady() {
		return nil, &wire.Error{Code: wire.CodeNotReady, Message: "the server is starting or stopping; try again"}
	}
	id := sel.roomID()
	old := c.find(id)
	if old == nil {
		if len(c.viewers) >= h.o.Limits.Rooms {
			return nil, &wire.Error{Code: wire.CodeTooManyRooms, Message: fmt.Sprintf("a connection may be in %d rooms; leave one first", h.o.Limits.Rooms)}
		}
		if err := c.affords(sel.cost); err != nil {
			return nil, err
		}
	}
	r, err := h.room(id, sel, false, h.o.Limits.Series)
	if err != nil {
		return nil, err
	}
	v := &viewer{client: c, room: r, window: req.window, points: req.points, behind: &behind{reason: wire.ReasonJoin}}
	h.enroll(v)
	if old != nil { // only now, so that the room is not empty in between
		h.remove(old)
		c.drop(old)
	}
	return v, nil
}

// affords refuses regular expressions with which those of the connection's rooms and
// catalogue would be too large together. The caller holds h.mu.
func (c *Client) affords(cost int) error {
	sum := cost
	for _, v := range c.viewers {
		sum += v.room.search.cost
	}
	if c.catalogue != nil {
		sum += c.catalogue.feed.search.cost
	}
	if cost > 0 && sum > maxClientCost {
		return &wire.Error{Code: wire.CodeTooManyRooms, Message: fmt.Sprintf("the regular expressions of this connection's rooms have about %d instructions together, and %d are allowed; leave a room first, or use simpler ones", sum, maxClientCost)}
	}
	return nil
}

// subscribed is the answer to a viewer's Subscribe.
func (h *Hub) subscribed(v *viewer) wire.Subscribed {
	h.mu.Lock()
	defer h.mu.Unlock()
	return wire.Subscribed{OK: true, Room: v.room.id, Matched: v.room.matched(), Sent: len(v.room.members)}
}

// enroll counts v in. The caller holds h.mu.
func (h *Hub) enroll(v *viewer) {
	v.client.viewers = append(v.client.viewers, v)
	if v.room.viewers == 0 {
		h.occupied(v.room)
	}
	v.room.viewers++
	v.room.horizon = max(v.room.horizon, v.window)
	h.metrics.viewers.Inc()
}

// canResume reports whether the ring covers what came after since.
func (h *Hub) canResume(v *viewer, since bus.Position) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.locate(since)
	return ok && v.state != left && !v.room.isCrowded()
}

// locate returns the index of the first entry after p, and whether the ring
// covers all that came after p. The caller holds h.mu.
func (h *Hub) locate(p bus.Position) (uint64, bool) {
	// While a new epoch's log is read again, rooms are not told what is known here,
	// and a page that comes from another server may not know it.
	if p.Epoch != h.ring.position(h.ring.end()).Epoch || h.standing().rereading {
		return 0, false
	}
	return h.ring.find(p)
}

// resume lets v continue after a position that its page has seen, if the ring
// still covers it; otherwise the reason for its bootstrap becomes "lost".
// The caller holds h.mu.
func (h *Hub) resume(v *viewer, since bus.Position) bool {
	i, ok := h.locate(since)
	if !ok || v.room.isCrowded() {
		v.reason = wire.ReasonLost
		return false
	}
	v.reason, v.since, v.cursor = wire.ReasonResume, since.String(), i
	v.generation = v.room.crowd.generation
	if since.Compare(h.ring.position(h.ring.end()).Offset) > 0 {
		v.ahead = since // another server is ahead of this one; see flush.go
	}
	h.welcome(v)
	return true
}

// Unsubscribe leaves a room.
func (c *Client) Unsubscribe(arg json.RawMessage, ack Ack) {
	var m wire.Unsubscribe
	if err := readRequest(arg, &m); err != nil {
		ack.refuse(err)
		return
	}
	h := c.hub
	h.mu.Lock()
	if v := c.find(m.Room); v != nil {
		h.remove(v)
		c.drop(v)
	}
	h.mu.Unlock()
	ack.answer(wire.OK{OK: true})
}

// JoinRoot makes the client a viewer of the default series in namespace /.
func (c *Client) JoinRoot() {
	h := c.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.closed || c.find(rootRoom) != nil {
		return
	}
	r, err := h.room(rootRoom, h.defaultSeries, true, 1)
	if err != nil {
		return // it is never refused
	}
	v := &viewer{
		client: c, room: r,
		window: h.o.Window.Milliseconds(), points: h.o.Limits.Points, behind: &behind{reason: wire.ReasonJoin},
	}
	h.enroll(v)
	h.goJoin(v, nil)
}

// rootRoom is the id of namespace /'s room. It is never on the wire.
const rootRoom = "/"
