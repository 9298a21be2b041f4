package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// What is known of a file that is handed out.
const (
	run   = "run"   // its program was started on the machine that built it, and served the page
	built = "built" // it was built, and nobody has started it
)

// manifest is manifest.json.
type manifest struct {
	Version string `json:"version"`
	Time    string `json:"time"` // of the commit, RFC 3339
	Files   []file `json:"files"`
}

// file is a file that is handed out.
type file struct {
	Name   string `json:"name"`
	OS     string `json:"os"`
	Arch   string `json:"arch"`
	State  string `json:"state"` // run or built
	Size   int64  `json:"size"`  // bytes
	SHA256 string `json:"sha256"`
}

// add names a file that was written for a target.
func (r *release) add(path string, t target, state string) {
	r.files = append(r.files, file{Name: filepath.Base(path), OS: t.os, Arch: t.arch, State: state})
}

// writeManifest writes manifest.json and SHA256SUMS, and prints the files.
func (r *release) writeManifest() (err error) {
	var sums []string
	for i := range r.files {
		f := &r.files[i]
		if f.SHA256, f.Size, err = sum(filepath.Join(r.out, f.Name)); err != nil {
			return err
		}
		sums = append(sums, f.SHA256+"  "+f.Name)
		fmt.Printf("%-5s %5.1f MB  %s\n", f.State, float64(f.Size)/1e6, filepath.Join(r.out, f.Name))
	}
	text, err := json.MarshalIndent(manifest{Version: r.version, Time: r.time.Format("2006-01-02T15:04:05Z"), Files: r.files}, "", "  ")
	if err != nil {
		return err
	}
	name := filepath.Join(r.out, "manifest.json")
	if err := os.WriteFile(name, append(text, '\n'), 0o644); err != nil {
		return err
	}
	own, _, err := sum(name)
	if err != nil {
		return err
	}
	sums = append(sums, own+"  manifest.json")
	slices.SortFunc(sums, func(a, b string) int { return strings.Compare(a[sha256.Size*2:], b[sha256.Size*2:]) })
	return os.WriteFile(filepath.Join(r.out, "SHA256SUMS"), []byte(strings.Join(sums, "\n")+"\n"), 0o644)
}

// sum returns the SHA-256 of a file in hexadecimal, and its size in bytes.
func sum(path string) (string, int64, error) {
	in, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer in.Close()
	h := sha256.New()
	n, err := io.Copy(h, in)
	return fmt.Sprintf("%x", h.Sum(nil)), n, err
}
