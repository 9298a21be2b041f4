package collect

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/net"
)

// prober reads the present state of a machine. A method returns the values that it could
// read, and an error for those that it could not; it may return both.
type prober interface {
	cpu(context.Context) ([]cpuTimes, []modeTime, error)
	load(context.Context) ([]gauge, error)
	memory(context.Context) ([]gauge, error)
	disks(context.Context) ([]ioCounters, error)
	networks(context.Context) ([]ioCounters, error)
	processes(context.Context) ([]gauge, error)
	pressure(context.Context) ([]stall, error)
}

// cpuTimes are the CPU times of one core, or of all cores together, since the machine
// started, in seconds.
type cpuTimes struct {
	cpu        string // "total", "0", "1", ...: the value of the label
	busy, idle float64
}

// gauge is a value that is meaningful by itself, with its metric name.
type gauge struct {
	metric string
	value  float64
}

// ioCounters counts bytes since the machine started, or since the device
// appeared: read and written, or received and transmitted; and the time in
// which a disk was at work. Busy is zero where that is not counted.
type ioCounters struct {
	device  string
	in, out uint64
	busy    time.Duration
}

// errNone is for a list that should not be empty; gopsutil reports some
// failures that way.
var errNone = errors.New("this system lists none")

// gopsutilProber measures with gopsutil. A tick costs 0.3 ms in a loop on Linux
// (go test -bench 'Measure|Round' ./internal/collect). Once a second, with cold
// caches, it costs 1.0 ms of CPU time, of which waking up is a third: 0.1 % of a
// core (at 50 ms, 1.6 %). A round costs 0.2 ms: listing the mounts and listing the
// processes are 80 µs each on a small machine and grow with their number. Parsing
// /proc ourselves would not change the reading, so it is done only for what
// gopsutil lacks (proc.go). Two calls are expensive, and are avoided or kept for a reason:
//
//   - mem.SwapMemory (40 µs) parses all of /proc/vmstat for counters that we
//     do not use, while mem.VirtualMemory (19 µs) has the swap's size already.
//   - disk.IOCounters (25 µs with one disk, about 15 µs for each further device)
//     looks up each device's serial number. Restricting it to known names
//     would only spare the partitions.
type gopsutilProber struct{}

func (gopsutilProber) cpu(ctx context.Context) ([]cpuTimes, []modeTime, error) {
	// The total is a reading of its own (8 µs) rather than the sum of the
	// cores: the kernel rounds each core's times down to hundredths of a second,
	// and at 50 ms their sum would be visibly coarser than its total.
	total, errTotal := cpu.TimesWithContext(ctx, false)
	cores, errCores := cpu.TimesWithContext(ctx, true)
	if errTotal == nil && len(total) == 0 {
		errTotal = errNone
	}
	if errCores == nil && len(cores) == 0 {
		errCores = errNone
	}
	times := make([]cpuTimes, 0, len(total)+len(cores))
	var modes []modeTime
	if len(total) > 0 {
		times = append(times, sumTimes("total", &total[0]))
		modes = modeTimes(&total[0])
	}
	for i := range cores {
		times = append(times, sumTimes(strings.TrimPrefix(cores[i].CPU, "cpu"), &cores[i]))
	}
	return times, modes, errors.Join(wrap("CPU total", errTotal), wrap("CPU cores", errCores))
}

// sumTimes counts as psutil and top do: waiting for a disk (iowait) is idle time, and time
// taken by the hypervisor (steal) is busy time. On Linux user and nice include the time of
// guests already.
func sumTimes(name string, t *cpu.TimesStat) cpuTimes {
	return cpuTimes{
		cpu:  name,
		busy: t.User + t.Nice + t.System + t.Irq + t.Softirq + t.Steal,
		idle: t.Idle + t.Iowait,
	}
}

// modeTimes leaves out the time of guests, as it is in user and nice.
func modeTimes(t *cpu.TimesStat) []modeTime {
	return []modeTime{
		{"user", t.User}, {"nice", t.Nice}, {"system", t.System},
		{"irq", t.Irq}, {"softirq", t.Softirq}, {"steal", t.Steal},
		{"iowait", t.Iowait}, {"idle", t.Idle},
	}
}

func (gopsutilProber) load(ctx context.Context) ([]gauge, error) {
	avg, err := load.AvgWithContext(ctx)
	if err != nil {
		return nil, wrap("load", err)
	}
	return []gauge{{"load1", avg.Load1}, {"load5", avg.Load5}, {"load15", avg.Load15}}, nil
}

func (gopsutilProber) memory(ctx context.Context) ([]gauge, error) {
	m, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return nil, wrap("memory", err)
	}
	gauges := []gauge{
		{"memory_used_bytes", float64(m.Used)},
		{"memory_available_bytes", float64(m.Available)},
		{"memory_total_bytes", float64(m.Total)},
	}
	if m.Cached > 0 { // not every system tells
		gauges = append(gauges, gauge{"memory_cached_bytes", float64(m.Cached)})
	}
	if runtime.GOOS == "linux" {
		return append(gauges, gauge{"swap_used_bytes", float64(m.SwapTotal - m.SwapFree)}), nil
	}
	swap, err := mem.SwapMemoryWithContext(ctx)
	if err != nil {
		return gauges, wrap("swap", err)
	}
	return append(gauges, gauge{"swap_used_bytes", float64(swap.Used)}), nil
}

// countsBusy says whether gopsutil's IoTime is the time in which a disk had work. On macOS
// it is the sum over all requests.
const countsBusy = runtime.GOOS == "linux" || runtime.GOOS == "freebsd"

func (gopsutilProber) disks(ctx context.Context) ([]ioCounters, error) {
	byName, err := disk.IOCountersWithContext(ctx)
	if err == nil && len(byName) == 0 {
		err = errNone
	}
	all := make([]ioCounters, 0, len(byName))
	for name, c := range byName {
		busy := time.Duration(c.IoTime) * time.Millisecond
		if !countsBusy {
			busy = 0
		}
		all = append(all, ioCounters{name, c.ReadBytes, c.WriteBytes, busy})
	}
	return all, wrap("disks", err)
}

func (gopsutilProber) networks(ctx context.Context) ([]ioCounters, error) {
	list, err := net.IOCountersWithContext(ctx, true)
	if err == nil && len(list) == 0 {
		err = errNone
	}
	all := make([]ioCounters, 0, len(list))
	for i := range list {
		all = append(all, ioCounters{device: list[i].Name, in: list[i].BytesRecv, out: list[i].BytesSent})
	}
	return all, wrap("networks", err)
}

// wrap names what was being read when err happened; nil stays nil.
func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
