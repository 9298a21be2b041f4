package main

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// printed returns what the program prints, which must be no error.
func printed(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(context.Background(), args, nil, &out, &errs); code != exitOK || errs.Len() > 0 {
		t.Fatalf("%v: exit code %d, %q", args, code, &errs)
	}
	return out.String()
}

// declared is what the flags are declared as, with what help shows whoever asks and wherever.
func declared(t *testing.T) *kong.Application {
	t.Helper()
	parser, err := newParser(&options{}, "~/.local/state/stripchart", io.Discard, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model
}

func TestHelpListsEveryCommandOnOneScreen(t *testing.T) {
	text := printed(t, "help")
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) > 24 {
		t.Errorf("%d lines, a screen has 24", len(lines))
	}
	for _, line := range lines {
		if len(line) > 80 {
			t.Errorf("a line of %d characters, a screen has 80: %q", len(line), line)
		}
	}
	for _, c := range commands(declared(t)) {
		if !strings.Contains(text, "\n  "+c.Name+" ") {
			t.Errorf("%s is not listed:\n%s", c.Name, text)
		}
	}
}

func TestHelpOfACommandListsTheFlagsThatMeanSomethingToIt(t *testing.T) {
	for command, c := range map[string]struct{ has, lacks []string }{
		"serve":   {[]string{"--listen", "--max-series", "--bus"}, []string{"--interval", "--spool"}},
		"collect": {[]string{"--interval", "--spool", "--bus"}, []string{"--listen", "--max-series"}},
		"token":   {[]string{"--token-file"}, []string{"--listen", "--interval"}},
		"push":    {[]string{"--label", "--to"}, []string{"--listen", "--interval", "--bus"}},
		"version": {nil, []string{"--listen", "--interval", "--bus"}},
	} {
		text := printed(t, "help", command)
		if other := printed(t, command, "--help"); text != other {
			t.Errorf("help %s and %s --help differ:\n%s\n%s", command, command, text, other)
		}
		for _, flag := range c.has {
			if !strings.Contains(text, " "+flag) {
				t.Errorf("help %s: %s is missing:\n%s", command, flag, text)
			}
		}
		for _, flag := range c.lacks {
			if strings.Contains(text, " "+flag+"=") {
				t.Errorf("help %s: %s means nothing to it:\n%s", command, flag, text)
			}
		}
	}
	var out, errs bytes.Buffer
	if code := run(context.Background(), []string{"help", "sevre"}, nil, &out, &errs); code != exitUsage || !strings.Contains(errs.String(), "sevre") {
		t.Errorf("help of no command: exit code %d, %q", code, &errs)
	}
}

var manualFolder = flag.String("manual", "", "folder for the manual page and the completions; the packaging gives one")

// The packaging runs this test for the files: they are made of the flags, and the program need not carry what makes them.
func TestTheManualAndTheCompletionsAreWritten(t *testing.T) {
	folder := cmp.Or(*manualFolder, t.TempDir())
	for name, write := range map[string]func(*kong.Application) string{
		"man/stripchart.1": manual, "bash/stripchart": bashCompletion, "zsh/_stripchart": zshCompletion, "fish/stripchart.fish": fishCompletion,
	} {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		text := write(declared(t))
		if !strings.Contains(text, "stripchart") {
			t.Errorf("%s: %q", name, text)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheManualHasEveryCommandAndFlagAndNothingOfThisMachine(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	t.Setenv("HOME", home)
	t.Setenv("STRIPCHART_LISTEN", "192.0.2.1:1")
	text := manual(declared(t))
	for _, own := range []string{home, "192.0.2.1"} {
		if strings.Contains(text, own) {
			t.Errorf("%q is of this machine", own)
		}
	}
	has := func(what string) {
		t.Helper()
		if !strings.Contains(text, what) {
			t.Errorf("%q is missing", what)
		}
	}
	app := declared(t)
	for _, f := range flagsOf(app, "") {
		has(`\-\-` + roff(f.Name) + `\fR`)
	}
	for _, c := range commands(app) {
		has(".SS stripchart " + c.Name)
		for _, f := range flagsOf(app, c.Name) {
			has(`\-\-` + roff(f.Name) + `\fR`)
		}
	}
	for line := range strings.Lines(text) {
		if word, _, _ := strings.Cut(strings.TrimSpace(line), " "); strings.HasPrefix(word, ".") && !slices.Contains([]string{".TH", ".SH", ".SS", ".TP", ".B", ".I"}, word) {
			t.Errorf("no macro of man(7): %q", line)
		}
	}
}

func TestEveryShellIsToldTheFlagsOfEveryCommand(t *testing.T) {
	app := declared(t)
	names := []string{""}
	for _, c := range commands(app) {
		names = append(names, c.Name)
	}
	zsh, fish := zshCompletion(app), fishCompletion(app)
	for _, command := range names {
		_, ofCommand, _ := strings.Cut(zsh, "\n  '"+command+"') ")
		ofCommand, _, _ = strings.Cut(ofCommand, ";;")
		condition := "not __fish_seen_subcommand_from"
		if command != "" {
			condition = "__fish_seen_subcommand_from " + command + "'"
		}
		for _, f := range flagsOf(app, command) {
			if !strings.Contains(ofCommand, "'--"+f.Name+"=[") && !strings.Contains(ofCommand, "'--"+f.Name+"[") {
				t.Errorf("zsh, command %q: --%s is missing", command, f.Name)
			}
			found := false
			for line := range strings.Lines(fish) {
				found = found || strings.Contains(line, "'"+condition) && strings.Contains(line, " -l "+f.Name+" ")
			}
			if !found {
				t.Errorf("fish, command %q: --%s is missing", command, f.Name)
			}
		}
	}
}

// bash itself completes.
func TestBashOffersWhatFits(t *testing.T) {
	script := filepath.Join(t.TempDir(), "stripchart")
	if err := os.WriteFile(script, []byte(bashCompletion(declared(t))), 0o600); err != nil {
		t.Fatal(err)
	}
	all := func(command string) (list []string) {
		for _, f := range flagsOf(declared(t), command) {
			list = append(list, "--"+f.Name)
		}
		return list
	}
	for line, want := range map[string][]string{
		"stripchart ser":                {"serve"},
		"stripchart --li":               {"--listen"},
		"stripchart serve --":           all("serve"),
		"stripchart collect --":         all("collect"),
		"stripchart push --":            all("push"),
		"stripchart collect --li":       nil,
		"stripchart token ad":           {"add"},
		"stripchart token add --":       all("token"),
		"stripchart serve --sync ":      {"os", "always"},
		"stripchart serve --sync = a":   {"always"},
		"stripchart --log-format json ": append([]string{"serve", "collect", "push", "export", "import"}, all("")...),
	} {
		words := strings.Split(line, " ")
		cmd := exec.Command("bash", append([]string{"--norc", "-c",
			`source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _stripchart; printf '%s\n' "${COMPREPLY[@]}"`, "bash", script}, words...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v\n%s", line, err, out)
		}
		got := strings.Fields(string(out))
		for _, w := range want {
			if !slices.Contains(got, w) {
				t.Errorf("%q: %s is not offered: %v", line, w, got)
			}
		}
		if !strings.HasSuffix(line, " ") && len(got) != len(want) || want == nil && len(got) > 0 {
			t.Errorf("%q: offered %v, want %v", line, got, want)
		}
	}
}
