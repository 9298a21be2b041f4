package collect

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v4/common"

	"stripchart/internal/bus"
)

// procWith returns a context in which gopsutil reads the given files as /proc.
func procWith(t *testing.T, files map[string]string) context.Context {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return context.WithValue(t.Context(), common.EnvKey, common.EnvMap{common.HostProcEnvKey: dir})
}

func TestLinuxCountersAreReadAsTheyAreMeant(t *testing.T) {
	ctx := procWith(t, map[string]string{
		//           user nice system idle iowait irq softirq steal guest guest_nice
		"stat": "cpu  1000 200 300 4000 500 60 70 80 900 100\n" +
			"cpu0 400 200 300 4000 500 60 70 80 300 100\n" +
			"cpu1 600 0 0 0 0 0 0 0 600 0\nintr 1\nprocs_running 3\nprocs_blocked 2\nsoftirq 9\n",
		"meminfo":         "MemTotal:  1000 kB\nMemFree:  100 kB\nMemAvailable:  300 kB\nBuffers:  1 kB\nCached:  2 kB\nSwapTotal:  50 kB\nSwapFree:  20 kB\n",
		"pressure/cpu":    "some avg10=1.00 avg60=0 avg300=0 total=1500000\nfull avg10=0 avg60=0 avg300=0 total=1\n",
		"pressure/memory": "some avg10=0 avg60=0 avg300=0 total=7\n",
		"loadavg":         "0.50 1.25 2.00 3/123 4567\n",
		"diskstats": "   8 0 sda 10 0 6 0 20 0 8 0 0 1200 0\n" +
			"   8 1 sda1 10 0 6 0 20 0 8 0 0 1200 0\n",
		"net/dev": "Inter-| Receive | Transmit\n face |bytes ...\n" +
			"  eth0: 700 1 0 0 0 0 0 0 900 1 0 0 0 0 0 0\n",
	})
	var p gopsutilProber

	times, modes, err := p.cpu(ctx)
	// Guests are in user and nice already, and iowait is idle time.
	if want := []cpuTimes{{"total", 17.1, 45}, {"0", 11.1, 45}, {"1", 6, 0}}; err != nil || !slices.EqualFunc(times, want, nearly) {
		t.Errorf("cpu: %v, %v; want %v", times, err, want)
	}
	if want := []modeTime{{"user", 10}, {"nice", 2}, {"system", 3}, {"irq", 0.6}, {"softirq", 0.7}, {"steal", 0.8}, {"iowait", 5}, {"idle", 40}}; !slices.Equal(modes, want) {
		t.Errorf("modes: %v; want %v", modes, want)
	}
	for _, c := range []struct {
		read func(context.Context) ([]gauge, error)
		want []gauge
	}{
		{p.load, []gauge{{"load1", 0.5}, {"load5", 1.25}, {"load15", 2}}},
		{p.memory, []gauge{{"memory_used_bytes", 700 << 10}, {"memory_available_bytes", 300 << 10}, {"memory_total_bytes", 1000 << 10}, {"memory_cached_bytes", 2 << 10}, {"swap_used_bytes", 30 << 10}}},
		{p.processes, []gauge{{"processes_running", 3}, {"processes_blocked", 2}}},
	} {
		if got, err := c.read(ctx); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("got %v, %v; want %v", got, err, c.want)
		}
	}
	stalls, err := p.pressure(ctx)
	if want := []stall{{"cpu", 1500 * time.Millisecond}, {"memory", 7 * time.Microsecond}}; err != nil || !slices.Equal(stalls, want) {
		t.Errorf("pressure: %v, %v; want %v", stalls, err, want)
	}
	disks, err := p.disks(ctx)
	slices.SortFunc(disks, func(a, b ioCounters) int { return len(a.device) - len(b.device) })
	if want := []ioCounters{{"sda", 6 * 512, 8 * 512, 1200 * time.Millisecond}, {"sda1", 6 * 512, 8 * 512, 1200 * time.Millisecond}}; err != nil || !slices.Equal(disks, want) {
		t.Errorf("disks: %v, %v; want %v", disks, err, want)
	}
	networks, err := p.networks(ctx)
	if want := []ioCounters{{"eth0", 700, 900, 0}}; err != nil || !slices.Equal(networks, want) {
		t.Errorf("networks: %v, %v; want %v", networks, err, want)
	}
}

// nearly compares sums of floats.
func nearly(a, b cpuTimes) bool {
	return a.cpu == b.cpu && max(a.busy-b.busy, b.busy-a.busy, a.idle-b.idle, b.idle-a.idle) < 1e-9
}

// A container may hide all of it, and gopsutil reports some of that as an
// empty list without an error. The load average has a system call to fall back on.
func TestEmptyProcIsAnErrorOfEachProbe(t *testing.T) {
	ctx := procWith(t, nil)
	var p gopsutilProber
	if got, modes, err := p.cpu(ctx); err == nil || len(got)+len(modes) != 0 {
		t.Errorf("cpu: %v, %v, %v", got, modes, err)
	}
	if got, err := p.processes(ctx); err == nil || len(got) != 0 {
		t.Errorf("processes: %v, %v", got, err)
	}
	if got, err := p.pressure(ctx); !errors.Is(err, errLacks) || len(got) != 0 {
		t.Errorf("pressure: %v, %v", got, err)
	}
	if got, err := p.processCount(ctx); err == nil {
		t.Errorf("process count: %v", got)
	}
	if got, err := p.mounts(ctx); err == nil || len(got) != 0 {
		t.Errorf("mounts: %v, %v", got, err)
	}
	if got, err := p.memory(ctx); err == nil || len(got) != 0 {
		t.Errorf("memory: %v, %v", got, err)
	}
	if got, err := p.disks(ctx); err == nil || len(got) != 0 {
		t.Errorf("disks: %v, %v", got, err)
	}
	if got, err := p.networks(ctx); err == nil || len(got) != 0 {
		t.Errorf("networks: %v, %v", got, err)
	}
}

func TestMountsAreThoseOfThisProcess(t *testing.T) {
	ctx := procWith(t, map[string]string{
		"1/mountinfo": "27 1 254:0 / / rw - ext4 /dev/other rw\n",
		"self/mountinfo": "27 1 254:0 / / rw - ext4 /dev/vda rw\n" +
			"28 27 254:0 /srv /data\\040x rw - ext4 /dev/vda rw\n" +
			"29 27 0:40 / /nas rw - nfs4 nas:/export rw\n",
	})
	got, err := gopsutilProber{}.mounts(ctx)
	want := []mount{{"/dev/vda", "/", "ext4", false}, {"/dev/vda", "/data x", "ext4", true}, {"nas:/export", "/nas", "nfs4", false}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}

func TestSensorsAreReadWhereThereAreAny(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"name": "k10temp\n", "temp1_label": "Tctl\n", "temp1_input": "41250\n"} {
		path := filepath.Join(dir, "class/hwmon/hwmon0", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sys := func(dir string) context.Context {
		return context.WithValue(t.Context(), common.EnvKey, common.EnvMap{common.HostSysEnvKey: dir})
	}
	got, err := gopsutilProber{}.temperatures(sys(dir))
	if want := []temperature{{"k10temp_tctl", 41.25}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	if got, err := (gopsutilProber{}).temperatures(sys(t.TempDir())); !errors.Is(err, errLacks) || len(got) != 0 {
		t.Errorf("without sensors: %v, %v", got, err)
	}
}

// On the real machine: the root has room, and something runs.
func TestARoundOnThisMachine(t *testing.T) {
	c, err := New(Options{Host: "h", Source: "test", Publish: func(context.Context, *bus.Batch) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	b := c.slow.measure(t.Context(), 7)
	seen := make(map[string]bool)
	for _, s := range b.Series {
		name, v := s.Labels.Get(metricName), s.Samples[0].V
		if key := s.Labels.String(); seen[key] {
			t.Errorf("%s is there twice", key)
		}
		seen[s.Labels.String()] = true
		if s.Labels.Get("mountpoint") == "/" {
			seen[name] = true
		}
		if strings.HasSuffix(name, "_percent") && (v < 0 || v > 100) || strings.HasSuffix(name, "_bytes") && v < 1 || s.Samples[0].T != 7 {
			t.Errorf("%v: %v", s.Labels, s.Samples)
		}
		if fstype := s.Labels.Get("fstype"); fstype == "proc" || fstype == "sysfs" || fstype == "devtmpfs" {
			t.Errorf("a pseudo filesystem: %v", s.Labels)
		}
	}
	for _, want := range []string{"filesystem_size_bytes", "filesystem_used_bytes", "filesystem_used_percent", `{__name__="processes", host="h"}`} {
		if !seen[want] {
			t.Errorf("%s is missing among %v", want, b.Series)
		}
	}
}
