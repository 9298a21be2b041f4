package chaos

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

// startRedis starts a Redis that can be bent, and ends it with the test.
func startRedis(t *testing.T) *redis {
	t.Helper()
	dir := t.TempDir()
	shim, err := buildShim(dir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRedis("redis", dir+"/data", shim, dir+"/log", "appendonly", "yes", "appendfsync", "always")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.kill)
	return r
}

func ask(t *testing.T, r *redis, command ...string) string {
	t.Helper()
	answer, err := r.ask(command...)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// The faults have to be what they are called.

func TestRedisClockGoesWrongAndRightAgain(t *testing.T) {
	r := startRedis(t)
	for _, shift := range []time.Duration{time.Hour, -time.Hour, 0} {
		if err := r.bent.clock(shift); err != nil {
			t.Fatal(err)
		}
		key := "s" + shift.String() // IDs of one stream never go back
		ms, _, _ := strings.Cut(ask(t, r, "XADD", key, "*", "a", "b"), "-")
		at, err := strconv.ParseInt(ms, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if off := time.Until(time.UnixMilli(at)) - shift; off.Abs() > time.Minute {
			t.Errorf("with a clock that is wrong by %v an entry's time is off by %v", shift, off)
		}
	}
}

func TestRedisFlushesTakeTheirTime(t *testing.T) {
	r := startRedis(t)
	const takes = 400 * time.Millisecond
	if err := r.bent.flush(takes); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	ask(t, r, "SET", "a", "1") // answered when it is on disk
	if d := time.Since(began); d < takes {
		t.Errorf("a flush of %v took %v", takes, d)
	}
}

// Redis puts off writing for up to two seconds while a flush is under way, and then
// writes all the same: a kill right after that costs nothing. So the kill comes at several
// moments, and on a busy machine more than once.
func TestADelayedFlushCostsWhatWasAcknowledged(t *testing.T) {
	r := startRedis(t)
	for try := range 40 {
		lasting := 1500*time.Millisecond + time.Duration(try%7)*400*time.Millisecond
		ask(t, r, "CONFIG", "SET", "appendfsync", "everysec")
		if err := r.bent.flush(5 * time.Second); err != nil {
			t.Fatal(err)
		}
		acknowledged := ""
		for began := time.Now(); time.Since(began) < lasting; {
			acknowledged = ask(t, r, "INCR", "n")
		}
		r.kill()
		if err := r.bent.flush(0); err != nil {
			t.Fatal(err)
		}
		if err := r.start(); err != nil {
			t.Fatal(err)
		}
		if kept := ask(t, r, "GET", "n"); kept != acknowledged {
			return
		}
	}
	t.Error("all are kept, however long the flushes are delayed: nothing was tested")
}

func TestALostReplyIsOfACommandThatWasCarriedOut(t *testing.T) {
	r := startRedis(t)
	n := newNetwork()
	defer n.close()
	l, err := n.link("client to redis", r.address)
	if err != nil {
		t.Fatal(err)
	}
	behind := &redis{process: &process{name: "redis behind a link"}, address: l.address}
	ask(t, behind, "INCR", "n")
	heal, err := l.poison(toxic{"timeout", down, map[string]int{"timeout": 100}})
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := behind.ask("INCR", "n"); err == nil {
		t.Errorf("answered %q", answer)
	}
	heal()
	if n := ask(t, behind, "GET", "n"); n != "2" {
		t.Errorf("n is %s after two INCR, of which one was not answered", n)
	}
	heal, err = l.refuse()
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := behind.ask("GET", "n"); err == nil {
		t.Errorf("answered %q while connections are refused", answer)
	}
	heal()
	ask(t, behind, "GET", "n")
}

// A process that ends without being told to is a failure.
func TestAProcessThatEndsByItselfIsFound(t *testing.T) {
	p := &process{name: "false", log: t.TempDir() + "/log", bin: "false"}
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	if !until(patience, func() bool { return p.failure() != nil }) {
		t.Error("nothing was noticed")
	}
	q := &process{name: "sleep", log: t.TempDir() + "/log", bin: "sleep", args: []string{"60"}}
	if err := q.start(); err != nil {
		t.Fatal(err)
	}
	q.kill()
	if err := q.failure(); err != nil {
		t.Errorf("one that was killed: %v", err)
	}
}
