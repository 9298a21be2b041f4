package redisbus

import (
	"fmt"
	"testing"
	"time"

	"stripchart/internal/bus"
)

// aged fills the log with one entry a minute, the newest now.
func aged(t *testing.T, b *Bus, now time.Time, minutes int) {
	t.Helper()
	c := shared.Client(t)
	pipe := c.Pipeline()
	filler := make([]byte, 1000)
	for i := minutes; i >= 0; i-- {
		id := fmt.Sprintf("%d-0", now.Add(-time.Duration(i)*time.Minute).UnixMilli())
		pipe.Do(t.Context(), "XADD", b.logKey, id, "b", filler)
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// The log's clock and this server's clock may differ. Neither clock alone may erase entries
// that are younger by the other.
func TestTrimmingKeepsTheLastHourWhateverTheClocksSay(t *testing.T) {
	for _, c := range []struct {
		name         string
		log, server  time.Duration // ahead of the true time
		atLeast, max int           // entries left, of 300: one a minute
	}{
		{"clocks agree", 0, 0, 61, 75},
		{"the server's is a day ahead", 0, 24 * time.Hour, 61, 75},
		{"the server's is a day behind", 0, -24 * time.Hour, 301, 301},
		{"Redis's is a day ahead", 24 * time.Hour, 0, 301, 301},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := time.Now()
			b := open(t, Options{URL: shared.URL, Stream: stream(), Now: func() time.Time { return now.Add(c.server) }})
			aged(t, b, now.Add(c.log), 300)
			if err := b.trimOnce(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := shared.Client(t).XLen(t.Context(), b.logKey).Val(); n < int64(c.atLeast) || n > int64(c.max) {
				t.Errorf("%d entries are left, want %d to %d", n, c.atLeast, c.max)
			}
		})
	}
}

func TestTrimmingKeepsTheBoundInBytesAndTheNewest(t *testing.T) {
	const bound = 200_000
	b := open(t, Options{URL: shared.URL, Stream: stream(), RetainBytes: bound})
	c := shared.Client(t)
	now := time.Now()
	aged(t, b, now, 50)
	if err := b.trimOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := c.XLen(t.Context(), b.logKey).Val(); n != 51 {
		t.Errorf("%d of 51 entries are left below the bound", n)
	}
	before := c.XLen(t.Context(), b.logKey).Val()
	for i := range 1000 {
		publish(t, b, &bus.Batch{Sequence: bus.Sequence{Source: fmt.Sprintf("%01000d", i), Seq: 1}})
	}
	for range 3 {
		if err := b.trimOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	bytes, n := c.MemoryUsage(t.Context(), b.logKey).Val(), c.XLen(t.Context(), b.logKey).Val()
	if bytes > bound*5/4 || n < before {
		t.Errorf("%d bytes in %d entries are left, the bound is %d", bytes, n, bound)
	}
	newest := end(t, b)
	tight := open(t, Options{URL: shared.URL, Stream: "x", RetainBytes: 1, RetainAge: time.Nanosecond})
	tight.logKey, tight.epochKey = b.logKey, b.epochKey
	for range 3 {
		if err := tight.trimOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if e := end(t, b); e != newest {
		t.Errorf("the newest is %v, was %v", e, newest)
	}
}

// A program that only publishes must not erase what others still have to read.
func TestOnlyTrimTrims(t *testing.T) {
	now := time.Now()
	b := open(t, Options{URL: shared.URL, Stream: stream(), RetainBytes: 1})
	aged(t, b, now.Add(-time.Hour), 200)
	publish(t, b, sequence("a", 1, 50)...)
	if n := shared.Client(t).XLen(t.Context(), b.logKey).Val(); n != 251 {
		t.Errorf("%d entries, want 251", n)
	}
}
