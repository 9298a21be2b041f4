package redisbus

import (
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"stripchart/internal/bus"
	"stripchart/internal/bus/bustest"
	"stripchart/internal/bus/redisbus/redistest"
)

// shared is one Redis for the tests that only need a stream of their own.
var shared *redistest.Server

func TestMain(m *testing.M) { redistest.Main(m, &shared) }

var streams atomic.Int64

// stream returns a name that no test had.
func stream() string { return fmt.Sprint("test", streams.Add(1)) }

func TestConformance(t *testing.T) {
	bustest.Run(t, func(t *testing.T) bus.Bus {
		b, err := Open(t.Context(), Options{URL: shared.URL, Stream: stream(), QueueBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}

func TestConformanceOverTLSWithUserAndPassword(t *testing.T) {
	a := redistest.NewAuthority(t)
	cert, key := a.Issue(t, "127.0.0.1")
	s := redistest.Start(t, redistest.Options{
		TLS:      &redistest.TLS{Authority: a, Cert: cert, Key: key},
		Password: "another", Args: strings.Fields("--user web on >pa@ss ~{test*}:* +@all"),
	})
	where := "rediss://web:pa%40ss@" + s.Addr + "?tls_ca_cert_file=" + url.QueryEscape(a.CA)
	bustest.Run(t, func(t *testing.T) bus.Bus {
		b, err := Open(t.Context(), Options{URL: where, Stream: stream(), QueueBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}

func TestAStreamNameThatCannotBeAKeyIsRefused(t *testing.T) {
	for _, name := range []string{"a b", "{a}", strings.Repeat("x", 101)} {
		if _, err := Open(t.Context(), Options{URL: shared.URL, Stream: name}); err == nil {
			t.Errorf("stream %q is accepted", name)
		}
	}
}
