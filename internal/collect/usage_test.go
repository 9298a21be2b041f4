package collect

import (
	"maps"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
)

// emitted collects what a measurement emits, by the value of one label.
func emitted(t *testing.T, label string) (map[string]float64, func(labels.Labels, float64)) {
	t.Helper()
	got := make(map[string]float64)
	return got, func(l labels.Labels, v float64) {
		key := l.Get(metricName) + " " + l.Get(label)
		if _, twice := got[key]; twice {
			t.Errorf("%s was emitted twice", key)
		}
		got[key] = v
	}
}

func TestCPUUsageOverTheIntervalBetweenTwoReadings(t *testing.T) {
	for _, c := range []struct {
		name      string
		was, now  []cpuTimes
		wantUsage map[string]float64
	}{
		{"first reading", nil, []cpuTimes{{"total", 1, 1}}, nil},
		{"share of the interval, 2 decimals",
			[]cpuTimes{{"total", 10, 100}, {"0", 0, 0}},
			[]cpuTimes{{"total", 11, 102}, {"0", 1, 0}},
			map[string]float64{"total": 33.33, "0": 100}},
		{"no time has passed", []cpuTimes{{"0", 5, 5}}, []cpuTimes{{"0", 5, 5}}, nil},
		{"idle time taken back is no reset", []cpuTimes{{"0", 5, 50.02}}, []cpuTimes{{"0", 6, 50}}, map[string]float64{"0": 100}},
		{"counters reset", []cpuTimes{{"0", 50, 500}}, []cpuTimes{{"0", 1, 1}}, nil},
		{"a core went off, another came", []cpuTimes{{"0", 0, 0}, {"1", 0, 0}}, []cpuTimes{{"0", 1, 1}, {"2", 3, 3}}, map[string]float64{"0": 50}},
		{"listed twice", []cpuTimes{{"0", 0, 0}}, []cpuTimes{{"0", 1, 3}, {"0", 1, 3}}, map[string]float64{"0": 25}},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := newUsage("h")
			if c.was != nil {
				u.measure(c.was, func(l labels.Labels, v float64) { t.Errorf("first reading emitted %v = %v", l, v) })
			}
			got, emit := emitted(t, "cpu")
			u.measure(c.now, emit)
			want := make(map[string]float64)
			for cpu, v := range c.wantUsage {
				want["cpu_usage_percent "+cpu] = v
			}
			if !maps.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestCoreThatComesBackHasNoUsageAcrossItsAbsence(t *testing.T) {
	u := newUsage("h")
	none := func(l labels.Labels, v float64) { t.Errorf("emitted %v = %v", l, v) }
	u.measure([]cpuTimes{{"1", 1, 1}}, none)
	u.measure(nil, none)
	u.measure([]cpuTimes{{"1", 9, 9}}, none)
	if u.cores["1"] == nil || len(u.cores) != 1 {
		t.Errorf("cores: %v", u.cores)
	}
}

func TestByteRatesOverTheTimeThatPassed(t *testing.T) {
	second := []ioCounters{{"eth0", 1000, 2000, 0}}
	for _, c := range []struct {
		name     string
		elapsed  time.Duration
		was, now []ioCounters
		want     map[string]float64
	}{
		{"first reading", time.Second, nil, second, nil},
		{"one second", time.Second, []ioCounters{{"eth0", 400, 1999, 0}}, second, map[string]float64{"in eth0": 600, "out eth0": 1}},
		{"rounded to integers", 3 * time.Second, []ioCounters{{"eth0", 0, 1999, 0}}, second, map[string]float64{"in eth0": 333, "out eth0": 0}},
		{"50 ms", 50 * time.Millisecond, []ioCounters{{"eth0", 900, 1900, 0}}, second, map[string]float64{"in eth0": 2000, "out eth0": 2000}},
		{"idle", time.Second, second, second, map[string]float64{"in eth0": 0, "out eth0": 0}},
		{"one counter went back", time.Second, []ioCounters{{"eth0", 1001, 0, 0}}, second, nil},
		{"device is gone", time.Second, second, nil, nil},
		{"device is new", time.Second, []ioCounters{{"eth1", 1, 1, 0}}, second, nil},
		{"never moved a byte", time.Second, []ioCounters{{"eth0", 0, 0, 0}}, []ioCounters{{"eth0", 0, 0, 0}}, nil},
		{"its first bytes", time.Second, []ioCounters{{"eth0", 0, 0, 0}}, []ioCounters{{"eth0", 7, 0, 0}}, map[string]float64{"in eth0": 7, "out eth0": 0}},
		{"listed twice", time.Second, second, []ioCounters{second[0], second[0]}, map[string]float64{"in eth0": 0, "out eth0": 0}},
		{"not wanted", time.Second, []ioCounters{{"veth0", 0, 0, 0}}, []ioCounters{{"veth0", 9, 9, 0}}, nil},
		{"no time has passed", 0, []ioCounters{{"eth0", 0, 0, 0}}, second, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newThroughput("h", keepNetworks(nil), "in", "out", "")
			began := time.Now()
			if c.was != nil {
				r.measure(began, c.was, func(l labels.Labels, v float64) { t.Errorf("first reading emitted %v = %v", l, v) })
			}
			got, emit := emitted(t, "device")
			r.measure(began.Add(c.elapsed), c.now, emit)
			if !maps.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if len(r.devices) > len(c.now) {
				t.Errorf("remembers %d devices, %d are there", len(r.devices), len(c.now))
			}
		})
	}
}

func TestLabelValuesAreValid(t *testing.T) {
	r := newThroughput("h", keepNetworks(nil), "in", "out", "")
	name := "e\xff0"
	r.measure(time.Unix(1, 0), []ioCounters{{name, 1, 1, 0}}, nil)
	r.measure(time.Unix(2, 0), []ioCounters{{name, 2, 2, 0}}, func(l labels.Labels, _ float64) {
		if got := l.Get("device"); got != "e_0" {
			t.Errorf("device = %q", got)
		}
	})
}

func TestWholeDisksAndRealInterfacesByDefault(t *testing.T) {
	reading := func(names ...string) (all []ioCounters) {
		for _, n := range names {
			all = append(all, ioCounters{device: n})
		}
		return all
	}
	any := regexp.MustCompile(`^(sda1|dm-0|lo)$`)
	for _, c := range []struct {
		name      string
		keep      keep
		all, want []string
	}{
		{"SATA", keepDisks(nil), []string{"sda", "sda1", "sda12", "sdb", "sr0"}, []string{"sda", "sdb"}},
		{"NVMe", keepDisks(nil), []string{"nvme0n1", "nvme0n1p1", "nvme0n1p12", "nvme0c0n1", "nvme10n1"}, []string{"nvme0n1", "nvme10n1"}},
		{"cards", keepDisks(nil), []string{"mmcblk0", "mmcblk0p1"}, []string{"mmcblk0"}},
		{"virtual machine", keepDisks(nil), []string{"vda", "vda1", "vdb"}, []string{"vda", "vdb"}},
		{"a cloud's whole disk that is named as a partition", keepDisks(nil), []string{"xvda1", "xvdb"}, []string{"xvda1", "xvdb"}},
		{"stacked", keepDisks(nil), []string{"sda", "dm-0", "dm-11", "md0", "md127", "md_d0", "loop7", "ram0", "zram0", "bcache0", "drbd1"}, []string{"sda"}},
		{"macOS, Windows", keepDisks(nil), []string{"disk0", "C:"}, []string{"disk0", "C:"}},
		{"chosen disks", keepDisks(any), []string{"sda", "sda1", "dm-0"}, []string{"sda1", "dm-0"}},
		{"interfaces", keepNetworks(nil),
			[]string{"lo", "eth0", "enp3s0", "wlan0", "wlp2s0", "bond0", "br0", "eth0.100", "tun0", "wg0", "en0", "Ethernet", "Local Area Connection", "lowpan0"},
			[]string{"eth0", "enp3s0", "wlan0", "wlp2s0", "bond0", "br0", "eth0.100", "tun0", "wg0", "en0", "Ethernet", "Local Area Connection", "lowpan0"}},
		{"virtual interfaces", keepNetworks(nil),
			[]string{"lo0", "veth12ab", "docker0", "docker_gwbridge", "br-0a1b", "virbr0", "vnet3", "cni0", "cali123", "flannel.1", "ifb0", "dummy0", "tunl0", "ip6tnl0", "kube-ipvs0", "Loopback Pseudo-Interface 1"}, nil},
		{"chosen interfaces", keepNetworks(any), []string{"lo", "eth0"}, []string{"lo"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := reading(c.all...)
			kept := make(map[string]bool)
			for _, d := range all {
				kept[d.device] = c.keep(d.device, all)
			}
			want := make(map[string]bool)
			for _, n := range c.all {
				want[n] = false
			}
			for _, n := range c.want {
				want[n] = true
			}
			if !maps.Equal(kept, want) {
				t.Errorf("got %v\nwant %v", kept, want)
			}
		})
	}
}

// What every endpoint refuses must not be measured: over HTTP it would be left out.
func TestLabelsAreWhatEveryEndpointTakes(t *testing.T) {
	var b bus.Batch
	emit := appendTo(&b, 1)
	emit(labels.FromStrings(metricName, "m", "fstype", valid(""), "mountpoint", valid(strings.Repeat("é", 2000))), 1)
	emit(labels.FromStrings(metricName, "m", "mountpoint", valid(strings.Repeat("x", 4095))), 1)
	rule := bus.NewLabelBuilder(bus.EndpointLabels())
	for _, s := range b.Series {
		rule.Reset()
		s.Labels.Range(func(l labels.Label) { rule.Add([]byte(l.Name), []byte(l.Value)) })
		if l, err := rule.Labels(); err != nil || !labels.Equal(l, s.Labels) {
			t.Errorf("%.60v: %v", s.Labels, err)
		}
	}
}
