package collect

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/shirou/gopsutil/v4/common"
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
			"cpu1 600 0 0 0 0 0 0 0 600 0\nintr 1\n",
		"meminfo": "MemTotal:  1000 kB\nMemFree:  100 kB\nMemAvailable:  300 kB\nBuffers:  1 kB\nCached:  2 kB\nSwapTotal:  50 kB\nSwapFree:  20 kB\n",
		"loadavg": "0.50 1.25 2.00 3/123 4567\n",
		"diskstats": "   8 0 sda 10 0 6 0 20 0 8 0 0 0 0\n" +
			"   8 1 sda1 10 0 6 0 20 0 8 0 0 0 0\n",
		"net/dev": "Inter-| Receive | Transmit\n face |bytes ...\n" +
			"  eth0: 700 1 0 0 0 0 0 0 900 1 0 0 0 0 0 0\n",
	})
	var p gopsutilProber

	times, err := p.cpu(ctx)
	// Guests are in user and nice already, and iowait is idle time.
	if want := []cpuTimes{{"total", 17.1, 45}, {"0", 11.1, 45}, {"1", 6, 0}}; err != nil || !slices.EqualFunc(times, want, nearly) {
		t.Errorf("cpu: %v, %v; want %v", times, err, want)
	}
	for _, c := range []struct {
		read func(context.Context) ([]gauge, error)
		want []gauge
	}{
		{p.load, []gauge{{"load1", 0.5}, {"load5", 1.25}, {"load15", 2}}},
		{p.memory, []gauge{{"memory_used_bytes", 700 << 10}, {"memory_available_bytes", 300 << 10}, {"memory_total_bytes", 1000 << 10}, {"swap_used_bytes", 30 << 10}}},
	} {
		if got, err := c.read(ctx); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("got %v, %v; want %v", got, err, c.want)
		}
	}
	disks, err := p.disks(ctx)
	slices.SortFunc(disks, func(a, b ioCounters) int { return len(a.device) - len(b.device) })
	if want := []ioCounters{{"sda", 6 * 512, 8 * 512}, {"sda1", 6 * 512, 8 * 512}}; err != nil || !slices.Equal(disks, want) {
		t.Errorf("disks: %v, %v; want %v", disks, err, want)
	}
	networks, err := p.networks(ctx)
	if want := []ioCounters{{"eth0", 700, 900}}; err != nil || !slices.Equal(networks, want) {
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
	if got, err := p.cpu(ctx); err == nil || len(got) != 0 {
		t.Errorf("cpu: %v, %v", got, err)
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
