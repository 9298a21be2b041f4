package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"golang.org/x/sys/unix"

	"stripchart/internal/bus"
)

// fullEnv makes the test binary a process under which the disk fills up.
const fullEnv = "STRIPCHART_STORE_FULL_TEST_DIR"

// Whoever fills the disk does not stop at the reserve. tsdb writes head chunks in a
// goroutine of its own, and a write that fails there ends the process: nothing may be
// left to write by then.
func TestADiskThatIsFilledToTheLastByteDoesNotEndTheProcess(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fullEnv+"="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%.2000s", err, out)
	}
}

// runOnFullDisk is the life of that process. The limit of a file's size stands in
// for the full disk: every write fails, as there.
func runOnFullDisk(dir string) int {
	fail := func(what string, err error) int {
		fmt.Fprintln(os.Stderr, what, err)
		return 1
	}
	signal.Ignore(unix.SIGXFSZ)
	var free atomic.Int64
	free.Store(1000)
	o := options(dir)
	o.ReserveBytes, o.FreeSpace = 100, func(string) (int64, error) { return free.Load(), nil }
	s, err := Open(o)
	if err != nil {
		return fail("open:", err)
	}
	// More full chunks than the database's buffer takes.
	const many, samples = 500, 130
	for n := range int64(samples) {
		var rows []Row
		for i := range many {
			rows = append(rows, row(series("full", "n", strconv.Itoa(i)), bus.Sample{T: base + n*1000, V: rand.NormFloat64()}))
		}
		if err := s.Append(rows); err != nil {
			return fail("append:", err)
		}
	}
	free.Store(50)
	time.Sleep(spaceCheckEvery)
	if err := s.Append(nil); !errors.Is(err, ErrDiskFull) {
		return fail("append below the reserve:", err)
	}
	var limit unix.Rlimit
	if err := errors.Join(unix.Getrlimit(unix.RLIMIT_FSIZE, &limit), unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 0, Max: limit.Max})); err != nil {
		return fail("limit:", err)
	}
	s.eng.db.ForceHeadMMap() // what tsdb does once a minute
	snapshot, err := s.Snapshot(base, base+samples*1000)
	if err != nil {
		return fail("snapshot:", err)
	}
	every := []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, nameLabel, "full")}
	found, err := snapshot.History(context.Background(), every, base, base+samples*1000, 4*samples)
	if err != nil || len(found) != many {
		return fail(fmt.Sprint("history of ", len(found), " series:"), err)
	}
	return 0
}
