package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// tryWithin is how long the program of an archive may take to serve the page.
const tryWithin = time.Minute

// address is the page's address in the program's log.
var address = regexp.MustCompile(`url=(http://\S+)`)

// tryArchive unpacks an archive, starts its program and asks it for its version and its page.
func tryArchive(ctx context.Context, archive, top, program, version string) error {
	ctx, cancel := context.WithTimeout(ctx, tryWithin)
	defer cancel()
	folder, err := os.MkdirTemp("", "stripchart-dist-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if err := unpack(archive, folder); err != nil {
		return err
	}
	path := filepath.Join(folder, top, program)
	said, err := exec.CommandContext(ctx, path, "version").Output()
	if err != nil {
		return err
	}
	if want := "stripchart " + version; strings.TrimSpace(string(said)) != want {
		return fmt.Errorf("its version is %q instead of %q", said, want)
	}
	return tryPage(ctx, path, filepath.Join(folder, "data"))
}

// tryPage starts the program at path and asks it for its page.
func tryPage(ctx context.Context, path, data string) (err error) {
	cmd := exec.CommandContext(ctx, path, "--listen", "127.0.0.1:0", "--data-dir", data)
	log, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}()
	url := ""
	lines := bufio.NewScanner(log)
	for url == "" && lines.Scan() {
		if found := address.FindStringSubmatch(lines.Text()); found != nil {
			url = found[1]
		}
	}
	if url == "" {
		return errors.New("it ended before it named the address of its page")
	}
	go func() { _, _ = io.Copy(io.Discard, log) }() // ends with the program
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK || !strings.Contains(string(page), "<script") {
		return fmt.Errorf("the page is missing: %s", answer.Status)
	}
	return nil
}
