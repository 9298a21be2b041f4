package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/prometheus/common/model"

	"stripchart/internal/bus/redislink"
	"stripchart/internal/collect"
	"stripchart/internal/flask"
	"stripchart/internal/live"
	"stripchart/internal/scrape"
	"stripchart/internal/server"
)

// options are the flags; each can also be set as STRIPCHART_... in the
// environment.
type options struct {
	DataDir   string `help:"Folder of the history, and of the batches that wait for the bus. Default: ${data_dir}." placeholder:"DIR"`
	Bus       string `help:"How batches go from collectors to servers. Default: memory, within this process; redis://host:6379/0 and its other forms (rediss://, unix://, redis+sentinel://, redis+cluster://); or, for collect, http(s)://server." default:"memory" placeholder:"URL"`
	Sync      string `help:"When acknowledged batches reach this machine's disk: os, when the system writes them, so a power cut may lose up to about 30 s; or always, with an fsync before each acknowledgement." enum:"os,always" default:"os"`
	Stream    string `help:"Name of the log in Redis. Programs with the same name share one." default:"stripchart"`
	LogFormat string `help:"Format of the log on standard error: text or json." enum:"text,json" default:"text"`
	LogLevel  string `help:"Lowest level that is logged: debug, info, warn or error." enum:"debug,info,warn,error" default:"info"`

	calling    `embed:"" group:"calling"`
	collecting `embed:"" group:"collecting"`
	serving    `embed:"" group:"serving"`
	reaching   `embed:"" group:"serving"`
	limits     `embed:"" group:"limits"`

	action       string // of a command that has several
	tokenInSight bool   // a token was given on the command line

	Run     struct{}  `cmd:"" default:"1" hidden:""`
	Serve   struct{}  `cmd:"" help:"Server only: pages, history, and an endpoint for collectors."`
	Collect struct{}  `cmd:"" help:"Collector only: measures this host and publishes to --bus."`
	Push    pushing   `cmd:"" help:"Reads numbers from standard input, a line at a time, and sends them to a server as a series."`
	Export  exporting `cmd:"" help:"Writes what a server has recorded to a file: CSV, JSON lines or OpenMetrics."`
	Import  importing `cmd:"" help:"Reads such a file back, into a running server, or offline into its data directory."`
	Token   tokening  `cmd:"" help:"Adds, lists and removes the tokens of --token-file, which say who may look and who may write."`
	Help    helping   `cmd:"" help:"Lists the commands, or describes one."`
	Version struct{}  `cmd:"" help:"Print the version."`
}

// collecting are the flags of what measures.
type collecting struct {
	Interval duration `help:"Time between two measurements, 50ms to 1h." default:"1s"`
	Spool    size     `help:"Bytes of batches that are kept on disk while the bus is away, 1M to 1024M; then the oldest are dropped, and pages say so." default:"256M"`
	Scrape   []string `help:"Read a metrics endpoint of Prometheus's kind, at --interval or the one given here; may be repeated. Its series get the labels job (NAME) and instance." placeholder:"URL[,name=NAME][,interval=1s]" sep:" "`

	FromFlask   string `help:"Listen to what Flask-SocketIO publishes through this Redis: redis://host:6379/0[?channel=flask-socketio], with &zone=Europe/Berlin where its times are of another zone. Each emit('update', {'x': ..., 'y': ...}) is a sample of --flask-series." placeholder:"URL"`
	FlaskSeries string `help:"Series that it becomes. Default: cpu_usage_percent{source=\"flask\"}." placeholder:"NAME{LABELS}"`
}

// serving are the flags of what serves pages.
type serving struct {
	Listen        string   `help:"Address to listen on. If nothing is set and port 5000 is taken, the next free port is used." placeholder:"127.0.0.1:5000"`
	Window        duration `help:"Span of time that a chart shows unless the page asks otherwise." default:"100s"`
	DefaultSeries string   `help:"Selector of the series for pages of the Flask-SocketIO recipe, and for /plotly. Default: this host's total CPU; for serve, the first host's." placeholder:"SELECTOR"`
	Retention     duration `help:"How long history is kept." default:"30d"`
	BusRetention  duration `help:"How long the log in Redis is kept for servers that are away, 1m to 24h." default:"1h"`
	BusBytes      size     `help:"Most bytes of the log in Redis, 1M to 2047M." default:"512M"`
	TokenFile     string   `help:"File of the tokens, as stripchart token writes it: without one of them nobody can look or write. It is read anew when it changes." placeholder:"FILE"`
	PublicRead    bool     `help:"With --token-file: everybody can look, and only writing needs a token."`
	Insecure      bool     `help:"Allow an address that other machines can reach, and every name in Host. Without --token-file anybody there can watch and write."`
	CompressFrom  size     `help:"Compress packets of so many bytes and more, histories for the most part, for pages whose browser offers it (permessage-deflate), once for all of them; 0 for none." default:"4k"`
}

// Commands.
const (
	commandRun     = "run" // collector and server in one process
	commandServe   = "serve"
	commandCollect = "collect"
	commandPush    = "push"
	commandExport  = "export"
	commandImport  = "import"
	commandToken   = "token"
	commandHelp    = "help"
	commandVersion = "version"
)

// ownFlags are the flags that mean something to a command that has flags of its own.
var ownFlags = map[string][]string{
	commandPush:    {"label", "to", "token", "ca-file", "help"},
	commandExport:  {"match", "start", "end", "format", "times", "from", "token", "ca-file", "help"},
	commandImport:  {"format", "to", "offline", "data-dir", "token", "ca-file", "help"},
	commandToken:   {"token-file", "scope", "match", "label", "source", "help"},
	commandHelp:    {"help"},
	commandVersion: {"help"},
}

// foreign are the groups of flags that mean nothing to a command.
var foreign = map[string][]string{
	commandRun:     {"calling"},
	commandServe:   {"calling", "collecting"},
	commandCollect: {"serving", "limits"},
}

// means says whether a flag means something to a command.
func means(command string, f *kong.Flag) bool {
	if own, limited := ownFlags[command]; limited && !slices.Contains(own, f.Name) {
		return false
	}
	return f.Group == nil || !slices.Contains(foreign[command], f.Group.Key)
}

// userInfo is the user and the password of a URL.
var userInfo = regexp.MustCompile(`://[^\s/]*@`)

// aToken is a token.
var aToken = regexp.MustCompile(`\bsc_[A-Za-z0-9_-]+`)

// errHelp means that the help was asked for and printed.
var errHelp = errors.New("help was printed")

// newParser returns what reads a command line into o. dataDir is the default of --data-dir, as the help shows it.
// exit is called after the help was printed to stdout.
func newParser(o *options, dataDir string, stdout io.Writer, exit func(int)) (*kong.Kong, error) {
	return kong.New(o,
		kong.Name("stripchart"),
		kong.Description("This machine, live in a browser, with its history. Without a command: a collector and a server in one process, which prints the page's address."),
		kong.DefaultEnvars("STRIPCHART"),
		kong.Vars{"data_dir": dataDir},
		kong.ExplicitGroups([]kong.Group{
			{Key: "calling", Title: "Towards a server, for collect, push, export and import:"},
			{Key: "collecting", Title: "Collector:"},
			{Key: "serving", Title: "Server:"},
			{Key: "limits", Title: "Limits of the server, each also in /metrics:"},
		}),
		kong.Writers(stdout, stdout),
		kong.Exit(exit),
		kong.Help(printHelp),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
}

// parse reads the command line. command is one of the constants.
func parse(args []string, stdout io.Writer) (o options, command string, err error) {
	helped := false
	parser, err := newParser(&o, defaultDataDir(), stdout, func(int) { helped = true })
	if err != nil {
		return o, "", err
	}
	k, err := parser.Parse(args)
	if helped {
		return o, "", errHelp
	}
	if err != nil {
		// The parser quotes arguments that it does not understand, and such an argument may be a URL
		// with a password, or a token.
		return o, "", errors.New(aToken.ReplaceAllString(userInfo.ReplaceAllString(err.Error(), "://"), "sc_..."))
	}
	command, _, _ = strings.Cut(k.Command(), " ") // without the arguments
	// The environment may be shared by several commands; what somebody typed is meant.
	for _, p := range k.Path {
		if p.Flag == nil {
			continue
		}
		if !means(command, p.Flag) {
			return o, "", fmt.Errorf("--%s means nothing to stripchart %s", p.Flag.Name, command)
		}
		if p.Flag.Name == "token" {
			o.tokenInSight = !o.calling.isFile()
		}
	}
	switch command {
	case commandVersion:
		return o, command, nil
	case commandHelp:
		if o.Help.Command != "" {
			return parse([]string{o.Help.Command, "--help"}, stdout)
		}
		return o, command, nil
	case commandPush:
		return o, command, o.Push.check(o.calling)
	case commandExport:
		return o, command, o.Export.check(o.calling)
	case commandToken:
		o.action = strings.Fields(k.Command())[1]
		return o, command, o.Token.check(o.TokenFile, o.action)
	case commandImport:
		o.DataDir = kong.ExpandPath(cmp.Or(o.DataDir, defaultDataDir()))
		return o, command, o.Import.check(o.calling)
	}
	return o, command, o.check(command)
}

// check refuses values that are wrong whatever the machine is like.
func (o *options) check(command string) error {
	// Kong would take an empty one, as of STRIPCHART_DATA_DIR=, for the current folder.
	if o.DataDir == "" {
		o.DataDir = defaultDataDir()
	}
	o.DataDir = kong.ExpandPath(o.DataDir)
	if err := o.checkBus(command); err != nil {
		return err
	}
	if command != commandServe {
		if err := o.collecting.check(); err != nil {
			return err
		}
	}
	if command == commandCollect {
		return nil
	}
	if err := o.serving.check(); err != nil {
		return err
	}
	if err := o.limits.check(); err != nil {
		return err
	}
	reach, err := o.reach()
	if err != nil {
		return err
	}
	if o.Share && o.Insecure {
		return errors.New("--share makes a token to look, and with --insecure everybody can: choose one of them")
	}
	isAllowed := o.Insecure || o.hasTokens()
	if err := server.CheckPublic(reach.Public, isAllowed); err != nil {
		return err
	}
	return server.CheckAddress(o.listen(), isAllowed)
}

func (o *options) checkBus(command string) error {
	scheme, _, isURL := strings.Cut(o.Bus, "://")
	http := isURL && (scheme == "http" || scheme == "https")
	switch {
	case o.Bus == busMemory && command == commandCollect:
		return errors.New("collect needs --bus: redis://host:6379/0, or http://server:5000")
	case o.Bus == busMemory:
		return nil
	case http && command == commandCollect:
		return named("--bus", o.calling.check(o.Bus))
	case http:
		return errors.New("--bus http(s):// is for stripchart collect, which pushes to a server; a server reads from redis:// or memory")
	case !isURL:
		return errors.New("--bus must be memory, a URL such as redis://host:6379/0, or, for collect, http(s)://server")
	}
	if command == commandCollect && o.CAFile != "" {
		return errors.New("--ca-file is for --bus https://; for Redis, write ?tls_ca_cert_file=FILE at the end of --bus")
	}
	return named("--bus", redislink.CheckURL(o.Bus))
}

// named says which flag an error is about, if it is one.
func named(flag string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", flag, err)
}

func (c *collecting) check() error {
	if d := time.Duration(c.Interval); d < collect.MinInterval || d > collect.MaxInterval || d%time.Millisecond != 0 {
		return fmt.Errorf("--interval must be %v to %v in whole milliseconds, not %v", collect.MinInterval, collect.MaxInterval, d)
	}
	if c.Spool < 1<<20 || c.Spool > 1<<30 {
		return fmt.Errorf("--spool must be 1M to 1024M, not %d bytes", c.Spool)
	}
	if _, err := c.targets(); err != nil {
		return err
	}
	switch {
	case c.FromFlask != "":
		if err := flask.CheckURL(c.FromFlask); err != nil {
			return named("--from-flask", err)
		}
	case c.FlaskSeries != "":
		return errors.New("--flask-series needs --from-flask redis://host:6379/0")
	}
	_, err := flask.ParseSeries(c.flaskSeries())
	return named("--flask-series", err)
}

// flaskSeries returns the series of --from-flask.
func (c *collecting) flaskSeries() string {
	return cmp.Or(c.FlaskSeries, `cpu_usage_percent{source="flask"}`)
}

// targets returns what --scrape names.
func (c *collecting) targets() (targets []scrape.Target, err error) {
	for _, s := range c.Scrape {
		t, err := scrape.ParseTarget(s, time.Duration(c.Interval), parseDuration)
		if err != nil {
			return nil, fmt.Errorf("--scrape: %w", err)
		}
		targets = append(targets, t)
	}
	return targets, named("--scrape", scrape.Check(targets))
}

func (s *serving) check() error {
	if d := time.Duration(s.Window); d < time.Second || d > 30*24*time.Hour {
		return fmt.Errorf("--window must be 1s to 30d, not %v", d)
	}
	if d := time.Duration(s.Retention); d < time.Hour {
		return fmt.Errorf("--retention must be at least 1h, not %v", d)
	}
	if d := time.Duration(s.BusRetention); d < time.Minute || d > 24*time.Hour {
		return fmt.Errorf("--bus-retention must be 1m to 24h, not %v", d)
	}
	if s.BusBytes < 1<<20 {
		return fmt.Errorf("--bus-bytes must be 1M to 2047M, not %d bytes", s.BusBytes)
	}
	if s.PublicRead && s.TokenFile == "" {
		return errors.New("--public-read needs --token-file: with it everybody can look, and who may write is said by the tokens of that file. Make it with `stripchart token add NAME --scope write --token-file FILE`; without any tokens, --insecure lets everybody look and write")
	}
	if s.DefaultSeries != "" {
		if err := live.CheckSelector(s.DefaultSeries); err != nil {
			return fmt.Errorf("--default-series %q: %w", s.DefaultSeries, err)
		}
	}
	return nil
}

// listen returns the address to listen on.
func (o *options) listen() string {
	switch {
	case o.Listen != "":
		return o.Listen
	case o.Share:
		return server.EveryAddress
	}
	return server.DefaultAddress
}

// hasTokens reports whether it takes a token to look, or to write.
func (o *options) hasTokens() bool { return o.TokenFile != "" || o.Share }

// anyHost reports whether the server answers to every name. A page of another site that has its own
// name point here (DNS rebinding) has no token: browsers keep cookies by name. So names need no check
// where nothing is open without a token; on loopback, which nobody opens by another name, it stays.
// With --public-url the name is known.
func (o *options) anyHost() bool {
	return o.PublicURL == "" && (o.Insecure || o.hasTokens() && !o.PublicRead && !server.IsLoopback(o.listen()))
}

// duration is a time span on the command line: Go's form (1m30s, 50ms), or
// Prometheus's, which also has days (30d) and weeks.
type duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler for kong.
func (d *duration) UnmarshalText(b []byte) error {
	v, err := parseDuration(string(b))
	*d = duration(v)
	return err
}

func parseDuration(s string) (time.Duration, error) {
	if v, err := time.ParseDuration(s); err == nil {
		return v, nil
	}
	v, err := model.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration: want a number and a unit, such as 50ms, 100s, 15m, 6h or 30d", s)
	}
	return time.Duration(v), nil
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
