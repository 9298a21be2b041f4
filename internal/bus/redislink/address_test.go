package redislink

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"

	"stripchart/internal/bus"
	"stripchart/internal/bus/redisbus/redistest"
	"stripchart/internal/testkit"
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
		err := CheckURL(c.url)
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", c.url, err, c.says)
		}
	}
}

func TestUserPasswordDatabaseAndSocket(t *testing.T) {
	s := redistest.Start(t, redistest.Options{Password: "pa/ss"})
	mustReach(t, s.URL)
	mustReach(t, s.URL+"/3")
	mustReach(t, "unix://default:pa%2Fss@"+s.Socket()+"?db=2")
	err := pool(t, "redis://:secret@"+s.Addr, slog.New(slog.DiscardHandler)).Do(t.Context(), write(t.Context()))
	if err == nil || !strings.Contains(err.Error(), "WRONGPASS") || strings.Contains(err.Error(), "secret") {
		t.Errorf("a wrong password: %v", err)
	}
}

func TestCluster(t *testing.T) {
	mustReach(t, "redis+cluster://"+redistest.StartClusterOfOne(t, redistest.Options{}).Addr)
}

func TestSentinel(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	host, port, _ := net.SplitHostPort(s.Addr)
	watch := redistest.Start(t, redistest.Options{Sentinel: []string{fmt.Sprintf("sentinel monitor mine %s %s 1", host, port)}})
	mustReach(t, "redis+sentinel://"+watch.Addr+"?master_name=mine")
}

// Before the first link an old server is a permanent error. Afterwards it is retried: an
// upgrade may be under way.
func TestAnOldServerIsAPermanentErrorOnlyBeforeTheFirstLink(t *testing.T) {
	for _, version := range []string{"5.0.14", "6.0.20"} {
		s := redistest.Start(t, redistest.Options{})
		for _, before := range []bool{true, false} {
			var log testkit.Log
			r := open(t, s.URL, log.Logger())
			if !before {
				l, err := r.Dial(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				l.Close()
			}
			s.Kill9()
			_, stop := redistest.Old(t, s.Addr, version)
			_, err := r.Dial(t.Context())
			if err == nil || errors.Is(err, ErrOldServer) != before || errors.Is(err, bus.ErrUnusable) != before ||
				!strings.Contains(err.Error(), "Redis "+version+"; upgrade it to 6.2 or newer, or to Valkey") {
				t.Errorf("%s, before the first link: %v: %v", version, before, err)
			}
			stop()
			s.Restart(t, false)
		}
	}
	for version, want := range map[string]bool{"6.2.0": true, "7.0.15": true, "10.1": true, "6.1.9": false, "5.0": false, "unstable": true} {
		if atLeast(version, 6, 2) != want {
			t.Errorf("%s is new enough: %v, want %v", version, !want, want)
		}
	}
}
