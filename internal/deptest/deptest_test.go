// Package deptest keeps the directions of imports. Its only content is a test,
// which says the reason of the rule that a new import breaks.
package deptest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "stripchart"

// mayImport lists, for each package of ours, which other packages of ours it
// may import; "..." is all of them, and "bench/..." what lies below bench.
// Tests may import more: they wire parts together.
var mayImport = map[string]struct {
	ours []string
	why  string
}{
	"cmd/stripchart":                  {[]string{"..."}, "main is the only place that knows every part"},
	"internal/access":                 {[]string{"internal/datadir"}, "who may do what is decided without knowing rooms, routes or stores; the forms of selectors and sources are handed in"},
	"internal/server":                 {[]string{"internal/access", "internal/live", "internal/socketio", "internal/ingest", "internal/api", "internal/store", "internal/wire", "internal/httperr", "web"}, "the server joins rooms to sockets; it is handed a bus and a collector's batches by main, not by import"},
	"internal/live":                   {[]string{"internal/apply", "internal/bus", "internal/recent", "internal/store", "internal/wire"}, "rooms and viewers know neither HTTP nor sockets, so that they can be tested to exhaustion without either"},
	"internal/apply":                  {[]string{"internal/backoff", "internal/bus", "internal/recent", "internal/store", "internal/wire"}, "the log side knows pages by three methods only, so that what is accepted and what is missing do not depend on who watches"},
	"internal/recent":                 {[]string{"internal/bus"}, "the ring and the index are between the log side and the page side, and know neither"},
	"internal/api":                    {[]string{"internal/access", "internal/bus", "internal/export", "internal/httperr", "internal/store"}, "the Prometheus API reads history and nothing else"},
	"internal/export":                 {[]string{"internal/bus"}, "the form of a file is the same for the server that writes it and the program that reads it"},
	"internal/ingest":                 {[]string{"internal/access", "internal/bus", "internal/bus/httpbus", "internal/bus/rw", "internal/httperr", "internal/textline"}, "the endpoint for writers ends at the bus; what becomes of a batch is decided behind it. It reads the headers that httpbus writes"},
	"internal/collect":                {[]string{"internal/backoff", "internal/bus", "internal/schedule"}, "a collector runs on machines without a server"},
	"internal/scrape":                 {[]string{"internal/bus", "internal/schedule"}, "it makes batches of what targets expose, for whoever publishes them, on machines without a server too"},
	"internal/flask":                  {[]string{"internal/backoff", "internal/bus"}, "it makes batches of what others publish, for whoever publishes them, on machines without a server too"},
	"internal/schedule":               {nil, "ticks are alike for everything periodic"},
	"internal/spool":                  {[]string{"internal/backoff", "internal/bus", "internal/datadir", "internal/wlogpage"}, "it keeps batches for a bus that it is handed, whichever that is"},
	"internal/store":                  {[]string{"internal/backoff", "internal/bus", "internal/datadir", "internal/wlogpage"}, "history knows batches and positions, not who reads it"},
	"internal/backfill":               {[]string{"internal/bus", "internal/datadir", "internal/store"}, "older history is put beside the store's, while no server runs"},
	"internal/datadir":                {nil, "a directory has one owner, whatever is kept in it"},
	"internal/wlogpage":               {nil, "it reads what is damaged, for whoever has a write log"},
	"internal/wire":                   {[]string{"internal/bus"}, "messages are pure data: built from samples, sent by others"},
	"internal/socketio":               {nil, "the Socket.IO server knows neither rooms nor samples, so that it can be judged by the protocol's own tests"},
	"internal/socketio/conformance":   {[]string{"internal/socketio"}, "it serves the protocols' own test suites, which know nothing of samples"},
	"internal/socketio/siotest":       {nil, "it is a client of the protocol for tests of any package"},
	"internal/bus":                    {nil, "the contract comes before everything that keeps it"},
	"internal/bus/bustest":            {[]string{"internal/bus"}, "the suite tests the contract, not one implementation"},
	"internal/bus/membus":             {[]string{"internal/bus"}, "an implementation of the bus is known to main alone"},
	"internal/bus/redisbus":           {[]string{"internal/backoff", "internal/bus", "internal/bus/redislink", "internal/bus/rw"}, "an implementation of the bus is known to main alone"},
	"internal/bus/redislink":          {[]string{"internal/bus"}, "how Redis is reached does not depend on what is kept in it"},
	"internal/bus/rw":                 {[]string{"internal/bus"}, "how a batch is written is the same on Redis and over HTTP, and knows neither"},
	"internal/bus/redisbus/redistest": {nil, "it starts a Redis for tests of any package"},
	"internal/bus/httpbus":            {[]string{"internal/bus", "internal/httperr"}, "a way to a server's bus runs on machines without a server, and knows of it what travels over HTTP"},
	"internal/backoff":                {nil, "pauses between attempts are the same everywhere, whatever is attempted"},
	"internal/httperr":                {nil, "the form of an error is the same for every HTTP endpoint and for the client that reads it"},
	"internal/memory":                 {nil, "how much memory there is is asked of the system, and told to whoever may refuse something"},
	"internal/testkit":                {[]string{"internal/bus", "internal/wlogpage"}, "tests of any package use it"},
	"internal/textline":               {nil, "lines of text are read alike by the server and by stripchart push"},
	"internal/sdnotify":               {nil, "what systemd is told is asked of functions, so that any command can use it"},
	"internal/deptest":                {nil, "it looks at packages from outside"},
	"web":                             {nil, "the page is files"},
	"bench/...":                       {[]string{"..."}, "load generators measure any part"},
}

// doors lists the modules and packages that only some packages may import. The
// first door that fits an import decides: a part of a package stands before the
// whole.
var doors = []struct {
	imports []string // path prefixes
	by      []string // packages of ours, by path prefix
	why     string
}{
	{
		[]string{"github.com/prometheus/prometheus/tsdb/wlog", "github.com/prometheus/prometheus/tsdb/fileutil"},
		[]string{"internal/store", "internal/spool", "internal/datadir"},
		"the spool is a write log like the engine's, and uses that part of it alone",
	}, {
		[]string{"github.com/prometheus/prometheus/tsdb", "github.com/prometheus/prometheus/promql", "github.com/prometheus/prometheus/storage"},
		[]string{"internal/store", "internal/backfill", "internal/api"},
		"Prometheus's engine stays behind store, backfill and api, so that an upgrade of it changes three packages; model/labels is shared vocabulary",
	}, {
		[]string{"github.com/shirou/gopsutil"},
		[]string{"internal/collect"},
		"only the collector measures hosts",
	}, {
		[]string{"github.com/redis", "github.com/gomodule/redigo"},
		[]string{"internal/bus/redislink", "internal/bus/redisbus", "internal/flask"},
		"redislink makes the connections to Redis, and redisbus sends commands over them; flask listens to a Redis of others, which may be older than ours may be",
	}, {
		[]string{"github.com/gobwas", "github.com/lxzan/gws", "github.com/coder/websocket", "github.com/gorilla/websocket"},
		[]string{"internal/socketio", "bench"},
		"WebSocket frames are the Socket.IO server's business; load generators write their own",
	}, {
		[]string{"github.com/coreos/go-systemd"},
		[]string{"internal/sdnotify"},
		"systemd is one of many that may start the program; one package knows it",
	}, {
		[]string{"github.com/alecthomas/kong"},
		[]string{"cmd/stripchart"},
		"flags end in main; parts are given options",
	},
}

// alone lists packages that import, beyond the standard library, only what is
// named here, by path prefix.
var alone = map[string]struct {
	imports []string
	why     string
}{
	"internal/socketio": {
		[]string{"github.com/gobwas", "golang.org/x/sys/unix"},
		"the Socket.IO server could be a module of its own: the standard library, system calls and its WebSocket library",
	},
	"web": {nil, "the page is files"},
}

// listed is what go list says of a package.
type listed struct {
	ImportPath string
	Imports    []string
	Error      *struct{ Err string }
}

func TestImportsGoTheWayOfTheDesign(t *testing.T) {
	packages := list(t)
	if len(packages) < 5 {
		t.Fatalf("go list found only %d packages of this module", len(packages))
	}
	for _, p := range packages {
		for _, broken := range broken(p) {
			t.Error(broken)
		}
	}
}

// The rules themselves must be able to fail.
func TestBrokenRulesAreFound(t *testing.T) {
	for _, c := range []struct {
		from, to string
		says     string // empty: allowed
	}{
		{"internal/live", "stripchart/internal/store", ""},
		{"internal/live", "net/url", ""},
		{"internal/live", "stripchart/internal/apply", ""},
		{"internal/apply", "stripchart/internal/live", "do not depend on who watches"},
		{"internal/recent", "stripchart/internal/apply", "know neither"},
		{"internal/live", "github.com/prometheus/prometheus/model/labels", ""},
		{"internal/store", "github.com/prometheus/prometheus/tsdb/chunkenc", ""},
		{"internal/socketio", "github.com/gobwas/ws", ""},
		{"internal/ingest", "stripchart/internal/bus/httpbus", ""},
		{"internal/bus/httpbus", "stripchart/internal/ingest", "without a server"},
		{"internal/spool", "github.com/prometheus/prometheus/tsdb/wlog", ""},
		{"internal/spool", "github.com/prometheus/prometheus/tsdb", "behind store, backfill and api"},
		{"internal/live", "github.com/prometheus/prometheus/tsdb/wlog", "uses that part"},
		{"cmd/stripchart", "stripchart/internal/bus/membus", ""},
		{"bench/fanout", "stripchart/internal/socketio", ""},
		{"internal/store", "stripchart/internal/live", "not who reads it"},
		{"internal/live", "stripchart/internal/bus/membus", "neither HTTP nor sockets"},
		{"internal/live", "github.com/prometheus/prometheus/tsdb", "behind store, backfill and api"},
		{"internal/server", "github.com/shirou/gopsutil/v4/cpu", "only the collector"},
		{"internal/socketio", "github.com/prometheus/prometheus/model/labels", "module of its own"},
		{"internal/novelty", "fmt", "has no rule"},
	} {
		got := strings.Join(broken(listed{ImportPath: module + "/" + c.from, Imports: []string{c.to}}), "\n")
		if c.says == "" && got != "" || !strings.Contains(got, c.says) {
			t.Errorf("%s imports %s: got %q, want %q", c.from, c.to, got, c.says)
		}
	}
}

// broken returns a sentence for each rule that p breaks.
func broken(p listed) (sentences []string) {
	from := strings.TrimPrefix(p.ImportPath, module+"/")
	rule, ok := mayImport[from]
	if !ok {
		top, _, _ := strings.Cut(from, "/")
		rule, ok = mayImport[top+"/..."]
	}
	if !ok {
		return []string{fmt.Sprintf("%s has no rule: say in internal/deptest what it may import and why", p.ImportPath)}
	}
	for _, imported := range p.Imports {
		if to, ours := strings.CutPrefix(imported, module+"/"); ours {
			if !slices.Contains(rule.ours, "...") && !slices.Contains(rule.ours, to) {
				sentences = append(sentences, fmt.Sprintf("%s must not import %s: %s", from, to, rule.why))
			}
			continue
		}
		for _, d := range doors {
			if !within(imported, d.imports) {
				continue
			}
			if !within(from, d.by) {
				sentences = append(sentences, fmt.Sprintf("%s must not import %s: %s", from, imported, d.why))
			}
			break
		}
		if a, ok := alone[from]; ok && !standard(imported) && !within(imported, a.imports) {
			sentences = append(sentences, fmt.Sprintf("%s must not import %s: %s", from, imported, a.why))
		}
	}
	return sentences
}

// within reports whether the import path is one of prefixes or below it.
func within(imported string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool {
		return imported == p || strings.HasPrefix(imported, p+"/")
	})
}

// standard reports whether the import path is of the standard library, whose
// first element has no dot.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

// list returns the packages of the module, without their tests.
func list(t *testing.T) []listed {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports,Error", module+"/...")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var packages []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("read go list: %v", err)
		}
		if p.Error != nil {
			t.Fatalf("%s: %s", p.ImportPath, p.Error.Err)
		}
		packages = append(packages, p)
	}
	return packages
}

// docs/ARCHITECTURE.md is where a newcomer begins: its table has every package, and what it
// points to is there.
func TestTheArchitectureHasEveryPackageAndNamesWhatIsThere(t *testing.T) {
	const root = "../../"
	text, err := os.ReadFile(root + "docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		if strings.HasPrefix(name, "bench") || strings.HasPrefix(name, "e2e") || strings.HasPrefix(name, "docs") {
			continue // programs for measuring and testing
		}
		if !bytes.Contains(text, []byte("\n| `"+name+"` |")) {
			t.Errorf("docs/ARCHITECTURE.md lacks a row for the package %s", name)
		}
	}
	for _, m := range regexp.MustCompile("`((?:cmd|internal|web|docs|deploy)/[^` ]+)`").FindAllSubmatch(text, -1) {
		if _, err := os.Stat(root + string(m[1])); err != nil {
			t.Errorf("docs/ARCHITECTURE.md names %s, which is not there", m[1])
		}
	}
}
