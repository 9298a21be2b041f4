package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"stripchart/internal/bus"
)

// format1 returns a directory as format 1 has it: one copy of each note, without a
// checksum.
func format1(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s, err := Open(options(dir))
	if err != nil {
		t.Fatal(err)
	}
	appendRows(t, s, row(series("a"), bus.Sample{T: base, V: 1}))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		versionName: "1\n", string(Progress): `{"version":1}`, string(Gaps): `[{"from":1,"to":2}]`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []Note{Progress, Gaps, blocks} {
		_ = os.Remove(filepath.Join(dir, string(n)+copySuffix))
	}
	if err := os.Remove(filepath.Join(dir, string(blocks))); err != nil {
		t.Fatal(err)
	}
	return dir
}

func versionOf(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, versionName))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestADirectoryOfFormat1IsTakenOverAndThenRefusedByAnOlderVersion(t *testing.T) {
	dir := format1(t)
	s := open(t, options(dir))
	if s.MaxTime() != base {
		t.Errorf("the newest sample is of %d, want %d", s.MaxTime(), base)
	}
	for n, want := range map[Note]string{Progress: `{"version":1}`, Gaps: `[{"from":1,"to":2}]`} {
		if b, err := s.Kept(n); string(b) != want || err != nil {
			t.Errorf("%s is %q, %v", n, b, err)
		}
	}
	if ls := s.Losses(); len(ls) > 0 {
		t.Errorf("losses %v", ls)
	}
	if err := s.Keep(Gaps, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if v := versionOf(t, dir); v != fmt.Sprintln(formatVersion) || v == "1\n" {
		t.Errorf("VERSION is %q when a note has its new form", v)
	}
}

func TestAStartThatFailsLeavesTheFormat(t *testing.T) {
	dir := format1(t)
	db := filepath.Join(dir, databaseDir)
	if err := errors.Join(os.RemoveAll(db), os.WriteFile(db, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(options(dir)); err == nil {
		t.Fatal("opened", s.Close())
	}
	if v := versionOf(t, dir); v != "1\n" {
		t.Errorf("VERSION is %q", v)
	}
}

// Else an older stripchart would read what it does not know.
func TestNoNoteIsWrittenBeforeVersionSaysSo(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, versionName), []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	way := filepath.Join(dir, versionName+".tmp")
	if err := os.MkdirAll(filepath.Join(way, "not empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Gaps.write(dir, []byte("new")); err == nil {
		t.Error("it is written")
	}
	if _, err := os.Stat(filepath.Join(dir, string(Gaps))); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the note: %v", err)
	}
	if err := errors.Join(os.RemoveAll(way), Gaps.write(dir, []byte("new"))); err != nil {
		t.Error(err)
	}
	if v := versionOf(t, dir); v != fmt.Sprintln(formatVersion) {
		t.Errorf("VERSION is %q", v)
	}
}
