package redislink

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"stripchart/internal/bus/redisbus/redistest"
	"stripchart/internal/testkit"
)

// secured starts a server of TLS whose certificate names these addresses.
func secured(t *testing.T, a *redistest.Authority, o redistest.Options, names ...string) *redistest.Server {
	t.Helper()
	cert, key := a.Issue(t, names...)
	o.TLS = &redistest.TLS{Authority: a, Cert: cert, Key: key}
	return redistest.Start(t, o)
}

// trusting adds the authority to a URL.
func trusting(a *redistest.Authority, where string) string {
	if strings.Contains(where, "?") {
		return where + "&tls_ca_cert_file=" + url.QueryEscape(a.CA)
	}
	return where + "?tls_ca_cert_file=" + url.QueryEscape(a.CA)
}

// The default of Redis: whoever has no certificate is refused.
func TestACertificateOfTheClients(t *testing.T) {
	a := redistest.NewAuthority(t)
	cert, key := a.Issue(t, "127.0.0.1")
	s := redistest.Start(t, redistest.Options{TLS: &redistest.TLS{Authority: a, Cert: cert, Key: key, AskClients: true}})
	where := trusting(a, s.URL)
	mustSay(t, where, "tls_cert_file=FILE")
	cert, key = a.Issue(t)
	where += "&" + url.Values{"tls_cert_file": {cert}, "tls_key_file": {key}}.Encode()
	mustReach(t, where)

	// It is renewed while the program runs.
	p := pool(t, where, slog.New(slog.DiscardHandler))
	if err := p.Do(t.Context(), write(t.Context())); err != nil {
		t.Fatal(err)
	}
	broken, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	renewed, renewedKey := a.Issue(t)
	if err := errors.Join(os.Rename(renewed, cert), os.Rename(renewedKey, key)); err != nil {
		t.Fatal(err)
	}
	if now, err := os.ReadFile(key); err != nil || string(now) == string(broken) {
		t.Fatal("nothing was renewed", err)
	}
	if err := s.Client(t).Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "a link with the new certificate", func() bool { return p.Do(t.Context(), write(t.Context())) == nil })
}

func TestACertificateThatIsNotTrustedIsRefused(t *testing.T) {
	a := redistest.NewAuthority(t)
	s := secured(t, a, redistest.Options{}, "127.0.0.1", "redis.example")
	mustSay(t, s.URL, "certificate signed by unknown authority; name the file of its CA's certificate: ?tls_ca_cert_file=FILE")
	mustSay(t, trusting(redistest.NewAuthority(t), s.URL), "tls_ca_cert_file")
	mustReach(t, trusting(a, s.URL))
	mustReach(t, s.URL+"?skip_verify=true")

	other := secured(t, a, redistest.Options{}, "redis.example")
	mustSay(t, trusting(a, other.URL), "127.0.0.1", "the certificate of Redis must name this address")
}

func TestTLSSpokenToAPortWithoutItAndTheOtherWayRound(t *testing.T) {
	a := redistest.NewAuthority(t)
	mustSay(t, "rediss://"+shared.Addr+"?dial_timeout=300ms", "no answer to the TLS handshake", "redis instead of rediss")
	s := secured(t, a, redistest.Options{}, "127.0.0.1")
	mustSay(t, "redis://"+s.Addr, "the port may be for TLS (rediss://)")
}

// Each node is judged by the address that it is called by, not by the URL's.
func TestSentinelAndClusterOverTLS(t *testing.T) {
	a := redistest.NewAuthority(t)
	s := secured(t, a, redistest.Options{}, "127.0.0.1")
	cert, key := a.Issue(t, "localhost", "127.0.0.1")
	_, port, _ := net.SplitHostPort(s.Addr)
	watch := redistest.Start(t, redistest.Options{
		TLS:      &redistest.TLS{Authority: a, Cert: cert, Key: key},
		Sentinel: []string{"sentinel monitor mine 127.0.0.1 " + port + " 1"},
	})
	_, port, _ = net.SplitHostPort(watch.Addr)
	mustReach(t, trusting(a, "rediss+sentinel://localhost:"+port+"?master_name=mine"))

	cert, key = a.Issue(t, "127.0.0.1", "localhost")
	node := redistest.StartClusterOfOne(t, redistest.Options{TLS: &redistest.TLS{Authority: a, Cert: cert, Key: key}})
	_, port, _ = net.SplitHostPort(node.Addr)
	mustReach(t, trusting(a, "rediss+cluster://localhost:"+port))
}

func TestFilesOfTLSAreCheckedAtTheStart(t *testing.T) {
	a := redistest.NewAuthority(t)
	cert, key := a.Issue(t)
	for query, says := range map[string]string{
		"tls_ca_cert_file=/nowhere/ca.pem":               "/nowhere/ca.pem",
		"tls_ca_cert_file=" + key:                        "no certificate",
		"tls_cert_file=" + cert:                          "belong together",
		"tls_cert_file=" + key + "&tls_key_file=" + cert: "tls_cert_file",
		"skip_verify=perhaps":                            "skip_verify",
		"tls_colour=red":                                 "tls_colour",
	} {
		for _, scheme := range []string{"rediss", "rediss+sentinel", "rediss+cluster"} {
			if err := CheckURL(scheme + "://host?master_name=mine&" + query); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%s, %s: %v, want %q", scheme, query, err, says)
			}
		}
	}
	if err := CheckURL("redis://host?tls_ca_cert_file=" + a.CA); err == nil {
		t.Error("a file for TLS is taken without TLS")
	}
}

// The TLS handshake is a wait of its own.
func TestDialHonoursItsContextDuringTheTLSHandshake(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // it accepts connections, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	r := open(t, "rediss://"+silent.Addr().String()+"?dial_timeout=1m", slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := r.Dial(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Dial returned %v", err)
	}
}
