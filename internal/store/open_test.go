package store

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/datadir"
)

// tree lists a directory's files with their contents.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		files[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func sameTree(t *testing.T, before, after map[string]string) {
	t.Helper()
	for path := range after {
		if _, ok := before[path]; !ok {
			t.Errorf("%s appeared", path)
		}
	}
	for path, b := range before {
		if a, ok := after[path]; !ok || a != b {
			t.Errorf("%s changed", path)
		}
	}
}

func TestSecondOpenSaysWhoHasTheDirectory(t *testing.T) {
	dir := t.TempDir()
	s := open(t, options(dir))
	try := func() *LockedError {
		t.Helper()
		second, err := Open(options(dir))
		if err == nil {
			t.Fatal("opened twice", second.Close())
		}
		if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "--data-dir") {
			t.Errorf("error %v", err)
		}
		var locked *LockedError
		if !errors.As(err, &locked) {
			t.Fatalf("error is a %T", err)
		}
		return locked
	}
	if got := try(); got.Owner.PID != os.Getpid() || got.Owner.Address != "" || got.Dir != dir {
		t.Errorf("before it serves: %+v", got)
	}
	if err := s.SetAddress("http://127.0.0.1:5000"); err != nil {
		t.Fatal(err)
	}
	if got := try(); got.Owner.Address != "http://127.0.0.1:5000" {
		t.Errorf("when it serves: %+v", got)
	}
	appendRows(t, s, row(series("a"), bus.Sample{T: base, V: 1})) // undisturbed
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, options(dir))
}

func TestAnotherProcessIsNamedToo(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }() // it was killed
	defer func() { _ = cmd.Process.Kill() }()
	for range 12_000 {
		var owner datadir.Owner
		b, err := os.ReadFile(filepath.Join(dir, "running.json"))
		if err == nil && json.Unmarshal(b, &owner) == nil && owner.PID == cmd.Process.Pid {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	s, err := Open(options(dir))
	var locked *LockedError
	if !errors.As(err, &locked) || locked.Owner.PID != cmd.Process.Pid {
		t.Errorf("opened %v, error %v, want process %d", s, err, cmd.Process.Pid)
	}
}

func TestDirectoryOfANewerVersionIsLeftAsItIs(t *testing.T) {
	dir := t.TempDir()
	for path, text := range map[string]string{versionName: "3\n", "something": "else"} {
		if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := tree(t, dir)
	s, err := Open(options(dir))
	if !errors.Is(err, ErrNewerVersion) {
		t.Fatalf("opened %v, error %v", s, err)
	}
	for _, word := range []string{dir, "format 3", "up to 2"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not name %q", err, word)
		}
	}
	sameTree(t, before, tree(t, dir))
}

func TestVersionFileIsWrittenOnceAndChecked(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, options(dir)).Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, versionName))
	if err != nil || string(b) != "2\n" {
		t.Errorf("VERSION is %q, %v", b, err)
	}
	for _, text := range []string{"", "one", "0", "-1"} {
		if err := os.WriteFile(filepath.Join(dir, versionName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := Open(options(dir)); err == nil || !strings.Contains(err.Error(), versionName) {
			t.Errorf("VERSION %q: opened %v, error %v", text, s, err)
		}
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, versionName)), os.Mkdir(filepath.Join(dir, versionName), 0o700)); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(options(dir)); !errors.Is(err, errNoVersion) || strings.Contains(err.Error(), "move the directory away") {
		t.Errorf("VERSION is a folder: opened %v, error %v", s, err)
	}
}

func TestDirectoryThatCannotBeWrittenIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{
		"a file":        file,
		"below a file":  filepath.Join(file, "data"),
		"a virtual one": "/proc/self", // takes no files, from root neither
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(options(dir))
			if !errors.Is(err, ErrNotWritable) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "--data-dir") {
				t.Errorf("opened %v, error %v", s, err)
			}
		})
	}
}

func TestFailedOpenLetsGoOfTheDirectory(t *testing.T) {
	dir := t.TempDir()
	// A file where the database belongs.
	if err := os.WriteFile(filepath.Join(dir, "tsdb"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(options(dir)); err == nil {
		t.Fatal("opened", s.Close())
	}
	if err := os.Remove(filepath.Join(dir, "tsdb")); err != nil {
		t.Fatal(err)
	}
	open(t, options(dir))
}

func TestErrorsOfPermissionSayWhatToDo(t *testing.T) {
	for _, cause := range []error{syscall.EACCES, syscall.EPERM, syscall.EROFS} {
		err := explainOpen("/data", &os.PathError{Op: "open", Path: "/data/tsdb/wal/00000001", Err: cause})
		if !errors.Is(err, ErrNotWritable) || !errors.Is(err, cause) {
			t.Errorf("%v: %v", cause, err)
		}
	}
}
