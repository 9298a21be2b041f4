package main

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"stripchart/internal/bus/httpbus"
	"stripchart/internal/bus/redisbus/redistest"
	"stripchart/internal/socketio/siotest"
	"stripchart/internal/testkit"
	"stripchart/internal/wire"
)

// trusting returns what a client trusts that knows one authority.
func trusting(t testing.TB, caFile string) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(caFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: roots}
}

func TestOverTLSPagesAreLiveAndEveryCommandReachesTheServer(t *testing.T) {
	authority := redistest.NewAuthority(t)
	cert, key := authority.Issue(t, "127.0.0.1")
	p := start(t, "program", "serve", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key)
	if !strings.HasPrefix(p.url, "https://127.0.0.1:") {
		t.Fatalf("it listens at %q:\n%s", p.url, p.log)
	}
	socket, err := siotest.Dial(t.Context(), p.url, siotest.Options{Namespace: "/live", Patience: testkit.Patience, TLS: trusting(t, authority.CA)})
	if err != nil {
		t.Fatal(err)
	}
	page := &client{t, socket}
	t.Cleanup(page.Close)
	var subscribed wire.Subscribed
	page.ask(wire.EventSubscribe, wire.Subscribe{Query: "rtt_ms"}, &subscribed)

	code, _, said := command(t, strings.NewReader("1.5\n"), "push", "rtt_ms", "--to", p.url, "--ca-file", authority.CA)
	if code != exitOK || said != "" {
		t.Errorf("push: exit code %d, %s", code, said)
	}
	if update := string(page.next(wire.EventUpdate)); !strings.Contains(update, "1.5") {
		t.Errorf("the page was sent %s", update)
	}
	file := filepath.Join(t.TempDir(), "all.jsonl")
	must(t, "export", file, "--match", "rtt_ms", "--from", p.url, "--ca-file", authority.CA)
	must(t, "import", file, "--to", p.url, "--ca-file", authority.CA)
	if got := fileSamples(t, file); len(got) != 1 {
		t.Errorf("exported: %v", got)
	}

	page.ask(wire.EventSubscribe, wire.Subscribe{Query: "load1"}, &subscribed)
	start(t, "program", "collect", "--bus", p.url, "--ca-file", authority.CA, "--data-dir", t.TempDir(), "--interval", "100ms")
	page.next(wire.EventUpdate)

	// The authority is none that the system knows.
	code, _, said = command(t, nil, "export", file, "--from", p.url)
	if code != exitError || !strings.Contains(said, "unknown authority") {
		t.Errorf("an unknown authority: exit code %d, %s", code, said)
	}
}

// tokens are the headers Authorization that a server was sent.
type tokens struct {
	mu   sync.Mutex
	seen []string
}

func (s *tokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, r.Header.Get("Authorization"))
	w.Header().Set(httpbus.HeaderSamplesWritten, "1")
}

func (s *tokens) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.seen
	s.seen = nil
	return seen
}

func TestATokenIsSentAndNeverShown(t *testing.T) {
	server := &tokens{}
	h := httptest.NewServer(server)
	defer h.Close()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("sc_of-a-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out.csv")
	for _, c := range []struct {
		flag, environment string
		want              string
		warned            bool
	}{
		{want: ""},
		{flag: "@" + file, want: "Bearer sc_of-a-file"},
		{environment: "@" + file, want: "Bearer sc_of-a-file"},
		{environment: "sc_of-the-environment", want: "Bearer sc_of-the-environment"},
		{flag: "sc_in-sight", want: "Bearer sc_in-sight", warned: true},
		{flag: "@" + file, environment: "sc_of-the-environment", want: "Bearer sc_of-a-file"},
	} {
		t.Setenv("STRIPCHART_TOKEN", c.environment)
		for _, args := range [][]string{{"push", "n", "--to", h.URL}, {"export", out, "--from", h.URL}} {
			if c.flag != "" {
				args = append(args, "--token", c.flag)
			}
			code, _, said := command(t, strings.NewReader("1\n"), args...)
			if got := server.take(); code != exitOK || len(got) != 1 || got[0] != c.want {
				t.Errorf("%+v, %v: exit code %d, %q was sent; %s", c, args, code, got, said)
			}
			if strings.Contains(said, "every user of this machine") != c.warned || strings.Contains(said, "sc_of") || strings.Contains(said, "sc_in") {
				t.Errorf("%+v, %v: %s", c, args, said)
			}
		}
	}
}

// A token that somebody replaces in its file is used from the next request on.
func TestATokenOfAFileIsReadForEachRequest(t *testing.T) {
	server := &tokens{}
	h := httptest.NewServer(server)
	defer h.Close()
	file := filepath.Join(t.TempDir(), "token")
	put := func(token string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	put("sc_first")
	push := startPush(t, h.URL, "n", "--token", "@"+file)
	sent := func(want string) {
		t.Helper()
		push.line("1")
		var got []string
		testkit.Eventually(t, want+" is sent", func() bool {
			got = server.take()
			return len(got) > 0
		})
		if got[0] != want {
			t.Errorf("%q was sent, want %q", got, want)
		}
	}
	sent("Bearer sc_first")
	put("sc_second")
	sent("Bearer sc_second")
	if code, said := push.end(); code != exitOK || said != "" {
		t.Errorf("exit code %d: %s", code, said)
	}
}

func TestWrongFlagsOfReachAreErrorsBeforeAnythingStarts(t *testing.T) {
	dir := t.TempDir()
	empty, two := filepath.Join(dir, "empty"), filepath.Join(dir, "two")
	for name, text := range map[string]string{empty: "\n", two: "sc_secret sc_other"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const to = "https://127.0.0.1:1"
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no file":             {[]string{"push", "n", "--to", to, "--token", "@" + dir + "/none"}, exitError, "--token: open"},
		"an empty file":       {[]string{"push", "n", "--to", to, "--token", "@" + empty}, exitError, "is no token"},
		"two words in a file": {[]string{"export", dir + "/x.csv", "--from", to, "--token", "@" + two}, exitError, "is no token"},
		"two words":           {[]string{"push", "n", "--to", to, "--token", "sc_secret sc_other"}, exitUsage, "is no token"},
		"a line end":          {[]string{"push", "n", "--to", to, "--token", "sc_secret\nHost: x"}, exitUsage, "is no token"},
		"a user too":          {[]string{"push", "n", "--to", "https://a:b@127.0.0.1:1", "--token", "@" + two}, exitUsage, "either a token or a user"},
		"a stray token":       {[]string{"push", "n", "sc_secret"}, exitUsage, "sc_..."},
		"no CA":               {[]string{"push", "n", "--to", to, "--ca-file", dir + "/none"}, exitError, "--ca-file"},
		"no certificate":      {[]string{"push", "n", "--to", to, "--ca-file", two}, exitError, "no certificate in PEM"},
		"a CA for Redis":      {[]string{"collect", "--bus", "rediss://127.0.0.1:1", "--ca-file", two, "--data-dir", dir + "/c"}, exitUsage, "tls_ca_cert_file"},
		"a key alone":         {[]string{"serve", "--tls-key", two, "--data-dir", dir + "/s"}, exitUsage, "belong together"},
		"no key":              {[]string{"serve", "--tls-key", two, "--tls-cert", two, "--data-dir", dir + "/s"}, exitError, "no pair"},
		"an open public URL":  {[]string{"serve", "--public-url", "https://lab.example/", "--data-dir", dir + "/s"}, exitUsage, "--insecure"},
		"no public URL":       {[]string{"serve", "--public-url", "lab.example", "--data-dir", dir + "/s"}, exitUsage, "--public-url: "},
		"no proxy":            {[]string{"serve", "--trusted-proxy", "nginx", "--data-dir", dir + "/s"}, exitUsage, "--trusted-proxy: "},
		"no origin":           {[]string{"serve", "--allow-origin", "*", "--data-dir", dir + "/s"}, exitUsage, "--allow-origin: "},
		"no embedder":         {[]string{"serve", "--allow-embed", "https://x/y", "--data-dir", dir + "/s"}, exitUsage, "--allow-embed: "},
		"not for a server":    {[]string{"serve", "--ca-file", two, "--data-dir", dir + "/s"}, exitUsage, "means nothing to stripchart serve"},
	} {
		code, _, said := command(t, strings.NewReader("1\n"), c.args...)
		if code != c.code || !strings.Contains(said, c.says) || strings.Contains(said, "sc_secret") || strings.Contains(said, "sc_other") {
			t.Errorf("%s: exit code %d, %s; want %d, %s", name, code, said, c.code, c.says)
		}
	}
}
