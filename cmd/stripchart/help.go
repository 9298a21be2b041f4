package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// helping are the arguments of stripchart help.
type helping struct {
	Command string `arg:"" optional:"" help:"The command to describe."` // parse does it
	// The packaging asks for these, and so may the users of an archive.
	As string `help:"Print the manual page, or the completions for a shell, instead: man, bash, zsh or fish." enum:",man,bash,zsh,fish" default:"" hidden:""`
}

// runHelp prints a list of the commands that fits a screen, or what is asked for instead of it.
func runHelp(o helping, stdout io.Writer) error {
	// The manual is the same on every machine and for every user.
	parser, err := newParser(&options{}, "~/.local/state/stripchart", io.Discard, func(int) {})
	if err != nil {
		return err
	}
	app := parser.Model
	text := map[string]func(*kong.Application) string{"man": manual, "bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[o.As]
	if text == nil {
		text = overview
	}
	_, err = io.WriteString(stdout, text(app))
	return err
}

// printHelp prints what --help prints: of a command, only the flags that mean something to it.
func printHelp(o kong.HelpOptions, ctx *kong.Context) error {
	command, _, _ := strings.Cut(ctx.Command(), " ") // without what is below it
	for _, f := range ctx.Model.Flags {
		f.Hidden = f.Hidden || !means(command, f)
	}
	return kong.DefaultHelpPrinter(o, ctx)
}

// overview lists the commands, on a screen of 24 lines of 80 characters.
func overview(app *kong.Application) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage: stripchart [command] [options]\n\n%s\n\n", wrap(app.Help, 0))
	for _, c := range commands(app) {
		fmt.Fprintf(&b, "  %-9s%s\n", c.Name, wrap(c.Help, 11))
	}
	b.WriteString("\nstripchart --help lists all options, stripchart help COMMAND those of a command.\n")
	return b.String()
}

// wrap breaks a text into lines of at most 80 characters, and indents those behind the first.
func wrap(text string, indent int) string {
	var b strings.Builder
	column := indent
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case column+1+len(word) > 80:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}

// commands are the commands that the help lists.
func commands(app *kong.Application) (list []*kong.Node) {
	for _, c := range app.Children {
		if !c.Hidden {
			list = append(list, c)
		}
	}
	return list
}

// flagsOf are the flags that mean something to a command and to those below it; "" is the program without a command.
func flagsOf(app *kong.Application, command string) (list []*kong.Flag) {
	flags := slices.Clone(app.Flags)
	for _, c := range app.Children {
		if c.Name == command {
			flags = append(flags, c.Flags...)
			for _, below := range c.Children {
				flags = append(flags, below.Flags...)
			}
		}
	}
	for _, f := range flags {
		if !f.Hidden && means(command, f) {
			list = append(list, f)
		}
	}
	return list
}

// below are the names of the commands below a command, such as those of stripchart token.
func below(app *kong.Application, command string) (names []string) {
	for _, c := range app.Children {
		if c.Name == command {
			for _, b := range c.Children {
				names = append(names, b.Name)
			}
		}
	}
	return names
}

// takesFile and takesFolder say whether the value of a flag is a path, by its placeholder.
func takesFile(f *kong.Flag) bool   { return f.PlaceHolder == "FILE" }
func takesFolder(f *kong.Flag) bool { return f.PlaceHolder == "DIR" }

// choices are the values that a flag has, if they can be listed.
func choices(f *kong.Flag) (list []string) {
	if f.Enum == "" {
		return nil
	}
	for _, s := range strings.Split(f.Enum, ",") {
		if s = strings.TrimSpace(s); s != "" {
			list = append(list, s)
		}
	}
	return list
}
