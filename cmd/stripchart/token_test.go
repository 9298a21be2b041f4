package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stripchart/internal/socketio/siotest"
	"stripchart/internal/testkit"
)

// token runs stripchart token, and returns what it prints.
func token(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, says bytes.Buffer
	code = run(t.Context(), append([]string{"token"}, args...), strings.NewReader(""), &out, &says)
	return code, out.String(), says.String()
}

// newToken adds a token to a file.
func newToken(t *testing.T, file, name string, args ...string) string {
	t.Helper()
	code, out, says := token(t, append([]string{"add", name, "--token-file", file}, args...)...)
	if code != exitOK {
		t.Fatalf("%d %s", code, says)
	}
	return strings.TrimSpace(out)
}

func TestATokenIsPrintedOnceAndThenListedWithoutIt(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	phone := newToken(t, file, "phone", "--scope", "read", "--match", `{room="lab"}`)
	agent := newToken(t, file, "agent", "--scope", "write", "--label", "room=lab", "--label", "site=a,b", "--source", "lab-1")
	if !strings.HasPrefix(phone, "sc_") || strings.ContainsAny(phone, " \n") {
		t.Errorf("printed: %q", phone)
	}
	_, list, _ := token(t, "list", "--token-file", file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{phone, agent} {
		if strings.Contains(list, secret) || bytes.Contains(text, []byte(secret)) {
			t.Errorf("a token is in the list or in the file:\n%s\n%s", list, text)
		}
	}
	want := "NAME   SCOPE  BOUND TO\nphone  read   match {room=\"lab\"}\nagent  write  label room=lab, label site=a,b, source lab-1\n"
	if list != want {
		t.Errorf("listed:\n%s", list)
	}
	if code, _, says := token(t, "remove", "phone", "--token-file", file); code != exitOK {
		t.Errorf("%d %s", code, says)
	}
	if _, list, _ := token(t, "list", "--token-file", file); strings.Contains(list, "phone") || !strings.Contains(list, "agent") {
		t.Errorf("after the removal:\n%s", list)
	}
}

func TestATokenThatCannotBeIsRefusedBeforeAnythingIsWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	for says, args := range map[string][]string{
		"needs --token-file":        {"add", "a", "--scope", "read"},
		"--scope":                   {"add", "a", "--token-file", file},
		"must be one of":            {"add", "a", "--scope", "all", "--token-file", file},
		"for tokens of the scope r": {"add", "a", "--scope", "write", "--match", "up", "--token-file", file},
		"for tokens of the scope w": {"add", "a", "--scope", "read", "--source", "x", "--token-file", file},
		"want name=value":           {"add", "a", "--scope", "write", "--label", "room", "--token-file", file},
		"only selectors":            {"add", "a", "--scope", "read", "--match", "sum(up)", "--token-file", file},
		"means nothing":             {"list", "--listen", ":1", "--token-file", file},
		"no such file":              {"list", "--token-file", file},
		"no such":                   {"remove", "a", "--token-file", file},
	} {
		code, out, got := token(t, args...)
		if code == exitOK || out != "" || !strings.Contains(got, says) {
			t.Errorf("%v: %d %s%s", args, code, out, got)
		}
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file: %v", err)
	}
}

func TestTheFlagsOfTokensSayWhatToDo(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "tokens")
	for says, args := range map[string][]string{
		"--public-read needs --token-file": {"serve", "--public-read"},
		"set --token-file":                 {"serve", "--listen", "0.0.0.0:0"},
		"stripchart token add NAME":        {"serve", "--listen", "127.0.0.1:0", "--data-dir", t.TempDir(), "--token-file", missing},
	} {
		var out, got bytes.Buffer
		if code := run(t.Context(), args, strings.NewReader(""), &out, &got); code == exitOK || !strings.Contains(got.String(), says) {
			t.Errorf("%v: %d\n%s", args, code, &got)
		}
	}
	// With tokens other machines may reach it: nobody looks or writes without one.
	if _, _, err := parse([]string{"serve", "--listen", "0.0.0.0:0", "--token-file", missing}, io.Discard); err != nil {
		t.Error(err)
	}
}

// ask sends a request with a token to a running program.
func (p *process) ask(method, path, body, token string) (int, string) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	c := http.Client{Timeout: testkit.Patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// The real program, as its user meets it: it reads the file anew, and a removed token's page ends.
func TestARunningServerFollowsItsTokenFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	phone, agent := newToken(t, file, "phone", "--scope", "read"), newToken(t, file, "agent", "--scope", "write", "--label", "room=lab")
	p := start(t, "program", "serve", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0", "--token-file", file)
	p.untilReady()
	if status, says := p.ask("POST", "/api/v1/push/room_celsius", "21.5", ""); status != 401 {
		t.Errorf("without a token: %d %s", status, says)
	}
	if status, says := p.ask("POST", "/api/v1/push/room_celsius", "21.5", agent); status != 200 {
		t.Errorf("by the agent: %d %s", status, says)
	}
	if status, says := p.ask("GET", "/api/v1/query?query=room_celsius", "", phone); status != 200 || !strings.Contains(says, `"room":"lab"`) {
		t.Errorf("by the phone: %d %s", status, says)
	}
	page, err := siotest.Dial(t.Context(), p.url, siotest.Options{Namespace: "/live", Auth: fmt.Sprintf(`{"token":%q}`, phone)})
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	late := newToken(t, file, "late", "--scope", "read")
	testkit.Eventually(t, "the new token is valid", func() bool {
		status, _ := p.ask("GET", "/api/v1/labels", "", late)
		return status == 200
	})
	if code, _, says := token(t, "remove", "phone", "--token-file", file); code != exitOK {
		t.Fatal(says)
	}
	for err == nil {
		_, err = page.Text()
	}
	if status, _ := p.ask("GET", "/api/v1/labels", "", phone); status != 401 {
		t.Errorf("by the removed token: %d", status)
	}
	for _, secret := range []string{phone, agent, late} {
		if strings.Contains(p.log.String(), secret) {
			t.Error("the log has a token")
		}
	}
}
