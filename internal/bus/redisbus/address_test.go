package redisbus

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/bus/redisbus/redistest"
)

func TestURLsThatAreRefusedSayWhyAndNoPassword(t *testing.T) {
	for _, c := range []struct{ url, says string }{
		{"", "none of redis, rediss"},
		{"http://host", `scheme "http"`},
		{"redis://user:secret@host/x", "database number"},
		{"redis://user:secret@host?colour=red", "colour"},
		{"redis://user:secret@host:port", "not of the form"},
		{"redis://user:1/secret@host", "not of the form"},
		{"redis://user:1?secret@host", "not of the form"},
		{"redis://user:1#secret@host", "not of the form"},
		{"redis://user:%zzsecret@host", "not of the form"},
		{"redis:user:secret@host", "not of the form"},
		{"redis+sentinel://user:secret@host", "master_name"},
		{"redis+nothing://user:secret@host", "neither"},
		{"redis+cluster://user:secret@host/3", "no databases but 0"},
		{"redis+cluster://user:secret@host?tls_cert_file=x", "tls_cert_file"},
		{"unix://user:secret@", "empty unix socket path"},
	} {
		_, err := Open(t.Context(), Options{URL: c.url})
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", c.url, err, c.says)
		}
	}
	for _, name := range []string{"a b", "{a}", strings.Repeat("x", 101)} {
		if _, err := Open(t.Context(), Options{URL: shared.URL, Stream: name}); err == nil {
			t.Errorf("stream %q is taken", name)
		}
	}
}

// check publishes and reads over url.
func check(t *testing.T, url string) {
	t.Helper()
	b := open(t, Options{URL: url, Stream: stream()})
	insist(t, b, one("a", 1))
	if got := read(t, b, bus.Position{}, 1); got[0].Batch.Seq != 1 {
		t.Errorf("batch %d", got[0].Batch.Seq)
	}
	if p := end(t, b); p.Epoch == "" {
		t.Error("no epoch")
	}
}

func TestUserPasswordDatabaseAndSocket(t *testing.T) {
	s := start(t, redistest.Options{Password: "pa/ss"})
	check(t, s.URL)
	check(t, s.URL+"/3")
	check(t, "unix://default:pa%2Fss@"+s.Socket()+"?db=2")
	wrong := open(t, Options{URL: "redis://:secret@" + s.Addr})
	err := wrong.Publish(t.Context(), one("a", 1))
	if err == nil || !strings.Contains(err.Error(), "WRONGPASS") || strings.Contains(err.Error(), "secret") {
		t.Errorf("a wrong password: %v", err)
	}
}

func TestCluster(t *testing.T) {
	check(t, "redis+cluster://"+single(t, redistest.Options{}).Addr)
}

// single starts a cluster of one node.
func single(t *testing.T, o redistest.Options) *redistest.Server {
	t.Helper()
	o.Args = []string{"--cluster-enabled", "yes"}
	s := start(t, o)
	c := s.Client(t)
	if err := c.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the cluster is up", func() bool {
		return strings.Contains(c.ClusterInfo(t.Context()).Val(), "cluster_state:ok")
	})
	return s
}

func TestSentinel(t *testing.T) {
	s := start(t, redistest.Options{})
	host, port, _ := net.SplitHostPort(s.Addr)
	watch := start(t, redistest.Options{Sentinel: []string{fmt.Sprintf("sentinel monitor mine %s %s 1", host, port)}})
	check(t, "redis+sentinel://"+watch.Addr+"?master_name=mine")
}

func TestAnOldServerIsRefusedByName(t *testing.T) {
	for _, version := range []string{"5.0.14", "6.0.20"} {
		where, _ := redistest.Old(t, "127.0.0.1:0", version)
		var log lines
		b := open(t, Options{URL: where, Logger: log.logger()})
		_, endErr := b.End(t.Context())
		for call, err := range map[string]error{
			"Publish": b.Publish(t.Context(), one("a", 1)),
			"Tail":    tail(t, b, bus.Position{}).ends(t),
			"End":     endErr,
		} {
			if !errors.Is(err, ErrOldServer) || !errors.Is(err, bus.ErrUnusable) ||
				!strings.Contains(err.Error(), "Redis "+version+"; upgrade it to 6.2 or newer, or to Valkey") {
				t.Errorf("%s with %s returned %v", call, version, err)
			}
		}
		if log.String() != "" {
			t.Errorf("what was returned is in the log, too:\n%s", &log)
		}
	}
	for version, want := range map[string]bool{"6.2.0": true, "7.0.15": true, "10.1": true, "6.1.9": false, "5.0": false, "unstable": true} {
		if atLeast(version, 6, 2) != want {
			t.Errorf("%s is new enough: %v, want %v", version, !want, want)
		}
	}
}

// A wrong server behind an address that was right before: an upgrade that went
// backwards, a balancer that has one more. Nobody gives up, and it is said once.
func TestAServerThatTurnsOldIsWaitedFor(t *testing.T) {
	s := start(t, redistest.Options{Persist: true})
	var log lines
	b := open(t, Options{URL: s.URL, Logger: log.logger()})
	r := tail(t, b, bus.Position{})
	publish(t, b, one("a", 1))
	r.wait(t, 1)
	s.Kill9()
	_, stop := redistest.Old(t, s.Addr, "6.0.20")
	eventually(t, "it is said", func() bool { return strings.Contains(log.String(), "this is Redis 6.0.20; upgrade it") })
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
	eventually(t, "#2 is delivered", func() bool { return strings.HasSuffix(r.seqs(), "2") })
	if n := strings.Count(log.String(), "6.0.20"); n != 1 {
		t.Errorf("it is said %d times:\n%s", n, &log)
	}
}
