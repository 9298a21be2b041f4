package collect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/bus"
)

// samplesOf returns the times and values of each series in batches whose metric
// name begins with prefix, in order of arrival.
func samplesOf(batches []*bus.Batch, prefix string) map[string][]bus.Sample {
	got := make(map[string][]bus.Sample)
	for _, b := range batches {
		for _, s := range b.Series {
			if strings.HasPrefix(s.Labels.Get(metricName), prefix) {
				got[s.Labels.String()] = append(got[s.Labels.String()], s.Samples...)
			}
		}
	}
	return got
}

func TestRoundsKeepTheirOwnSteadyCadence(t *testing.T) {
	for _, c := range []struct{ interval, cadence time.Duration }{
		{MinInterval, 10 * time.Second},
		{time.Second, 10 * time.Second},
		{3 * time.Second, 10 * time.Second}, // does not divide it
		{10 * time.Second, 10 * time.Second},
		{25 * time.Second, 25 * time.Second},
	} {
		t.Run(c.interval.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(1234 * time.Millisecond)
				began := time.Now()
				h := newFakeHost()
				h.processesThere = 77
				h.sensors = []temperature{{"cpu", 40.126}}
				h.mounted = []mount{{"/dev/sda1", "/", "ext4", false}, {"proc", "/proc", "proc", false}}
				var bus fakeBus
				r := start(t, h, bus.publish, c.interval)
				time.Sleep(5*c.cadence + 100*time.Millisecond)
				if err := r.stop(); err != nil {
					t.Fatal(err)
				}
				want := map[string]float64{
					`{__name__="processes", host="h"}`:                                              77,
					`{__name__="temperature_celsius", host="h", sensor="cpu"}`:                      40.13,
					`{__name__="filesystem_size_bytes", fstype="ext4", host="h", mountpoint="/"}`:   1000,
					`{__name__="filesystem_used_bytes", fstype="ext4", host="h", mountpoint="/"}`:   300,
					`{__name__="filesystem_used_percent", fstype="ext4", host="h", mountpoint="/"}`: 33.33,
				}
				got := make(map[string][]int64)
				for _, prefix := range []string{"filesystem_", "temperature_celsius", "processes"} {
					for series, samples := range samplesOf(bus.arrivals(), prefix) {
						if strings.Contains(series, "running") || strings.Contains(series, "blocked") {
							continue
						}
						for _, s := range samples {
							got[series] = append(got[series], s.T)
							if s.V != want[series] {
								t.Errorf("%s is %v, want %v", series, s.V, want[series])
							}
						}
					}
				}
				first := began.Truncate(c.cadence).Add(c.cadence).UnixMilli()
				var ticks []int64
				for i := range int64(5) {
					ticks = append(ticks, first+i*c.cadence.Milliseconds())
				}
				if len(got) != len(want) {
					t.Errorf("%d series, want %d", len(got), len(want))
				}
				for series, at := range got {
					if !slices.Equal(at, ticks) {
						t.Errorf("%s at %v, want %v", series, at, ticks)
					}
				}
				if seqs := bus.seqs(); seqs[len(seqs)-1] != 40+uint64(len(seqs)) {
					t.Errorf("%d batches end with %d", len(seqs), seqs[len(seqs)-1])
				}
			})
		})
	}
}

func TestDeadFileServerDelaysNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		h := newFakeHost()
		h.mounted = []mount{{"nas:/a", "/a", "nfs4", false}, {"/dev/sda1", "/", "ext4", false}, {"nas:/b", "/b", "nfs4", false}}
		var asked atomic.Int32
		dead := make(chan struct{}) // closed when the server answers again
		h.ask = func(_ context.Context, mountpoint string) (space, error) {
			if mountpoint != "/" {
				asked.Add(1)
				<-dead // whatever becomes of the context
			}
			return space{size: 10, used: 1, free: 9}, nil
		}
		var bus fakeBus
		r := start(t, h, bus.publish, time.Second)
		time.Sleep(2 * time.Minute)
		synctest.Wait()

		// One question to each is out, and the one warning names both.
		if asked.Load() != 2 {
			t.Errorf("the dead server was asked %d times", asked.Load())
		}
		if warn := r.lines("WARN"); len(warn) != 1 || !strings.Contains(warn[0], "/a: no answer") || !strings.Contains(warn[0], "/b: no answer") {
			t.Errorf("want one warning about /a and /b:\n%s", r.logged)
		}
		for series, samples := range samplesOf(bus.arrivals(), "load") {
			for i, s := range samples {
				if s.T != began.UnixMilli()+int64(i+1)*1000 {
					t.Fatalf("%s: sample %d at %d", series, i, s.T)
				}
			}
			if len(samples) != 120 {
				t.Errorf("%s has %d samples in two minutes", series, len(samples))
			}
		}
		used := samplesOf(bus.arrivals(), "filesystem_used_percent")
		if root := used[`{__name__="filesystem_used_percent", fstype="ext4", host="h", mountpoint="/"}`]; len(used) != 1 || len(root) != 12 {
			t.Errorf("want 12 samples of / alone, got %v", used)
		}

		close(dead)
		time.Sleep(20*time.Second + 100*time.Millisecond)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		for series, samples := range samplesOf(bus.arrivals(), "filesystem_used_percent") {
			if newest := samples[len(samples)-1]; newest.T != began.Add(140*time.Second).UnixMilli() || newest.V != 10 {
				t.Errorf("%s ends with %v", series, newest)
			}
		}
	})
}

func TestAServerThatTakesADeadOnesPlaceIsMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := make(chan struct{})
		defer close(dead)
		h := newFakeHost()
		h.mounted = []mount{{"old:/a", "/a", "nfs4", false}}
		h.ask = func(context.Context, string) (space, error) {
			if h.remounted.Load() == nil {
				<-dead
			}
			return space{size: 10, used: 1, free: 9}, nil
		}
		var bus fakeBus
		r := start(t, h, bus.publish, time.Second)
		time.Sleep(15 * time.Second) // a round hangs, and the next has not begun
		h.remounted.Store(&[]mount{{"new:/a", "/a", "nfs4", false}})
		time.Sleep(10 * time.Second)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if got := samplesOf(bus.arrivals(), "filesystem_size_bytes"); len(got) != 1 {
			t.Errorf("got %v", got)
		}
	})
}

func TestEndDoesNotWaitForADeadFileServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := make(chan struct{})
		defer close(dead)
		h := newFakeHost()
		h.processesThere = 5
		h.mounted = []mount{{"nas:/a", "/a", "nfs4", false}}
		h.ask = func(context.Context, string) (space, error) { <-dead; return space{}, nil }
		var bus fakeBus
		r := start(t, h, bus.publish, time.Second)
		time.Sleep(10*time.Second + 100*time.Millisecond) // in the middle of a round
		ended := time.Now()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(ended); took != 0 {
			t.Errorf("the end took %v", took)
		}
		if got := samplesOf(bus.arrivals(), "processes"); len(got[`{__name__="processes", host="h"}`]) != 1 {
			t.Errorf("what the round had is not published: %v", got)
		}
	})
}

func TestWhatManySystemsLackIsADebugLineAndNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus fakeBus
		r := start(t, newFakeHost(), bus.publish, time.Second)
		time.Sleep(10 * time.Minute)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		debug := r.lines("DEBUG")
		if len(debug) != 2 || len(r.lines("WARN"))+len(r.lines("INFO")) != 0 {
			t.Errorf("want one line about processes and one about sensors:\n%s", r.logged)
		}
		families, err := r.metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "stripchart_collector_probe_failures_total" {
				t.Errorf("failures were counted: %v", f)
			}
		}
	})
}

func TestFilesystemThatIsNotOursToSeeIsLeftOutInSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newFakeHost()
		h.mounted = []mount{{"u@h:/x", "/secret", "fuse.sshfs", false}, {"/dev/sdb", "/gone", "ext4", false}, {"/dev/sda", "/empty", "ext4", false}, {"/dev/sdc", "/broken", "ext4", false}}
		h.ask = func(_ context.Context, mountpoint string) (space, error) {
			switch mountpoint {
			case "/secret":
				return space{}, fs.ErrPermission
			case "/gone":
				return space{}, fs.ErrNotExist
			case "/broken":
				return space{}, errors.New("input/output error")
			}
			return space{}, nil
		}
		var bus fakeBus
		r := start(t, h, bus.publish, time.Second)
		time.Sleep(time.Minute)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if got := samplesOf(bus.arrivals(), "filesystem_"); len(got) != 0 {
			t.Errorf("got %v", got)
		}
		if warn := r.lines("WARN"); len(warn) != 1 || !strings.Contains(warn[0], `"/broken: input/output error"`) {
			t.Errorf("want one warning about /broken alone:\n%s", r.logged)
		}
	})
}

func TestTheNumberOfSeriesIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newFakeHost()
		for i := range 1000 {
			h.mounted = append(h.mounted, mount{fmt.Sprintf("/dev/sd%d", i), fmt.Sprintf("/mnt/%d", i), "xfs", false})
			h.sensors = append(h.sensors, temperature{"core", 50})
		}
		var bus fakeBus
		r := start(t, h, bus.publish, time.Second)
		time.Sleep(time.Minute)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if n := len(samplesOf(bus.arrivals(), "filesystem_used_bytes")); n != maxFilesystems {
			t.Errorf("%d filesystems, want %d", n, maxFilesystems)
		}
		if n := len(samplesOf(bus.arrivals(), "temperature_celsius")); n != maxSensors {
			t.Errorf("%d sensors, want %d", n, maxSensors)
		}
		if warn := r.lines("WARN"); len(warn) != 2 {
			t.Errorf("want a line about each, once:\n%s", r.logged)
		}
	})
}

func TestSensorsHaveNamesOfTheirOwn(t *testing.T) {
	s := &slowSampler{host: "h"}
	got, emit := emitted(t, "sensor")
	s.emitTemperatures([]temperature{{"nvme", 31}, {"nvme_2", 32}, {"nvme", 33}, {"cold", -40}, {"open", -128}, {"open", 6553.5}}, emit)
	want := map[string]float64{
		"temperature_celsius nvme": 31, "temperature_celsius nvme_2": 32, "temperature_celsius nvme_3": 33, "temperature_celsius cold": -40,
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
