package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/bus/redisbus"
	"stripchart/internal/bus/redisbus/redistest"
	"stripchart/internal/testkit"
	"stripchart/internal/wire"
)

// Servers and collectors as processes of their own, with a real Redis between
// them. The log in Redis is what the collectors had acknowledged.

// measured is what the tests look at: every collector has it, at every tick.
const measured = `cpu_usage_percent{cpu="total"}`

func startServer(t *testing.T, dir, busURL string, args ...string) *process {
	t.Helper()
	p := start(t, "program", append([]string{"serve", "--bus", busURL, "--data-dir", dir, "--listen", "127.0.0.1:0"}, args...)...)
	if p.url == "" {
		t.Fatalf("the server did not start:\n%s", p.log)
	}
	return p
}

func startCollector(t *testing.T, dir, busURL string) *process {
	t.Helper()
	return start(t, "program", "collect", "--bus", busURL, "--data-dir", dir, "--interval", "50ms")
}

// untilMeasured waits until a collector that cannot send has put several measurements into
// its spool; one that was taken before may be among them.
func untilMeasured(t *testing.T, dir string) {
	t.Helper()
	size := func() (n int64) {
		_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, _ error) error {
			if e == nil {
				return nil // it was removed meanwhile
			}
			if i, err := e.Info(); err == nil && i.Mode().IsRegular() {
				n += i.Size()
			}
			return nil
		})
		return n
	}
	for range 10 {
		before := size()
		testkit.Eventually(t, "the spool grows", func() bool { return size() > before })
	}
}

func (p *process) untilReady() {
	p.t.Helper()
	for end := time.Now().Add(testkit.Patience); ; time.Sleep(5 * time.Millisecond) {
		code, body := get(p.t, p.url+"/readyz")
		if code == 200 {
			return
		}
		if code != 503 || time.Now().After(end) {
			p.t.Fatalf("/readyz: %d %s\n%s", code, body, p.log)
		}
	}
}

func (p *process) kill9() {
	p.t.Helper()
	_ = p.cmd.Process.Kill()
	p.end()
}

func (p *process) stop() {
	p.t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if code := p.end(); code != exitOK {
		p.t.Errorf("exit code %d after SIGTERM:\n%s", code, p.log)
	}
}

// samples are the values of measured by time.
type samples map[int64]float64

// history returns what a server's history has of measured. Its first answers may
// come before the first sample.
func (p *process) history() samples {
	p.t.Helper()
	return p.historyOf(measured)
}

// historyOf is history for a query that one series answers, or none.
func (p *process) historyOf(query string) samples {
	p.t.Helper()
	var h wire.HistoryAnswer
	now, points := time.Now().UnixMilli(), 20_000
	c := dial(p.t, p.url)
	defer c.Close()
	c.ask(wire.EventHistory, wire.History{Query: query, From: now - 600_000, To: now + 60_000, Points: &points}, &h)
	if !h.OK {
		p.t.Fatal("the history was refused")
	}
	out := samples{}
	for _, b := range h.Blocks {
		for k, x := range b.X {
			if _, twice := out[x]; twice {
				p.t.Errorf("the sample at %d is there twice", x)
			}
			out[x] = b.Y[0][k]
		}
	}
	return out
}

// between counts samples.
func (s samples) between(from, to int64) (n int) {
	for at := range s {
		if at >= from && at <= to {
			n++
		}
	}
	return n
}

// mustHold fails unless s has all of want, with these values.
func (s samples) mustHold(t *testing.T, who string, want samples) {
	t.Helper()
	lacks := 0
	for at, v := range want {
		if got, ok := s[at]; !ok || got != v {
			lacks++
		}
	}
	if lacks > 0 {
		t.Errorf("%s lacks %d of %d samples, or has other values", who, lacks, len(want))
	}
}

// logged is what the log in Redis has: samples, and numbers of batches by source.
type logged struct {
	samples samples
	seqs    map[string][]uint64 // also of those that went into a later entry
}

// readLog reads the log up to its present end.
func readLog(t *testing.T, url string) logged {
	t.Helper()
	b, err := redisbus.Open(t.Context(), redisbus.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	end, err := b.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := logged{samples{}, map[string][]uint64{}}
	errEnd := errors.New("end")
	err = b.Tail(t.Context(), bus.Position{}, func(d bus.Delivery) error {
		for seq := d.Batch.First(); seq <= d.Batch.Seq; seq++ {
			out.seqs[d.Batch.Source] = append(out.seqs[d.Batch.Source], seq)
		}
		for _, s := range d.Batch.Series {
			if s.Labels.Get("__name__") == "cpu_usage_percent" && s.Labels.Get("cpu") == "total" {
				for _, x := range s.Samples {
					out.samples[x.T] = x.V
				}
			}
		}
		d.Done(nil)
		if d.Position.Compare(end.Offset) >= 0 {
			return errEnd
		}
		return nil
	})
	if !errors.Is(err, errEnd) {
		t.Fatalf("read the log: %v", err)
	}
	return out
}

// mustNotHaveLost fails if a server knows of a batch that never came.
func (p *process) mustNotHaveLost() {
	p.t.Helper()
	_, figures := get(p.t, p.url+"/metrics")
	for line := range strings.Lines(figures) {
		if (strings.HasPrefix(line, "stripchart_gaps_total") || strings.HasPrefix(line, "stripchart_batches_missing_total")) &&
			!strings.HasSuffix(line, " 0\n") {
			p.t.Errorf("%s", line)
		}
	}
}

func TestServersShowTheSameAndCatchUpBeforeTheyAreReady(t *testing.T) {
	redis := redistest.Start(t, redistest.Options{})
	dirs := [2]string{t.TempDir(), t.TempDir()}
	servers := [2]*process{startServer(t, dirs[0], redis.URL), startServer(t, dirs[1], redis.URL)}
	collector := startCollector(t, t.TempDir(), redis.URL)
	for _, s := range servers {
		testkit.Eventually(t, "ten samples", func() bool { return len(s.history()) >= 10 })
	}

	servers[0].kill9()
	servers[1].stop()
	away := time.Now().UnixMilli()
	testkit.Eventually(t, "ten samples while no server is there", func() bool {
		return readLog(t, redis.URL).samples.between(away, 1<<62) >= 10
	})
	for n, dir := range dirs {
		before := readLog(t, redis.URL)
		servers[n] = startServer(t, dir, redis.URL)
		servers[n].untilReady()
		servers[n].history().mustHold(t, "a server that says that it is ready", before.samples)
	}

	collector.stop()
	end := readLog(t, redis.URL)
	for _, s := range servers {
		testkit.Eventually(t, "the last sample", func() bool { return len(s.history()) >= len(end.samples) })
		if got := s.history(); !maps.Equal(got, end.samples) {
			t.Errorf("a server has %d samples, the log %d, or others", len(got), len(end.samples))
		}
		s.mustNotHaveLost()
		s.stop()
	}
}

// spoolOf returns the name of the source whose spool is in a data directory.
func spoolOf(t *testing.T, dir string) (source string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "spool", "source.json"))
	if err != nil {
		t.Fatal(err)
	}
	var state struct{ Source string }
	if err := json.Unmarshal(b, &state); err != nil {
		t.Fatal(err)
	}
	return state.Source
}

func TestACollectorKilledWhileRedisIsAwaySendsItsSpool(t *testing.T) {
	redis := redistest.Start(t, redistest.Options{Persist: true})
	server := startServer(t, t.TempDir(), redis.URL)
	dir := t.TempDir()
	collector := startCollector(t, dir, redis.URL)
	testkit.Eventually(t, "ten samples", func() bool { return len(server.history()) >= 10 })

	redis.Kill9()
	away := time.Now().UnixMilli()
	untilMeasured(t, dir)
	collector.kill9()
	killed := time.Now().UnixMilli()
	source := spoolOf(t, dir)
	redis.Restart(t, true)
	collector = startCollector(t, dir, redis.URL)
	if spoolOf(t, dir) != source {
		t.Errorf("the collector's source was %s and is %s", source, spoolOf(t, dir))
	}
	testkit.Eventually(t, "samples of the collector's second life", func() bool { return server.history().between(killed, 1<<62) >= 5 })
	collector.stop()

	end := readLog(t, redis.URL)
	testkit.Eventually(t, "the last sample", func() bool { return len(server.history()) >= len(end.samples) })
	server.history().mustHold(t, "the server", end.samples)
	if n := end.samples.between(away, killed); n < 5 {
		t.Errorf("%d samples of the time in which Redis was away", n)
	}
	seqs := slices.Compact(slices.Sorted(slices.Values(end.seqs[source])))
	if len(end.seqs) != 1 || len(seqs) == 0 || seqs[0] != 1 || seqs[len(seqs)-1] != uint64(len(seqs)) {
		t.Errorf("the log has not all of one source's numbers: %v", end.seqs)
	}
	server.mustNotHaveLost()
}

func TestARedisRestartedWithoutItsDataCostsNothing(t *testing.T) {
	redis := redistest.Start(t, redistest.Options{})
	servers := [2]*process{startServer(t, t.TempDir(), redis.URL), startServer(t, t.TempDir(), redis.URL)}
	collector := startCollector(t, t.TempDir(), redis.URL)
	for _, s := range servers {
		testkit.Eventually(t, "ten samples", func() bool { return len(s.history()) >= 10 })
	}
	before := readLog(t, redis.URL)
	redis.Restart(t, false)
	restarted := time.Now().UnixMilli()
	for _, s := range servers {
		testkit.Eventually(t, "samples after the restart", func() bool { return s.history().between(restarted, 1<<62) >= 5 })
	}
	collector.stop()
	after := readLog(t, redis.URL)
	for _, s := range servers {
		testkit.Eventually(t, "the last samples", func() bool { return s.history().between(restarted, 1<<62) >= after.samples.between(restarted, 1<<62) })
		s.history().mustHold(t, "a server", before.samples)
		s.history().mustHold(t, "a server", after.samples)
		s.mustNotHaveLost()
		if n := metric(t, s, "stripchart_log_epochs_total"); n != 1 {
			t.Errorf("the log was found to be lost %v times", n)
		}
	}
	if !maps.Equal(servers[0].history(), servers[1].history()) {
		t.Error("the servers differ")
	}
}

func TestACollectorPushesToAServerThatRestarts(t *testing.T) {
	dir := t.TempDir()
	server := startServer(t, dir, "memory")
	spool := t.TempDir()
	collector := startCollector(t, spool, server.url)
	testkit.Eventually(t, "ten samples", func() bool { return len(server.history()) >= 10 })
	before := server.history()
	server.kill9()
	away := time.Now().UnixMilli()
	untilMeasured(t, spool)
	back := time.Now().UnixMilli()
	server = startServer(t, dir, "memory", "--listen", strings.TrimPrefix(server.url, "http://"))
	testkit.Eventually(t, "samples after the restart", func() bool { return server.history().between(back, 1<<62) >= 5 })
	collector.stop()
	after := server.history()
	after.mustHold(t, "the server", before)
	if n := after.between(away, back); n < 5 {
		t.Errorf("%d samples of the time in which the server was away", n)
	}
	server.mustNotHaveLost()
}

func TestASecondCollectorOnOneSpoolIsRefused(t *testing.T) {
	dir := t.TempDir()
	const nobody = "redis://127.0.0.1:1"
	first := startCollector(t, dir, nobody)
	second := startCollector(t, dir, nobody)
	if code := second.end(); code != exitError {
		t.Errorf("exit code %d", code)
	}
	if out := second.log.String(); !strings.Contains(out, "in use") || !strings.Contains(out, dir) {
		t.Errorf("the second says:\n%s", out)
	}
	first.stop()
}

// Redis 5.0 and 6.0 themselves cannot be had where the tests run; redistest answers as they do.
func TestAnOldRedisEndsWhatIsStartedWithIt(t *testing.T) {
	for _, version := range []string{"5.0.14", "6.0.20"} {
		url, _ := redistest.Old(t, "127.0.0.1:0", version)
		for _, args := range []string{"serve --listen 127.0.0.1:0", "collect", "--listen 127.0.0.1:0"} {
			p := start(t, "program", append(strings.Fields(args), "--bus", url, "--data-dir", t.TempDir())...)
			if code := p.end(); code != exitError {
				t.Errorf("%s: exit code %d", args, code)
			}
			if says := "this is Redis " + version + "; upgrade it to 6.2 or newer"; strings.Count(p.log.String(), says) != 1 {
				t.Errorf("%s: not said once: %q\n%s", args, says, p.log)
			}
		}
	}
}

// A collector and a server that were at work go on when the address leads to a server
// that is too old, and have everything when it is right again.
func TestARedisThatTurnsOldCostsNothing(t *testing.T) {
	redis := redistest.Start(t, redistest.Options{Persist: true})
	server := startServer(t, t.TempDir(), redis.URL)
	spool := t.TempDir()
	collector := startCollector(t, spool, redis.URL)
	testkit.Eventually(t, "ten samples", func() bool { return len(server.history()) >= 10 })
	redis.Kill9()
	_, stop := redistest.Old(t, redis.Addr, "6.0.20")
	away := time.Now().UnixMilli()
	for _, p := range []*process{server, collector} {
		testkit.Eventually(t, "it is said", func() bool { return strings.Contains(p.log.String(), "this is Redis 6.0.20; upgrade it") })
	}
	untilMeasured(t, spool)
	back := time.Now().UnixMilli()
	stop()
	redis.Restart(t, true)
	testkit.Eventually(t, "samples afterwards", func() bool { return server.history().between(back, 1<<62) >= 5 })
	collector.stop()
	end := readLog(t, redis.URL)
	testkit.Eventually(t, "the last sample", func() bool { return len(server.history()) >= len(end.samples) })
	server.history().mustHold(t, "the server", end.samples)
	if n := end.samples.between(away, back); n < 5 {
		t.Errorf("%d samples of the time in which Redis was old", n)
	}
	server.mustNotHaveLost()
}

func TestWhatMeansNothingToACommandIsRefused(t *testing.T) {
	const somewhere = "redis://127.0.0.1:1"
	for _, c := range []struct {
		args string
		says []string
	}{
		{"collect --bus " + somewhere + " --listen 127.0.0.1:0", []string{"--listen", "stripchart collect"}},
		{"collect --bus " + somewhere + " --max-connections 9", []string{"--max-connections", "stripchart collect"}},
		{"serve --bus " + somewhere + " --interval 1s", []string{"--interval", "stripchart serve"}},
		{"serve --bus " + somewhere + " --spool 9M", []string{"--spool", "stripchart serve"}},
		{"serve --bus http://127.0.0.1:1", []string{"--bus", "stripchart collect", "redis://"}},
		{"--bus http://127.0.0.1:1", []string{"--bus", "stripchart collect", "redis://"}},
		{"collect", []string{"--bus", "redis://", "http://"}},
		{"collect --bus localhost", []string{"--bus", "redis://"}},
		{"collect --bus ftp://user:secret@host", []string{"--bus"}},
		{"collect --bus redis://user:secret@host/x", []string{"--bus", "database number"}},
		{"serve --bus redis://user:%zzsecret@host", []string{"--bus"}},
		{"collect --bus http://user:secret@host/?x", []string{"--bus", "?"}},
		{"collect --bus https://user:%zzsecret@host/", []string{"--bus", "http(s)://"}},
		{"serve redis://user:secret@host", []string{"unexpected argument"}},
		{"serve --bus " + somewhere + " --bus-retention 25h", []string{"--bus-retention", "24h"}},
		{"serve --bus " + somewhere + " --bus-bytes 1k", []string{"--bus-bytes", "1M"}},
		{"collect --bus " + somewhere + " --spool 2G", []string{"--spool", "1M"}},
	} {
		var out, errs bytes.Buffer
		args := append(strings.Fields(c.args), "--data-dir", filepath.Join(t.TempDir(), "data"))
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // what is not refused ends at once
		if code := run(ctx, args, nil, &out, &errs); code != exitUsage {
			t.Errorf("%s: exit code %d, want %d", c.args, code, exitUsage)
		}
		for _, s := range c.says {
			if !strings.Contains(errs.String(), s) {
				t.Errorf("%s: nothing is said of %q: %s", c.args, s, &errs)
			}
		}
		if said := fmt.Sprint(&out, &errs); strings.Contains(said, "secret") {
			t.Errorf("%s: the password is repeated: %s", c.args, said)
		}
	}
}
