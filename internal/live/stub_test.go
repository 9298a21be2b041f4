package live

import (
	"encoding/json"
	"sync"
	"testing"

	"stripchart/internal/wire"
)

// stub is a connection that keeps what it is sent, and refuses when the test says
// so.
type stub struct {
	mu   sync.Mutex
	full bool
	got  []*fakePacket
}

func (s *stub) Write(ps ...Packet) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		return false
	}
	for _, p := range ps {
		s.got = append(s.got, p.(*fakePacket))
	}
	return true
}

func (s *stub) Ready() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.full
}

func (s *stub) set(full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = full
}

// sent returns the arguments of the events with that name that were sent so far.
func (s *stub) sent(event string) []json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []json.RawMessage
	for _, f := range s.got {
		if f.event == event {
			out = append(out, f.arg)
		}
	}
	return out
}

// ask subscribes with the given request and returns the answer.
func (p *page) ask(request string) wire.Subscribed {
	p.t.Helper()
	got := make(chan []byte, 1)
	p.client.Subscribe(json.RawMessage(request), func(b []byte) { got <- b })
	b := <-got
	var a wire.Subscribed
	if err := json.Unmarshal(b, &a); err != nil || !a.OK {
		p.t.Fatalf("%s was answered with %s", request, b)
	}
	return a
}

func decodeStub(t testing.TB, b []byte, m any) {
	t.Helper()
	if err := json.Unmarshal(b, m); err != nil {
		t.Fatal(err)
	}
}
