package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// helping are the arguments of stripchart help.
type helping struct {
	Command string `arg:"" optional:"" help:"The command to describe."` // parse does it
}

// printHelp prints what --help prints: of a command, only the flags that mean something to it.
func printHelp(o kong.HelpOptions, ctx *kong.Context) error {
	command, _, _ := strings.Cut(ctx.Command(), " ") // without what is below it
	for _, f := range ctx.Model.Flags {
		f.Hidden = f.Hidden || !means(command, f)
	}
	return kong.DefaultHelpPrinter(o, ctx)
}

// runHelp lists the commands, on a screen of 24 lines of 80 characters.
func runHelp(stdout io.Writer) error {
	parser, err := newParser(&options{}, defaultDataDir(), stdout, func(int) {})
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "Usage: stripchart [command] [options]\n\n%s\n\n", wrap(parser.Model.Help, 0))
	for _, c := range commands(parser.Model) {
		fmt.Fprintf(stdout, "  %-9s%s\n", c.Name, wrap(c.Help, 11))
	}
	_, err = fmt.Fprintln(stdout, "\nstripchart --help lists all options, stripchart help COMMAND those of a command.")
	return err
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
