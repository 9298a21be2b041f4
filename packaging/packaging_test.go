package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func TestAnArchiveHasWhatWasPackedAndIsTheSameEachTime(t *testing.T) {
	for _, c := range []struct{ suffix, program string }{{".tar.gz", "stripchart"}, {".zip", "stripchart.exe"}} {
		t.Run(c.suffix, func(t *testing.T) {
			folder, out := t.TempDir(), t.TempDir()
			want := map[string]string{c.program: "a program", "README.md": "read me", "docs/HTTP.md": "a document"}
			for name, text := range want {
				write(t, filepath.Join(folder, name), text, 0o600) // as a strict umask would leave it
			}
			var first []byte
			for i := range 2 {
				archive := filepath.Join(out, fmt.Sprint(i, c.suffix))
				if err := writeArchive(archive, "top", folder, noon); err != nil {
					t.Fatal(err)
				}
				text, err := os.ReadFile(archive)
				if err != nil {
					t.Fatal(err)
				}
				if i == 0 {
					first = text
				} else if !bytes.Equal(first, text) {
					t.Error("the same files became another archive")
				}
			}
			unpacked := t.TempDir()
			if err := unpack(filepath.Join(out, "0"+c.suffix), unpacked); err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, name := range below(t, filepath.Join(unpacked, "top")) {
				text, err := os.ReadFile(filepath.Join(unpacked, "top", name))
				if err != nil {
					t.Fatal(err)
				}
				got[name] = string(text)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("unpacked %v, want %v", got, want)
			}
			info, err := os.Stat(filepath.Join(unpacked, "top", c.program))
			if err != nil || c.suffix == ".tar.gz" && info.Mode().Perm() != 0o755 {
				t.Errorf("the program: %v, %v", info, err)
			}
		})
	}
}

func TestTheManifestNamesEveryFileWithItsChecksum(t *testing.T) {
	r := release{out: t.TempDir(), version: "1.2.3", time: noon}
	for name, state := range map[string]string{"a.tar.gz": run, "b.zip": built} {
		path := filepath.Join(r.out, name)
		write(t, path, "content of "+name, 0o644)
		r.add(path, target{"linux", "amd64"}, state)
	}
	if err := r.writeManifest(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(r.out, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	for _, f := range m.Files {
		states[f.Name] = f.State
	}
	if len(m.Files) != 2 || states["a.tar.gz"] != run || states["b.zip"] != built {
		t.Errorf("the manifest says %+v", m.Files)
	}
	sums, err := os.ReadFile(filepath.Join(r.out, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(sums)) {
		want, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if got, _, err := sum(filepath.Join(r.out, name)); err != nil || got != want {
			t.Errorf("%s: %s, %v; SHA256SUMS says %s", name, got, err, want)
		}
	}
	if n := strings.Count(string(sums), "\n"); n != 3 {
		t.Errorf("%d sums, want those of two files and the manifest:\n%s", n, sums)
	}
}

func TestUnitsComeWhereSystemdIsAndDocumentsEverywhere(t *testing.T) {
	r := release{root: ".."}
	for _, system := range []string{"linux", "darwin", "windows"} {
		names, err := r.contents(target{system, "amd64"})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"README.md", "LICENSE", "docs/OPERATIONS.md", "docs/openapi.yaml"} {
			if !slices.Contains(names, name) {
				t.Errorf("%s: %s is missing: %v", system, name, names)
			}
		}
		if has := slices.Contains(names, "deploy/systemd/stripchart.service"); has != (system == "linux") {
			t.Errorf("%s: units: %v", system, has)
		}
	}
}

// The word "run" in the manifest rests on this.
func TestAnArchiveWhoseProgramDoesNotServeThePageIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ script, says string }{
		"another version": {"echo stripchart 9.9.9", "9.9.9"},
		"it ends":         {`case $1 in version) echo stripchart 1.2.3;; *) exit 1;; esac`, "ended"},
		"it fails":        {"exit 3", "exit status 3"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			write(t, filepath.Join(folder, "stripchart"), "#!/bin/sh\n"+c.script+"\n", 0o755)
			archive := filepath.Join(t.TempDir(), "a.tar.gz")
			if err := writeArchive(archive, "top", folder, noon); err != nil {
				t.Fatal(err)
			}
			err := tryArchive(t.Context(), archive, "top", "stripchart", "1.2.3")
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want an error with %q", err, c.says)
			}
		})
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// below lists the files below folder.
func below(t *testing.T, folder string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, err := filepath.Rel(folder, path)
			names = append(names, name)
			return err
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
