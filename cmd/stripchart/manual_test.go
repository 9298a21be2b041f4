package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// manual is the page for man(1), in the macros of man(7).
func manual(app *kong.Application) string {
	var b strings.Builder
	b.WriteString(".TH STRIPCHART 1\n")
	b.WriteString(".SH NAME\nstripchart \\- shows live what a machine and your programs measure, in a browser\n")
	b.WriteString(".SH SYNOPSIS\n.B stripchart\n[\\fIcommand\\fR] [\\fIoptions\\fR]\n")
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s\n", roff(app.Help))
	b.WriteString(".SH COMMANDS\n")
	for _, c := range commands(app) {
		fmt.Fprintf(&b, ".SS stripchart %s\n%s\n", roff(synopsis(c)), roff(c.Help))
		for _, a := range c.Positional {
			fmt.Fprintf(&b, ".TP\n.I %s\n%s\n", roff(strings.ToUpper(a.Name)), roff(a.Help))
		}
		manualFlags(&b, c.Flags)
		for _, sub := range c.Children {
			fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(synopsis(sub)), roff(sub.Help))
			manualFlags(&b, sub.Flags)
		}
	}
	b.WriteString(".SH OPTIONS\nEach can also be set in the environment, by the name in parentheses.\n")
	group := ""
	for _, f := range app.Flags {
		if f.Group != nil && f.Group.Title != group {
			group = f.Group.Title
			fmt.Fprintf(&b, ".SS %s\n", roff(strings.TrimSuffix(group, ":")))
		}
		manualFlags(&b, []*kong.Flag{f})
	}
	b.WriteString(".SH EXIT STATUS\n.TP\n0\nIt did what it was asked for.\n.TP\n1\nIt could not start, or failed.\n" +
		".TP\n64\nThe command line is wrong.\n")
	return b.String()
}

// synopsis is a command with its arguments.
func synopsis(c *kong.Node) string {
	s := c.Name
	for _, a := range c.Positional {
		s += " " + a.Summary()
	}
	return s
}

func manualFlags(b *strings.Builder, flags []*kong.Flag) {
	for _, f := range flags {
		if f.Hidden {
			continue
		}
		short, value, env := "", "", ""
		if f.Short != 0 {
			short = fmt.Sprintf("\\-%c, ", f.Short)
		}
		if !f.IsBool() {
			value = "=\\fI" + roff(strings.Trim(f.FormatPlaceHolder(), `"`)) + "\\fR"
		}
		if len(f.Envs) > 0 {
			env = " (" + roff(f.Envs[0]) + ")"
		}
		fmt.Fprintf(b, ".TP\n\\fB%s\\-\\-%s\\fR%s\n%s%s\n", short, roff(f.Name), value, roff(f.Help), env)
	}
}

// roff writes a text so that nothing in it is a request or an escape.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, `-`, `\-`, `'`, `\(aq`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}
