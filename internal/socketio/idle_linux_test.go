package socketio

import (
	"encoding/json"
	"runtime"
	"testing"
)

func TestIdleConnectionsHaveNoGoroutineAndAreHeard(t *testing.T) {
	const clients = 200
	a := newApp()
	a.event = func(_ *Socket, _ string, args []json.RawMessage, ack func(json.RawMessage)) { ack(args[0]) }
	st := newSite(t, Config{}, map[string]Namespace{"/": a})
	before := runtime.NumGoroutine()
	var all []*client
	for range clients {
		all = append(all, st.join("/"))
	}
	idle := func() bool { return runtime.NumGoroutine() < before+10 }
	eventually(t, "all are idle", idle)
	for range 3 {
		for _, c := range all {
			c.send(`421["echo","here"]`)
		}
		for _, c := range all {
			c.expect(`431["here"]`)
		}
		eventually(t, "all are idle again", idle)
	}
	for i := range all {
		if s := await(t, a.connected, "Connected"); i%2 == 0 {
			s.Conn().Close()
		} else {
			s.Conn().kill(ReasonTransportError)
		}
	}
	for _, c := range all {
		c.expectEnd()
		_ = c.conn.Close()
	}
	eventually(t, "all have ended", func() bool { return st.server.Stats().Connections == 0 })
	if d := &st.server.idle; d.members != 0 || len(d.waiting) != 0 || d.file != nil {
		t.Errorf("left: %d members, %d waiting", d.members, len(d.waiting))
	}
}
