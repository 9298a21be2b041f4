package access

import (
	"os"
	"path/filepath"
	"testing"

	"stripchart/internal/testkit"
)

func TestATokenOfARunIsInNoFileAndOutlivesEveryChangeOfIt(t *testing.T) {
	log := &testkit.Log{}
	path := filepath.Join(t.TempDir(), "tokens")
	editor := Editor{Path: path}
	phone, err := editor.Add(Entry{Name: "phone", Scope: Read})
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := Open(path, Rules{}, log.Logger())
	if err != nil {
		t.Fatal(err)
	}
	alone := WithoutFile(log.Logger())
	shared, other := tokens.AddForRun(), alone.AddForRun()
	is := func(of *Tokens, text, name string) {
		t.Helper()
		found := of.Find(text)
		if (found == nil) != (name == "") || found != nil && found.Name != name {
			t.Errorf("found %+v, want %q", found, name)
		}
	}
	is(tokens, shared, RunName)
	is(tokens, phone, "phone")
	is(alone, other, RunName)
	is(alone, shared, "")
	is(tokens, "", "")
	if s := tokens.Find(shared).Session(); !s.Read || s.Write || len(s.Matchers) > 0 || !NewSessions(tokens).Holds(s) {
		t.Errorf("its session: %+v", s)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := editor.Remove("phone"); err != nil {
		t.Fatal(err)
	}
	tokens.Poll()
	alone.Poll()
	is(tokens, phone, "")
	is(tokens, shared, RunName)
	is(alone, other, RunName)
	after, err := os.ReadFile(path)
	if err != nil || len(after) >= len(before) {
		t.Errorf("the file: %s, %v", after, err)
	}
	// A file cannot name it.
	if _, err := (Rules{}).Check(Entry{Name: RunName, Scope: Read, SHA256: Hash("x")}); err == nil {
		t.Error("a file could have a token of that name")
	}
	cookies, err := OpenCookies(tokens, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if got := cookies.Find(cookies.Make(tokens.Find(shared))); got == nil || got.Name != RunName {
		t.Errorf("its cookie is of %+v", got)
	}
}
