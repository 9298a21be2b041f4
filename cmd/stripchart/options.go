package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/prometheus/common/model"

	"stripchart/internal/collect"
	"stripchart/internal/live"
	"stripchart/internal/server"
)

// options are the flags; each can also be set as STRIPCHART_... in the
// environment.
type options struct {
	Listen        string   `help:"Address to listen on. If nothing is set and port 5000 is taken, the next free port is used." placeholder:"127.0.0.1:5000"`
	DataDir       string   `help:"Folder of the history. Default: ${data_dir}." placeholder:"DIR" type:"path"`
	Interval      duration `help:"Time between two measurements, 50ms to 1h." default:"1s"`
	Window        duration `help:"Span of time that a chart shows unless the page asks otherwise." default:"100s"`
	DefaultSeries string   `help:"Selector of the series for pages of the Flask-SocketIO recipe, and for /plotly. Default: this host's total CPU." placeholder:"SELECTOR"`
	Retention     duration `help:"How long history is kept." default:"30d"`
	Insecure      bool     `help:"Allow an address that other machines can reach. Anybody there can watch and write."`
	Compress      bool     `help:"Compress packets of 512 bytes and more for pages whose browser offers it (permessage-deflate), once for all of them."`
	LogFormat     string   `help:"Form of the log on standard error: text or json." enum:"text,json" default:"text"`
	LogLevel      string   `help:"Least level that is logged: debug, info, warn or error." enum:"debug,info,warn,error" default:"info"`

	limits `embed:"" group:"limits"`

	Run     struct{} `cmd:"" default:"1" hidden:""`
	Version struct{} `cmd:"" help:"Print the version."`
}

// errHelp means that the help was asked for and printed.
var errHelp = errors.New("help was printed")

// parse reads the command line. command is "run" or "version".
func parse(args []string, stdout io.Writer) (o options, command string, err error) {
	helped := false
	parser, err := kong.New(&o,
		kong.Name("stripchart"),
		kong.Description("This machine, live in a browser, with its history. Starts a collector and a server in one process and prints the page's address."),
		kong.DefaultEnvars("STRIPCHART"),
		kong.Vars{"data_dir": defaultDataDir()},
		kong.ExplicitGroups([]kong.Group{{Key: "limits", Title: "Limits, each also in /metrics:"}}),
		kong.Writers(stdout, stdout),
		kong.Exit(func(int) { helped = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		return o, "", err
	}
	k, err := parser.Parse(args)
	if helped {
		return o, "", errHelp
	}
	if err != nil {
		return o, "", err
	}
	return o, k.Command(), o.check()
}

// check refuses values that are wrong whatever the machine is like.
func (o *options) check() error {
	if d := time.Duration(o.Interval); d < collect.MinInterval || d > collect.MaxInterval || d%time.Millisecond != 0 {
		return fmt.Errorf("--interval must be %v to %v in whole milliseconds, not %v", collect.MinInterval, collect.MaxInterval, d)
	}
	if d := time.Duration(o.Window); d < time.Second || d > 30*24*time.Hour {
		return fmt.Errorf("--window must be 1s to 30d, not %v", d)
	}
	if d := time.Duration(o.Retention); d < time.Hour {
		return fmt.Errorf("--retention must be at least 1h, not %v", d)
	}
	if o.DefaultSeries != "" {
		if err := live.CheckSelector(o.DefaultSeries); err != nil {
			return fmt.Errorf("--default-series %q: %w", o.DefaultSeries, err)
		}
	}
	if err := o.limits.check(); err != nil {
		return err
	}
	if o.DataDir == "" {
		o.DataDir = defaultDataDir()
	}
	return server.CheckAddress(o.listen(), o.Insecure)
}

// listen returns the address to listen on.
func (o *options) listen() string {
	if o.Listen == "" {
		return server.DefaultAddress
	}
	return o.Listen
}

func (o *options) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(o.LogLevel)) // kong has checked it
	h := &slog.HandlerOptions{Level: level}
	if o.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, h))
	}
	return slog.New(slog.NewTextHandler(w, h))
}

// duration is a time span on the command line: Go's form (1m30s, 50ms), or
// Prometheus's, which also has days (30d) and weeks.
type duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler for kong.
func (d *duration) UnmarshalText(b []byte) error {
	if v, err := time.ParseDuration(string(b)); err == nil {
		*d = duration(v)
		return nil
	}
	v, err := model.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%q is not a duration: want a number and a unit, such as 50ms, 100s, 15m, 6h or 30d", b)
	}
	*d = duration(v)
	return nil
}

// defaultDataDir is the platform's place for state that should survive restarts.
func defaultDataDir() string {
	home, err := os.UserHomeDir()
	if err != nil {
		home = "."
	}
	switch runtime.GOOS {
	case "darwin":
		return filepath.Join(home, "Library", "Application Support", "stripchart")
	case "windows":
		if local := os.Getenv("LocalAppData"); local != "" {
			return filepath.Join(local, "stripchart")
		}
	}
	if state := os.Getenv("XDG_STATE_HOME"); strings.HasPrefix(state, "/") {
		return filepath.Join(state, "stripchart")
	}
	return filepath.Join(home, ".local", "state", "stripchart")
}
