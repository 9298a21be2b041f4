//go:build linux

package load

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stripchart/internal/socketio"
)

// patience bounds every wait for something that takes moments on a machine at rest.
const patience = 2 * time.Minute

// speaker is a server that speaks as much of docs/PROTOCOL.md as a Fleet needs.
type speaker struct {
	*socketio.Server
	http    *httptest.Server
	refuse  bool
	mu      sync.Mutex
	sockets map[*socketio.Socket]bool
	asked   []string // subscriptions, as they came
}

func newSpeaker(t *testing.T, refuse bool) *speaker {
	t.Helper()
	s := &speaker{Server: socketio.NewServer(socketio.Config{}), refuse: refuse, sockets: map[*socketio.Socket]bool{}}
	s.Handle("/live", s)
	s.http = httptest.NewServer(s.Server)
	t.Cleanup(func() {
		_ = s.Server.Close()
		s.http.Close()
	})
	return s
}

func (s *speaker) address() netip.AddrPort {
	return netip.MustParseAddrPort(strings.TrimPrefix(s.http.URL, "http://"))
}

func (s *speaker) Connect(*socketio.Socket, json.RawMessage) error { return nil }

func (s *speaker) Connected(c *socketio.Socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sockets[c] = true
	c.Send(socketio.EncodeEvent("/live", "hello", json.RawMessage(`{"protocol":1}`)))
}

func (s *speaker) Event(c *socketio.Socket, name string, args []json.RawMessage, ack func(json.RawMessage)) {
	if s.refuse {
		ack(json.RawMessage(`{"ok":false,"error":{"code":"overloaded","message":"try again"}}`))
		return
	}
	s.mu.Lock()
	s.asked = append(s.asked, string(args[0]))
	s.mu.Unlock()
	ack(json.RawMessage(`{"ok":true,"room":"r-1","matched":1,"sent":1}`))
	if name == "subscribe" {
		c.Send(
			socketio.EncodeEvent("/live", "bootstrap", json.RawMessage(`{"room":"r-1","from":null,"now":1,"series":[],"blocks":[],"more":true,"reason":"join"}`)),
			socketio.EncodeEvent("/live", "bootstrap", json.RawMessage(`{"room":"r-1","from":null,"position":"e-1","now":1,"blocks":[],"reason":"join"}`)))
	}
}

func (s *speaker) Drained(*socketio.Socket) {}

func (s *speaker) Disconnected(c *socketio.Socket, _ string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sockets, c)
}

// update sends everybody one whose sample was taken a while ago.
func (s *speaker) update(ago time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	p := socketio.EncodeEvent("/live", "update", fmt.Appendf(nil, `{"room":"r-1","position":"e-2","now":%d,"blocks":[{"ids":[0],"x":[%d],"y":[[1]]}]}`,
		now.UnixMilli(), now.Add(-ago).UnixMilli()))
	for c := range s.sockets {
		c.Send(p)
	}
}

// requests returns what was asked so far.
func (s *speaker) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

func connect(t *testing.T, p Plan) *Fleet {
	t.Helper()
	f, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	if err := f.Connect(patience); err != nil {
		t.Fatal(err)
	}
	return f
}

// Polling is slower and otherwise the same.
func TestViewersThatPollAreCountedToo(t *testing.T) {
	const viewers = 40
	s := newSpeaker(t, false)
	f := connect(t, Plan{Server: s.address(), Viewers: viewers, Polling: true, Queries: []string{"a", "b"}})
	for n := range 3 {
		s.update(0)
		if err := f.Await(func() bool { return f.Figures().Updates == (n+1)*viewers }, patience); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Stats().Polling; got != viewers {
		t.Errorf("%d connections poll", got)
	}
	if err := f.HangUp(true, patience); err != nil || f.Live() != 0 {
		t.Errorf("%d are live: %v", f.Live(), err)
	}
}

func TestAnswersToPolls(t *testing.T) {
	whole := "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\nX: y\r\n\r\n2\x1e40"
	for end := range len(whole) {
		if _, done, err := answer([]byte(whole[:end])); done || err != nil {
			t.Fatalf("%q: done %v, %v", whole[:end], done, err)
		}
	}
	if body, done, err := answer([]byte(whole)); string(body) != "2\x1e40" || !done || err != nil {
		t.Errorf("%q, done %v, %v", body, done, err)
	}
	for _, bad := range []string{"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", whole + "x"} {
		if _, _, err := answer([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestEveryViewerIsCountedOnceForEachUpdate(t *testing.T) {
	const viewers, pausable = 60, 10
	s := newSpeaker(t, false)
	recorded := make([]int, viewers)
	f := connect(t, Plan{
		Server: s.address(), Viewers: viewers, Queries: []string{`a`, `b{x="y"}`}, Windows: []float64{100, 300}, PerAddress: 25, Pausable: pausable,
		Record: func(viewer int, text []byte) {
			if kindOf(text) == kindUpdate {
				recorded[viewer]++
			}
		},
	})
	if asked := s.requests(); len(asked) != 2*viewers || !slices.Contains(asked, `{"query":"b{x=\"y\"}","window":300,"points":1200}`) {
		t.Errorf("%d subscriptions, such as %s", len(asked), asked[0])
	}
	s.update(500 * time.Millisecond)
	if err := f.Await(func() bool { return f.Figures().Updates == viewers-pausable }, patience); err != nil {
		t.Fatal(err)
	}
	got := f.Figures()
	if p := got.FromSample.Percentile(0); p < 499*time.Millisecond || p-got.FromSend.Percentile(0) < 400*time.Millisecond {
		t.Errorf("%v after the sample, %v after the update was sent", p, got.FromSend.Percentile(0))
	}

	if err := f.Pause(0, pausable); err != nil {
		t.Fatal(err)
	}
	s.update(0)
	if err := f.Await(func() bool { return f.Figures().Updates == 2*(viewers-pausable) }, patience); err != nil {
		t.Fatal(err)
	}
	if err := f.Resume(0, pausable); err != nil {
		t.Fatal(err)
	}
	if err := f.Await(func() bool { return recorded[0] == 2 && recorded[pausable-1] == 2 }, patience); err != nil {
		t.Fatalf("%v: %v", recorded, err)
	}
	for i, n := range recorded {
		if n != 2 {
			t.Errorf("viewer %d was given %d updates, not 2", i, n)
		}
	}
	if err := f.HangUp(true, patience); err != nil || f.Live() != 0 {
		t.Errorf("%d are live after the goodbye: %v", f.Live(), err)
	}
}

func TestViewersComeBackWithTheirPosition(t *testing.T) {
	s := newSpeaker(t, false)
	f := connect(t, Plan{
		Server: s.address(), Viewers: 8, Queries: []string{"a"},
		Retry: func(int) time.Duration { return 10 * time.Millisecond },
	})
	s.mu.Lock()
	s.asked = nil
	for c := range s.sockets {
		c.Conn().Close()
	}
	s.mu.Unlock()
	if err := f.Await(func() bool { return f.Figures().Lost == 8 && f.Live() == 8 }, patience); err != nil {
		t.Fatal(err)
	}
	if asked := s.requests(); len(asked) != 8 || !strings.Contains(asked[0], `"since":"e-1"`) {
		t.Errorf("asked for %q", asked)
	}
}

func TestALossIsAnErrorUnlessViewersAreToComeBack(t *testing.T) {
	s := newSpeaker(t, false)
	f := connect(t, Plan{Server: s.address(), Viewers: 3, Queries: []string{"a"}})
	s.http.CloseClientConnections()
	_ = s.Server.Close()
	if err := f.Run(patience); err == nil {
		t.Error("the server went, and nothing was said")
	}
}

func TestARefusalIsTold(t *testing.T) {
	s := newSpeaker(t, true)
	f, err := New(Plan{Server: s.address(), Viewers: 1, Queries: []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Connect(patience); !errors.Is(err, errRefused) || !strings.Contains(err.Error(), "overloaded") {
		t.Errorf("subscribe: %v", err)
	}
	if _, err := Ask(s.address(), "history", map[string]any{}); !errors.Is(err, errRefused) {
		t.Errorf("history: %v", err)
	}
	busy := httptest.NewServer(http.NotFoundHandler())
	defer busy.Close()
	if _, err := Ask(netip.MustParseAddrPort(strings.TrimPrefix(busy.URL, "http://")), "history", nil); !errors.Is(err, errRefused) || !strings.Contains(err.Error(), "404") {
		t.Errorf("no upgrade: %v", err)
	}
}

func TestAskReturnsTheAcknowledgement(t *testing.T) {
	s := newSpeaker(t, false)
	got, err := Ask(s.address(), "history", map[string]any{"query": "a"})
	asked := s.requests()
	if err != nil || string(got) != `{"ok":true,"room":"r-1","matched":1,"sent":1}` || !slices.Equal(asked, []string{`{"query":"a"}`}) {
		t.Errorf("%s (%v), asked %q", got, err, asked)
	}
}

func TestPlansThatCannotBe(t *testing.T) {
	for name, p := range map[string]Plan{
		"another machine":    {Server: netip.MustParseAddrPort("192.0.2.1:80"), Viewers: 1},
		"version 6":          {Server: netip.MustParseAddrPort("[::1]:80"), Viewers: 1},
		"too many addresses": {Server: netip.MustParseAddrPort("127.0.0.1:80"), Viewers: 300, PerAddress: 1},
	} {
		if _, err := New(p); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestRetriesAreThoseOfTheClient(t *testing.T) {
	wait := LikeTheClient(func() float64 { return 0.5 })
	for i, want := range []time.Duration{1, 2, 4, 5, 5} {
		if got := wait(i + 1); got != want*time.Second {
			t.Errorf("attempt %d: %v", i+1, got)
		}
	}
	if got := LikeTheClient(func() float64 { return 0 })(1); got != 500*time.Millisecond {
		t.Errorf("at least %v", got)
	}
}
