package datadir

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func take(t *testing.T, dir string) *Lock {
	t.Helper()
	l, err := Take(dir)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestSecondOwnerIsToldWhoTheFirstIs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "dir")
	l := take(t, dir)
	if !l.Clean() {
		t.Error("a new directory is not clean")
	}
	for _, address := range []string{"", "http://127.0.0.1:5000"} {
		if err := l.Announce(address); err != nil {
			t.Fatal(err)
		}
		_, err := Take(dir)
		busy, ok := errors.AsType[*BusyError](err)
		if !ok || busy.Dir != dir || busy.Owner.PID != os.Getpid() || busy.Owner.Address != address {
			t.Fatalf("error %v (%+v)", err, busy)
		}
	}
	if err := l.Release(true); err != nil {
		t.Fatal(err)
	}
	if l = take(t, dir); !l.Clean() {
		t.Error("the owner before is said to have been killed")
	}
	if err := l.Release(false); err != nil {
		t.Error(err)
	}
}

func TestKilledOwnerIsNoticed(t *testing.T) {
	dir := t.TempDir()
	l := take(t, dir)
	if err := errors.Join(l.Announce(""), l.Release(false)); err != nil { // a kill lets go of LOCK and does nothing else
		t.Fatal(err)
	}
	l = take(t, dir)
	if l.Clean() || l.Rebooted() != (BootID() == "") {
		t.Errorf("clean %t, rebooted %t", l.Clean(), l.Rebooted())
	}
	if err := l.Release(true); err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"", "{", `{"pid":1,"boot":"another"}`} {
		if err := os.WriteFile(filepath.Join(dir, runningName), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		l = take(t, dir)
		if l.Clean() || !l.Rebooted() {
			t.Errorf("%q: clean %t, rebooted %t", content, l.Clean(), l.Rebooted())
		}
		if err := l.Release(true); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReplaceLeavesTheOldFileWhenItFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := Replace(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path+".tmp", "full"), 0o777); err != nil { // nothing can be written there
		t.Fatal(err)
	}
	if Replace(path, []byte("new")) == nil {
		t.Error("no error")
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "old" {
		t.Errorf("%q, %v", b, err)
	}
	if err := os.RemoveAll(path + ".tmp"); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "new" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := os.Stat(path + ".tmp"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary file is still there: %v", err)
	}
}
