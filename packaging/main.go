// Command packaging makes what is handed out: archives and packages, with the page inside. `make dist` runs it.
//
// It writes to one folder, which it empties first:
//
//	stripchart_VERSION_OS_ARCH.tar.gz   (.zip for Windows)
//	stripchart_VERSION_OS_ARCH.deb, .rpm for Linux
//	stripchart_VERSION_OS_ARCH.cdx.json of what the program was made, in CycloneDX's form
//	OS_ARCH/                            the program and its files, not packed; the Containerfile copies from here
//	empty/                              for the image's data folder
//	manifest.json                       every file, with the word "run" or "built"
//	SHA256SUMS                          of every file but itself
//
// What is for this machine's system is "run": the program was unpacked from the archive, and it served the page. All
// else is "built": the compiler took it, and nobody has started it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// everyTarget lists the systems that a release is made for.
const everyTarget = "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64,windows/amd64,windows/arm64"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var r release
	flag.StringVar(&r.root, "root", "..", "the repository")
	flag.StringVar(&r.out, "out", "", "folder to write to; it is emptied first")
	flag.StringVar(&r.version, "version", "", "version of the program, as `make binary` sets it")
	flag.StringVar(&r.program, "program", "", "the program, already built for this machine; otherwise it is built")
	targets := flag.String("targets", everyTarget, "systems, with commas between them; \"host\" is this one")
	flag.Parse()
	if err := r.make(ctx, *targets); err != nil {
		fmt.Fprintln(os.Stderr, "packaging:", err)
		os.Exit(1)
	}
}

// release is what one run makes.
type release struct {
	root    string    // the repository
	out     string    // the folder that is written
	version string    // of the program
	program string    // of this machine, already built; "" if there is none
	time    time.Time // of every file in an archive: the time of the commit, so that the same commit makes the same files
	work    string    // a folder that is removed at the end
	files   []file
}

// make writes the release.
func (r *release) make(ctx context.Context, targets string) error {
	if r.out == "" || r.version == "" {
		return fmt.Errorf("-out and -version are needed")
	}
	if _, err := os.Stat(filepath.Join(r.root, "web", "dist", "index.html")); err != nil {
		return fmt.Errorf("the page is not built; run `make dist`: %w", err)
	}
	list, err := parseTargets(targets)
	if err != nil {
		return err
	}
	if r.time, err = commitTime(ctx, r.root); err != nil {
		return err
	}
	if err := os.RemoveAll(r.out); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(r.out, "empty"), 0o755); err != nil {
		return err
	}
	if r.work, err = os.MkdirTemp("", "stripchart-dist-"); err != nil {
		return err
	}
	defer os.RemoveAll(r.work)
	if err := r.writeManual(ctx); err != nil {
		return err
	}
	for _, t := range list {
		if err := r.makeTarget(ctx, t); err != nil {
			return fmt.Errorf("%s: %w", t, err)
		}
	}
	return r.writeManifest()
}

// makeTarget writes what there is for one system.
func (r *release) makeTarget(ctx context.Context, t target) error {
	folder := filepath.Join(r.out, t.name())
	if err := r.build(ctx, t, folder); err != nil {
		return err
	}
	if err := r.lay(t, folder); err != nil {
		return err
	}
	archive := filepath.Join(r.out, r.stem(t)+t.archiveSuffix())
	if err := writeArchive(archive, r.stem(t), folder, r.time); err != nil {
		return err
	}
	state := built
	if t.isHost() {
		if err := tryArchive(ctx, archive, r.stem(t), t.program(), r.version); err != nil {
			return fmt.Errorf("the archive does not run: %w", err)
		}
		state = run
	}
	r.add(archive, t, state)
	parts := filepath.Join(r.out, r.stem(t)+".cdx.json")
	if err := r.writeBOM(parts, filepath.Join(folder, t.program())); err != nil {
		return err
	}
	r.add(parts, t, state)
	if t.os != "linux" {
		return nil
	}
	packages, err := r.writePackages(t, folder)
	if err != nil {
		return err
	}
	for _, path := range packages {
		r.add(path, t, state)
	}
	return nil
}

// stem is the name of a target's files without their suffixes.
func (r *release) stem(t target) string { return "stripchart_" + r.version + "_" + t.name() }

// target is a system that the program is built for.
type target struct{ os, arch string }

// parseTargets reads a list such as linux/amd64,windows/arm64.
func parseTargets(list string) (targets []target, err error) {
	for _, s := range strings.Split(list, ",") {
		if s == "host" {
			s = runtime.GOOS + "/" + runtime.GOARCH
		}
		system, arch, ok := strings.Cut(s, "/")
		if !ok || system == "" || arch == "" {
			return nil, fmt.Errorf("target %q: want OS/ARCH, such as linux/amd64", s)
		}
		targets = append(targets, target{system, arch})
	}
	return targets, nil
}

func (t target) String() string { return t.os + "/" + t.arch }

func (t target) name() string { return t.os + "_" + t.arch }

func (t target) isHost() bool { return t.os == runtime.GOOS && t.arch == runtime.GOARCH }

// program is the file name of the program.
func (t target) program() string {
	if t.os == "windows" {
		return "stripchart.exe"
	}
	return "stripchart"
}

func (t target) archiveSuffix() string {
	if t.os == "windows" {
		return ".zip"
	}
	return ".tar.gz"
}

// build puts the program into folder. The flags are those of `make binary`: the program is static, carries its version,
// and does not name the folder that it was built in.
func (r *release) build(ctx context.Context, t target, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	path, err := filepath.Abs(filepath.Join(folder, t.program()))
	if err != nil {
		return err
	}
	if t.isHost() && r.program != "" {
		return copyFile(path, r.program, 0o755)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X main.version="+r.version, "-o", path, "./cmd/stripchart")
	cmd.Dir = r.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+t.os, "GOARCH="+t.arch)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	fmt.Fprintln(os.Stderr, "packaging: building", t)
	return cmd.Run()
}

// commitTime returns the time of the commit that is checked out.
func commitTime(ctx context.Context, root string) (time.Time, error) {
	cmd := exec.CommandContext(ctx, "git", "show", "--no-patch", "--format=%ct", "HEAD")
	cmd.Dir = root
	text, err := cmd.Output()
	if err != nil {
		return time.Time{}, fmt.Errorf("the time of the commit: %w", err)
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("the time of the commit: %w", err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}
