package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"stripchart/internal/access"
	"stripchart/internal/bus"
	"stripchart/internal/store"
)

// tokening are the arguments of stripchart token.
type tokening struct {
	Add    tokenAdd    `cmd:"" help:"Makes a token, prints it once, and appends its hash to --token-file."`
	List   struct{}    `cmd:"" help:"Lists the tokens of --token-file: names, scopes, and what they are bound to."`
	Remove tokenRemove `cmd:"" help:"Removes a token from --token-file. A running server ends its sessions within five seconds."`
}

type tokenAdd struct {
	Name   string   `arg:"" help:"Name of the token, such as phone: letters, digits and . _ @ -."`
	Scope  string   `help:"What the token is for: read, to look, or write, to write samples." required:"" enum:"read,write"`
	Match  string   `help:"Bind a read token to a selector, such as '{room=\"lab\"}': whoever has it sees nothing else." placeholder:"SELECTOR"`
	Label  []string `help:"Bind a write token to a label, name=value, that every series it writes gets; may be given several times." placeholder:"NAME=VALUE" sep:"none"`
	Source string   `help:"Bind a write token to the name of a source: it can write under no other." placeholder:"NAME"`
}

type tokenRemove struct {
	Name string `arg:"" help:"Name of the token."`
}

// tokenRules are the rules of a token file.
func tokenRules() access.Rules {
	return access.Rules{Selector: store.ParseSelector, Source: bus.CheckSource}
}

// entry returns the token that is asked for.
func (a *tokenAdd) entry() (access.Entry, error) {
	e := access.Entry{Name: a.Name, Scope: access.Scope(a.Scope), Match: a.Match, Source: a.Source}
	for _, l := range a.Label {
		name, value, is := strings.Cut(l, "=")
		if !is {
			return e, fmt.Errorf("--label %q: want name=value", l)
		}
		if e.Labels == nil {
			e.Labels = map[string]string{}
		}
		e.Labels[name] = value
	}
	return e, nil
}

// check refuses what is wrong whatever the file has.
func (a *tokening) check(file, action string) error {
	if file == "" {
		return errors.New("stripchart token needs --token-file FILE, or STRIPCHART_TOKEN_FILE: the file that the server is given, too")
	}
	if action != "add" {
		return nil
	}
	e, err := a.Add.entry()
	if err != nil {
		return err
	}
	e.SHA256 = access.Hash("")
	_, err = tokenRules().Check(e)
	return err
}

// runToken changes or shows a token file. The token itself goes to stdout, alone.
func runToken(o tokening, action, file string, stdout, stderr io.Writer) error {
	f := access.Editor{Path: kong.ExpandPath(file), Rules: tokenRules()}
	switch action {
	case "add":
		e, err := o.Add.entry()
		if err != nil {
			return err
		}
		text, err := f.Add(e)
		if err != nil {
			return err
		}
		fmt.Fprintf(stderr, "stripchart: this is the token %s; it is shown only now\n", e.Name)
		fmt.Fprintln(stdout, text)
		return nil
	case "remove":
		return f.Remove(o.Remove.Name)
	}
	all, err := f.List()
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSCOPE\tBOUND TO")
	for _, e := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\n", e.Name, e.Scope, cmp.Or(e.Bound(), "-"))
	}
	return w.Flush()
}
