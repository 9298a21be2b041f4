package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"stripchart/internal/datadir"
)

func TestNotesAreKeptWithTheHistory(t *testing.T) {
	dir := t.TempDir()
	s := open(t, options(dir))
	if b, err := s.Kept(Progress); b != nil || err != nil {
		t.Fatalf("a new directory has the note %q, %v", b, err)
	}
	for _, text := range []string{"first", "second"} {
		if err := s.Keep(Progress, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Keep(Progress, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("keep after close: %v", err)
	}
	if _, err := s.Kept(Progress); !errors.Is(err, ErrClosed) {
		t.Errorf("kept after close: %v", err)
	}
	s = open(t, options(dir))
	if b, err := s.Kept(Progress); string(b) != "second" || err != nil {
		t.Errorf("the note is %q, %v", b, err)
	}
}

func TestIntactKnowsOfAReboot(t *testing.T) {
	if datadir.BootID() == "" {
		t.Fatal("this machine does not tell when it was started")
	}
	for _, c := range []struct {
		name, running string
		want          bool
	}{
		{"a clean end", "", true},
		{"a kill", `{"pid":1,"boot":"` + datadir.BootID() + `"}`, true},
		{"a power loss", `{"pid":1,"boot":"another"}`, false},
		{"a version that did not say", `{"pid":1}`, false},
	} {
		dir := t.TempDir()
		s := open(t, options(dir))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if c.running != "" {
			if err := os.WriteFile(filepath.Join(dir, "running.json"), []byte(c.running), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s = open(t, options(dir))
		if got := s.Intact(); got != c.want {
			t.Errorf("after %s: %v, want %v", c.name, got, c.want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
