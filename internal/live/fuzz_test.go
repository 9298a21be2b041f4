package live

import (
	"encoding/json"
	"testing"
	"time"

	"stripchart/internal/bus"
)

// Whatever a page asks, it is answered once, with JSON that says ok or why not, and
// the hub goes on.
func FuzzRequests(f *testing.F) {
	for _, arg := range []string{
		`{"query":"m","window":100,"points":1200}`, `{"query":"m{source=~\"[0-9]+\"}","since":"e-1-2"}`, `{"query":"{__name__=~\".+\"}","window":1.5}`,
		`{"room":"r-0"}`, `{"query":"m","from":0,"to":1000,"points":8}`, `{"match":["m","{a=\"b\"}"]}`, `{}`, `null`, `[]`, `{"query":"rate(m[5m])"}`, `{"window":-1}`, "{\"query\":\"\xff\"}",
	} {
		f.Add(uint8(0), []byte(arg))
		f.Add(uint8(1), []byte(arg))
		f.Add(uint8(2), []byte(arg))
		f.Add(uint8(3), []byte(arg))
	}
	st := newMemStore()
	st.delay = func() time.Duration { return 0 }
	r := newRig(f, st, nil)
	f.Cleanup(r.stop)
	r.put(nil, seriesLabels(0, 0), bus.Sample{T: ms(), V: 1})
	f.Fuzz(func(t *testing.T, request uint8, arg []byte) {
		p := newPage(t, r.hub, 1<<20)
		defer p.close()
		answers := make(chan []byte, 2)
		ack := Ack(func(b []byte) { answers <- b })
		do := []func(json.RawMessage, Ack){p.client.Subscribe, p.client.Unsubscribe, p.client.History, p.client.Catalogue}
		do[request%4](arg, ack)
		select {
		case b := <-answers:
			var a struct {
				OK    *bool           `json:"ok"`
				Error json.RawMessage `json:"error"`
			}
			if err := json.Unmarshal(b, &a); err != nil || a.OK == nil || *a.OK == (a.Error != nil) {
				t.Fatalf("%q was answered with %q", arg, b)
			}
		case <-time.After(2 * time.Minute):
			t.Fatalf("%q was not answered", arg)
		}
		if len(answers) > 0 {
			t.Fatalf("%q was answered twice", arg)
		}
	})
}
