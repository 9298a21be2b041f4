package collect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/shirou/gopsutil/v4/common"
)

// This file reads values that gopsutil does not read, or that are too expensive there for
// every tick: pressure, and the running and blocked processes (gopsutil's load.Misc also
// lists all of /proc).

func (gopsutilProber) pressure(ctx context.Context) ([]stall, error) {
	if runtime.GOOS != "linux" {
		return nil, wrap("pressure", errLacks)
	}
	stalls := make([]stall, 0, 3)
	var errs []error
	for _, resource := range [...]string{"cpu", "memory", "io"} {
		text, err := readProc(ctx, "pressure/"+resource)
		// Without the option in the kernel there is no such file; switched off at
		// boot, or by a container, it cannot be opened or read.
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EOPNOTSUPP) {
			continue
		}
		var total time.Duration
		if err == nil {
			total, err = parseStall(text)
		}
		if err != nil {
			errs = append(errs, wrap("pressure of "+resource, err))
			continue
		}
		stalls = append(stalls, stall{resource, total})
	}
	if len(stalls) == 0 && len(errs) == 0 {
		errs = append(errs, wrap("pressure", errLacks))
	}
	return stalls, errors.Join(errs...)
}

func (gopsutilProber) processes(ctx context.Context) ([]gauge, error) {
	if runtime.GOOS != "linux" {
		return nil, wrap("processes", errLacks)
	}
	text, err := readProc(ctx, "stat")
	if err != nil {
		return nil, wrap("processes", err)
	}
	gauges := make([]gauge, 0, 2)
	var errs []error
	for _, g := range [...]struct{ line, metric string }{
		{"procs_running", "processes_running"},
		{"procs_blocked", "processes_blocked"},
	} {
		n, err := parseStat(text, g.line)
		if err != nil {
			errs = append(errs, wrap("processes", err))
			continue
		}
		gauges = append(gauges, gauge{g.metric, float64(n)})
	}
	return gauges, errors.Join(errs...)
}

// parseStat returns the number on the line of /proc/stat that begins with
// name, such as "procs_running 2". Such lines are at its end.
func parseStat(text, name string) (uint64, error) {
	i := strings.LastIndex(text, "\n"+name+" ")
	if i < 0 {
		return 0, fmt.Errorf("no line %s", name)
	}
	number, _, _ := strings.Cut(text[i+len(name)+2:], "\n")
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("line %s: %w", name, err)
	}
	return n, nil
}

// readProc returns the file of that name below /proc.
func readProc(ctx context.Context, name string) (string, error) {
	text, err := os.ReadFile(procPath(ctx, name))
	return string(text), err
}

// procPath returns a path below the /proc that gopsutil uses, so that all parts of a
// collector measure the same machine.
func procPath(ctx context.Context, name string) string {
	dir := hostEnv(ctx, common.HostProcEnvKey)
	if dir == "" {
		dir = "/proc"
	}
	return filepath.Join(dir, name)
}

// hostEnv returns one of the variables with which gopsutil finds the host's folders: from
// the context, or else from the environment; "" if neither has it.
func hostEnv(ctx context.Context, key common.EnvKeyType) string {
	if env, ok := ctx.Value(common.EnvKey).(common.EnvMap); ok && env[key] != "" {
		return env[key]
	}
	return os.Getenv(string(key))
}
