package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// contents lists the files of the repository that come with the program, with / between the parts of their paths.
// The units come only where systemd does.
func (r *release) contents(t target) (files []string, err error) {
	files = []string{"README.md", "LICENSE"}
	for _, folder := range []string{"docs", "deploy"} {
		if folder == "deploy" && t.os != "linux" {
			continue
		}
		err := fs.WalkDir(os.DirFS(r.root), folder, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			// The pictures and the messages of tests are for the repository.
			if folder == "deploy" || path.Ext(name) == ".md" || path.Ext(name) == ".yaml" {
				files = append(files, name)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// lay puts the files that come with the program into folder.
func (r *release) lay(t target, folder string) error {
	names, err := r.contents(t)
	if err != nil {
		return err
	}
	for _, name := range names {
		from, to := filepath.Join(r.root, filepath.FromSlash(name)), filepath.Join(folder, filepath.FromSlash(name))
		if err := copyFile(to, from, 0o644); err != nil {
			return err
		}
	}
	if t.os == "windows" {
		return nil
	}
	return os.CopyFS(filepath.Join(folder, "share"), os.DirFS(r.share()))
}

// share is the folder of the manual page and the completions.
func (r *release) share() string { return filepath.Join(r.work, "share") }

// writeManual has the manual page and the completions written from the program's flags. A test does that: the flags
// are known in the program's own package only, and the program need not carry what is needed once.
func (r *release) writeManual(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-run", "^TestTheManualAndTheCompletionsAreWritten$",
		"./cmd/stripchart", "-manual", r.share())
	cmd.Dir = r.root
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("the manual and the completions: %w\n%s", err, said)
	}
	return nil
}

// copyFile copies a file, and makes the folders above it.
func copyFile(to, from string, mode fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// isProgram says whether a path in an archive is the program's, which has to be executable.
func isProgram(name string) bool { return strings.TrimSuffix(name, ".exe") == "stripchart" }
