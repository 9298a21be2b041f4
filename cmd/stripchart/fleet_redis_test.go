package main

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"stripchart/internal/bus/redisbus/redistest"
	"stripchart/internal/testkit"
)

// Where Redis is, as the program is told it: the forms of --bus that need more than one
// process to be seen, or the environment.

// Redis's default: it asks for certificates, too.
func TestServeAndCollectOverTLSWithACAOfOnesOwn(t *testing.T) {
	a := redistest.NewAuthority(t)
	cert, key := a.Issue(t, "127.0.0.1")
	redis := redistest.Start(t, redistest.Options{TLS: &redistest.TLS{Authority: a, Cert: cert, Key: key, AskClients: true}})
	cert, key = a.Issue(t)
	bus := redis.URL + "?" + url.Values{"tls_cert_file": {cert}, "tls_key_file": {key}}.Encode()

	stranger := startCollector(t, t.TempDir(), bus)
	testkit.Eventually(t, "it says what to do", func() bool { return strings.Contains(stranger.log.String(), "tls_ca_cert_file=FILE") })
	stranger.stop()

	t.Setenv("SSL_CERT_FILE", a.CA)
	server := startServer(t, t.TempDir(), bus)
	collector := startCollector(t, t.TempDir(), bus)
	testkit.Eventually(t, "ten samples", func() bool { return len(server.history()) >= 10 })
	collector.stop()
	end := readLog(t, bus+"&tls_ca_cert_file="+url.QueryEscape(a.CA))
	testkit.Eventually(t, "the last sample", func() bool { return len(server.history()) >= len(end.samples) })
	server.history().mustHold(t, "the server", end.samples)
	server.stop()
}

func TestSentinelsPromoteAReplicaBelowServersAndACollector(t *testing.T) {
	redis := redistest.StartWatched(t, 1)
	servers := [2]*process{startServer(t, t.TempDir(), redis.URL), startServer(t, t.TempDir(), redis.URL)}
	collector := startCollector(t, t.TempDir(), redis.URL)
	for _, s := range servers {
		testkit.Eventually(t, "ten samples", func() bool { return len(s.history()) >= 10 })
	}
	before := readLog(t, redis.URL)
	redis.Nodes[0].Kill9()
	killed := time.Now()
	testkit.Eventually(t, "the sentinels agree on another master", func() bool { return redis.Master(t) == redis.Nodes[1] })
	promoted := time.Now()
	for _, s := range servers {
		testkit.Eventually(t, "samples afterwards", func() bool { return s.history().between(promoted.UnixMilli(), 1<<62) >= 1 })
	}
	t.Logf("a new master %v after kill -9, samples measured since then at both servers %v later",
		promoted.Sub(killed).Round(10*time.Millisecond), time.Since(promoted).Round(10*time.Millisecond))
	collector.stop()
	after := readLog(t, redis.URL)
	for _, s := range servers {
		testkit.Eventually(t, "the last sample", func() bool {
			return s.history().between(promoted.UnixMilli(), 1<<62) >= after.samples.between(promoted.UnixMilli(), 1<<62)
		})
		s.history().mustHold(t, "a server", before.samples)
		s.history().mustHold(t, "a server", after.samples)
		s.mustNotHaveLost()
	}
	if n := after.samples.between(killed.UnixMilli(), promoted.UnixMilli()); n < 5 {
		t.Errorf("%d samples of the time without a master", n)
	}
}
