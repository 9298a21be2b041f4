package memory

import (
	"bytes"
	"context"
	"log/slog"
	"math"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func files(of map[string]string) fstest.MapFS {
	f := fstest.MapFS{}
	for name, text := range of {
		f[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return f
}

func TestTheLeastBoundAroundTheProcessIsFound(t *testing.T) {
	const machine = "MemTotal:       24000 kB\nMemFree:        1 kB\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"nothing is known": {nil, math.MaxInt64},
		"a machine":        {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/\n"}, 24000 << 10},
		"a service": {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/system.slice/a.service\n",
			"sys/fs/cgroup/system.slice/a.service/memory.max": "2048000\n", "sys/fs/cgroup/system.slice/memory.max": "max\n"}, 2048000},
		"its slice": {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/system.slice/a.service\n",
			"sys/fs/cgroup/system.slice/a.service/memory.max": "max\n", "sys/fs/cgroup/system.slice/memory.max": "1024000\n"}, 1024000},
		"throttled earlier": {map[string]string{"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "2000\n", "sys/fs/cgroup/a/memory.high": "1000\n"}, 1000},
		"a container":       {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "512000\n"}, 512000},
		"by a foreign path": {map[string]string{"proc/self/cgroup": "0::/../../docker/x\n", "sys/fs/cgroup/memory.max": "512000\n"}, 512000},
		"version 1": {map[string]string{"proc/self/cgroup": "7:cpu,cpuacct:/x\n4:memory:/docker/x\n0::/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "512000\n"}, 512000},
		"version 1, none": {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "4:memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 24000 << 10},
		"more than there is": {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "99999999999\n"}, 24000 << 10},
		"rubbish":            {map[string]string{"proc/meminfo": "MemTotal: x kB\nMemTotal:\n", "proc/self/cgroup": "x\n0::\n::\n\n", "sys/fs/cgroup/memory.max": "-1\n"}, math.MaxInt64},
	} {
		if got := Bound(files(c.files)); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestGOMEMLIMITIsTheBound(t *testing.T) {
	before := debug.SetMemoryLimit(1 << 30)
	defer debug.SetMemoryLimit(before)
	if got := Bound(files(map[string]string{"proc/meminfo": "MemTotal: 1 kB\n"})); got != 1<<30 {
		t.Errorf("%d", got)
	}
}

func TestTheWatermarkHoldsUntilThereIsMemoryAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var inUse, collections atomic.Int64
		w := &Watermark{bound: 1000, log: slog.New(slog.NewTextHandler(&log, nil)), measure: inUse.Load, collect: func() { collections.Add(1) }}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); w.Run(ctx) }()
		synctest.Wait()
		for _, step := range []struct {
			inUse int64
			high  bool
		}{{100, false}, {799, false}, {800, true}, {2000, true}, {799, true}, {700, true}, {699, false}, {799, false}, {801, true}, {1, false}} {
			inUse.Store(step.inUse)
			time.Sleep(measureEvery)
			synctest.Wait()
			if w.High() != step.high {
				t.Errorf("at %d: high %v", step.inUse, w.High())
			}
		}
		if n := strings.Count(log.String(), "\n"); n != 4 {
			t.Errorf("%d lines:\n%s", n, log.String())
		}
		inUse.Store(900)
		collections.Store(0)
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := collections.Load(); n < 11 || n > 12 {
			t.Errorf("%d collections in a minute above the watermark", n)
		}
		if err := testutil.CollectAndCompare(w, strings.NewReader("# HELP stripchart_memory_short 1 while memory is short: no page can join, no new series is taken.\n# TYPE stripchart_memory_short gauge\nstripchart_memory_short 1\n"), "stripchart_memory_short"); err != nil {
			t.Error(err)
		}
		cancel()
		<-done
	})
}

// What is garbage is not in use, and what is in use is found after a collection at the latest.
func TestMemoryInUseIsWhatCannotBeCollected(t *testing.T) {
	m := newMeter()
	runtime.GC()
	before := m.inUse()
	held := make([]byte, 64<<20)
	for i := range held {
		held[i] = 1
	}
	runtime.GC()
	with := m.inUse()
	if more := with - before; more < 60<<20 || more > 80<<20 {
		t.Errorf("64 MiB more are %d", more)
	}
	runtime.KeepAlive(held)
	held = nil
	runtime.GC()
	if more := m.inUse() - before; more > 20<<20 {
		t.Errorf("after they were given back: %d", more)
	}
}

func BenchmarkLook(b *testing.B) {
	w := New(math.MaxInt64, slog.New(slog.DiscardHandler))
	for b.Loop() {
		w.look()
	}
}
