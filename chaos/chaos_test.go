package chaos

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

var (
	faultsFlag = flag.Int("chaos.faults", 0, "how many `faults` are injected; 0: each kind once")
	forFlag    = flag.Duration("chaos.for", 0, "for how `long` faults are injected, instead of a number of them")
	seedFlag   = flag.Uint64("chaos.seed", 0, "`seed` of an earlier run; 0: a new one, or the short form's")
	onlyFlag   = flag.String("chaos.only", "", "inject only faults whose names contain this `text`")
	binaryFlag = flag.String("chaos.binary", "", "`path` of the stripchart that is tested; empty: it is built")
	reportFlag = flag.String("chaos.report", "", "`file` that the table is added to")
)

// actAs makes the test binary a source of the harness.
const actAs = "STRIPCHART_CHAOS_ACT_AS"

func TestMain(m *testing.M) {
	if os.Getenv(actAs) == "source" {
		os.Exit(Source(os.Args[1:]))
	}
	// Toxiproxy leaves a goroutine behind where a toxic was removed while its reader had
	// gone, or the one that feeds it.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"),
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/stream.(*ChanWriter).Write"))
}

// stripchart builds the binary.
func stripchart(t *testing.T) string {
	t.Helper()
	if *binaryFlag != "" {
		return *binaryFlag
	}
	path := filepath.Join(t.TempDir(), "stripchart")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./cmd/stripchart")
	cmd.Dir = ".." // with what the product's own module asks for
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build stripchart: %v\n%s", err, out)
	}
	return path
}

// logs returns a folder that is kept, and named, when the test fails.
func logs(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "stripchart-chaos-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("logs, journals and data are kept in %s", dir)
		} else if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// shortSeed makes the choices of the short form: a commit should fail because of its changes, not
// because of a new combination of faults. The long form makes new ones. With this seed a server whose
// log is in memory is killed right after a source on a full disk was.
const shortSeed = 2267392308241418081

// reporting is held while the file of reportFlag is changed.
var reporting sync.Mutex

func chaos(t *testing.T, o Options) {
	t.Helper()
	o.Dir, o.Stripchart, o.SourceEnv, o.Log = logs(t), stripchart(t), []string{actAs + "=source"}, t.Logf
	switch o.Seed = *seedFlag; {
	case o.Seed != 0:
	case *faultsFlag == 0 && *forFlag == 0:
		o.Seed = shortSeed
	default:
		o.Seed = rand.Uint64()
	}
	if o.For = *forFlag; *onlyFlag != "" {
		o.Only = *onlyFlag
	}
	report, err := Run(o)
	if report != nil {
		fmt.Print(report.Markdown())
		if broken := report.Broken(); broken != "" {
			t.Errorf("the promise is broken (seed %d):\n%s", o.Seed, broken)
		}
		if *reportFlag != "" {
			reporting.Lock()
			defer reporting.Unlock()
			// What is in the file is of runs before this one.
			if before, err := os.ReadFile(*reportFlag); err == nil {
				if err := report.Add(string(before)); err != nil {
					t.Error(err)
				}
			}
			if err := os.WriteFile(*reportFlag, []byte(report.Markdown()), 0o644); err != nil {
				t.Error(err)
			}
		}
	}
	if err != nil {
		t.Errorf("seed %d: %v", o.Seed, err)
	}
}

// One process on one machine: collector, bus in memory and server, written to over HTTP.
func TestAloneItKeepsEverySample(t *testing.T) {
	t.Parallel()
	n, rigs := *faultsFlag, 2
	if n == 0 {
		n, rigs = 20, 1
	}
	chaos(t, Options{Shape: Shape{Sources: 2, Series: 5}, Rigs: rigs, Faults: n})
}

// among skips a test when none of the given faults was asked for.
func among(t *testing.T, some []fault) {
	t.Helper()
	if !slices.ContainsFunc(some, func(f fault) bool { return strings.Contains(f.name, *onlyFlag) }) {
		t.Skipf("it has no fault with %q in its name", *onlyFlag)
	}
}

// Many processes and many servers that meet in Redis.
func TestNothingAcknowledgedIsLostByManyProcesses(t *testing.T) {
	t.Parallel()
	others := slices.DeleteFunc(faults(), func(f fault) bool { return strings.Contains(f.name, "sentinels") })
	among(t, others)
	n, rigs := *faultsFlag, 2
	if n == 0 {
		n, rigs = len(others), 3 // most of the time is waiting
	}
	chaos(t, Options{Shape: Shape{Servers: 2, Sources: 4, Pushers: 1, Series: 10, Collectors: 1}, Rigs: rigs, Faults: n})
}

// Many processes whose Redis has a replica, and sentinels that promote it.
func TestNothingAcknowledgedIsLostByManyProcessesBehindSentinels(t *testing.T) {
	t.Parallel()
	among(t, sentinelFaults())
	n := *faultsFlag / 10
	if n == 0 {
		n = len(sentinelFaults())
	}
	chaos(t, Options{Shape: Shape{Servers: 2, Sources: 2, Series: 5, Collectors: 1, Sentinels: true}, Only: "sentinels", Faults: n})
}
