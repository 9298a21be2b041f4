package redisbus

import (
	"errors"
	"strings"
	"testing"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/bus/redisbus/redistest"
	"stripchart/internal/bus/redislink"
	"stripchart/internal/testkit"
)

func TestAnOldServerIsRefusedByName(t *testing.T) {
	for _, version := range []string{"5.0.14", "6.0.20"} {
		where, _ := redistest.Old(t, "127.0.0.1:0", version)
		var log testkit.Log
		b := open(t, Options{URL: where, Logger: log.Logger()})
		_, endErr := b.End(t.Context())
		for call, err := range map[string]error{
			"Publish": b.Publish(t.Context(), one("a", 1)),
			"Tail":    tail(t, b, bus.Position{}).ends(t),
			"End":     endErr,
		} {
			if !errors.Is(err, redislink.ErrOldServer) || !errors.Is(err, bus.ErrUnusable) ||
				!strings.Contains(err.Error(), "Redis "+version+"; upgrade it to 6.2 or newer, or to Valkey") {
				t.Errorf("%s with %s returned %v", call, version, err)
			}
		}
		if log.String() != "" {
			t.Errorf("what was returned is in the log, too:\n%s", &log)
		}
	}
}

// A wrong server behind an address that was right before: an upgrade that went
// backwards, a balancer that has one more. Nobody gives up, and it is said once.
func TestAServerThatTurnsOldIsWaitedFor(t *testing.T) {
	s := redistest.Start(t, redistest.Options{Persist: true})
	var log testkit.Log
	b := open(t, Options{URL: s.URL, Logger: log.Logger()})
	r := tail(t, b, bus.Position{})
	publish(t, b, one("a", 1))
	r.wait(t, 1)
	s.Kill9()
	_, stop := redistest.Old(t, s.Addr, "6.0.20")
	testkit.Eventually(t, "it is said", func() bool { return strings.Contains(log.String(), "this is Redis 6.0.20; upgrade it") })
	for range 5 {
		err := b.Publish(t.Context(), one("a", 2))
		if err == nil || errors.Is(err, bus.ErrUnusable) {
			t.Fatalf("Publish returned %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if _, err := b.End(t.Context()); err == nil || errors.Is(err, bus.ErrUnusable) {
		t.Errorf("End returned %v", err)
	}
	stop()
	s.Restart(t, true)
	insist(t, b, one("a", 2))
	testkit.Eventually(t, "#2 is delivered", func() bool { return strings.HasSuffix(r.seqs(), "2") })
	if n := strings.Count(log.String(), "6.0.20"); n != 1 {
		t.Errorf("it is said %d times:\n%s", n, &log)
	}
}
