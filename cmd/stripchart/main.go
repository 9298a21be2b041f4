// Command stripchart streams time series live to web pages; see README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// version is set at build: -ldflags "-X main.version=...".
var version = "dev"

// Exit codes.
const (
	exitOK    = 0
	exitError = 1 // the program could not start, or failed
	// The command line is wrong: EX_USAGE of sysexits.h. It is not 2, the code of a Go program after a
	// panic: systemd must not restart the program after a wrong command line, but has to after a panic.
	exitUsage = 64
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// The second signal ends the program at once: the handler is gone.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program: it parses args and runs until ctx ends.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, command, err := parse(args, stdout)
	switch {
	case errors.Is(err, errHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "stripchart: %v\nTry stripchart --help.\n", err)
		return exitUsage
	case command == commandVersion:
		fmt.Fprintln(stdout, "stripchart", version)
		return exitOK
	}
	if o.tokenInSight {
		fmt.Fprintf(stderr, "stripchart: %s\n", tokenInSight)
	}
	switch command {
	case commandHelp:
		err = runHelp(stdout)
	case commandPush:
		err = runPush(ctx, o.Push, o.calling, stdin, stderr)
	case commandExport:
		err = runExport(ctx, o.Export, o.calling, stdout, stderr)
	case commandImport:
		err = runImport(ctx, o.Import, o.calling, o.DataDir, stdin, stderr)
	case commandToken:
		err = runToken(o.Token, o.action, o.TokenFile, stdout, stderr)
	default:
		err = runParts(ctx, o, command, stdout, stderr)
	}
	if err != nil {
		fmt.Fprintf(stderr, "stripchart: %v\n", err)
		return exitError
	}
	return exitOK
}

// runParts runs what a command names.
func runParts(ctx context.Context, o options, command string, stdout, stderr io.Writer) (err error) {
	p, err := open(o, command, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	if p.shared != nil {
		p.shared.print(stdout)
	}
	return p.Run(ctx)
}
