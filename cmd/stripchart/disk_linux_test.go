package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"stripchart/internal/bus/redisbus/redistest"
	"stripchart/internal/testkit"
	"stripchart/internal/wire"
)

// needsRoot reports whether this user may mount and rename, and says so if not.
func needsRoot(t *testing.T) bool {
	if os.Geteuid() == 0 {
		return true
	}
	t.Log("not root: nothing can be mounted or renamed, so nothing is tested here")
	return false
}

// A host whose disk is full is looked at just then.
func TestACollectorOnAFullDiskIsSeenLive(t *testing.T) {
	if !needsRoot(t) {
		return
	}
	for name, open := range map[string]func(t *testing.T) (server *process, bus string){
		"over Redis": func(t *testing.T) (*process, string) {
			redis := redistest.Start(t, redistest.Options{})
			return startServer(t, t.TempDir(), redis.URL), redis.URL
		},
		"over HTTP": func(t *testing.T) (*process, string) {
			server := startServer(t, t.TempDir(), "memory")
			return server, server.url
		},
	} {
		t.Run(name, func(t *testing.T) {
			server, bus := open(t)
			dir := t.TempDir()
			if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := syscall.Unmount(dir, 0); err != nil {
					t.Error(err)
				}
			})
			seen := func(when string, since time.Time, n int) {
				t.Helper()
				testkit.Eventually(t, when, func() bool { return server.history().between(since.UnixMilli(), 1<<62) >= n })
			}
			collector := startCollector(t, dir, bus)
			seen("samples", time.Now(), 10)

			fill(t, filepath.Join(dir, "filler"))
			testkit.Eventually(t, "the disk is full", func() bool { return strings.Contains(collector.log.String(), "Make room") })
			seen("samples while the disk is full", time.Now(), 20)
			collector.kill9()
			source := spoolOf(t, dir)
			collector = startCollector(t, dir, bus)
			seen("samples of a collector that was killed, and started on a full disk", time.Now(), 20)
			if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
				t.Fatal(err)
			}
			seen("samples after there was room", time.Now(), 10)
			collector.kill9()
			collector = startCollector(t, dir, bus)
			seen("samples of its third life", time.Now(), 10)
			collector.stop()
			if now := spoolOf(t, dir); now != source {
				t.Errorf("the source was %s and is %s", source, now)
			}
			// Of each kill, what was on its way may be missing, and nothing else.
			if n := metric(t, server, "stripchart_batches_missing_total"); n > 4 {
				t.Errorf("%v batches are missing", n)
			}
			if n := strings.Count(collector.log.String(), "level=ERROR"); n > 0 {
				t.Errorf("with room, it says:\n%s", collector.log)
			}
		})
	}
}

// A disk that is full to the last byte is no reason not to start: pages are live.
func TestAServerOnAFullDiskStartsAndIsLive(t *testing.T) {
	if !needsRoot(t) {
		return
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	args := []string{"--data-dir", filepath.Join(dir, "data"), "--listen", "127.0.0.1:0", "--interval", "50ms"}
	p := start(t, "program", args...)
	fill(t, filepath.Join(dir, "filler"))
	live := func(when string) {
		t.Helper()
		viewer := dial(t, p.url)
		var a wire.Subscribed
		if viewer.ask(wire.EventSubscribe, wire.Subscribe{Query: "load1"}, &a); !a.OK {
			t.Fatalf("%s: %+v", when, a)
		}
		for range 3 {
			viewer.next(wire.EventUpdate)
		}
		if _, text := get(t, p.url+"/readyz"); text != "ok\n" {
			t.Errorf("%s: %s", when, text)
		}
	}
	live("while the disk fills")
	p.kill9()
	p = start(t, "program", args...)
	live("after kill -9")
	p.stop()
	p = start(t, "program", args...)
	live("after a stop")
	p.kill9()
	p = start(t, "program", args...)
	live("after kill -9 of one that began on the full disk")
	p.stop()
	if l := p.log.String(); strings.Contains(l, "writable") || !strings.Contains(l, "make room") {
		t.Errorf("it says:\n%s", l)
	}
}

// fill writes a file until there is no room.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 32<<10))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// Another name of the host makes another source of its spool, and nothing else.
func TestAHostThatIsRenamedLosesNothing(t *testing.T) {
	if !needsRoot(t) {
		return
	}
	redis := redistest.Start(t, redistest.Options{})
	server := startServer(t, t.TempDir(), redis.URL)
	dir := t.TempDir()
	collector := startCollector(t, dir, redis.URL)
	testkit.Eventually(t, "samples", func() bool { return len(server.history()) >= 20 })
	collector.kill9() // with what it had not sent
	before := spoolOf(t, dir)
	renamed := startCommand(t, "program", exec.Command("unshare", "--uts", "sh", "-c", `echo web2 >/proc/sys/kernel/hostname && exec "$@"`, "sh",
		os.Args[0], "collect", "--bus", redis.URL, "--data-dir", dir, "--interval", "50ms"))
	at := time.Now().UnixMilli()
	testkit.Eventually(t, "samples of the renamed host", func() bool { return server.history().between(at, 1<<62) >= 20 })
	renamed.stop()
	if now := spoolOf(t, dir); now == before || !strings.Contains(now, "web2") {
		t.Errorf("the source was %s and is %s", before, now)
	}
	if !strings.Contains(renamed.log.String(), "new name") {
		t.Errorf("it says:\n%s", renamed.log)
	}
	log := readLog(t, redis.URL)
	testkit.Eventually(t, "the last sample", func() bool { return len(server.history()) >= len(log.samples) })
	server.history().mustHold(t, "the server", log.samples)
	server.mustNotHaveLost()
}

// A host may be called anything. Its name becomes part of the source's, which travels
// in a header and in a file.
func TestAHostOfAnyNameIsSeen(t *testing.T) {
	if !needsRoot(t) {
		return
	}
	redis := redistest.Start(t, redistest.Options{})
	servers := map[string]*process{
		redis.URL: startServer(t, t.TempDir(), redis.URL),
	}
	pushed := start(t, "program", "serve", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0")
	servers[pushed.url] = pushed
	for _, server := range servers {
		server.untilReady()
	}
	for host, label := range map[string]string{`büro`: "büro", `a b`: "a b", `bad\377\376`: "bad_", `"q"{}`: `"q"{}`} {
		collectors := map[string]*process{}
		for url := range servers {
			collectors[url] = startCommand(t, "program", exec.Command("unshare", "--uts", "sh", "-c", `printf "$1" >/proc/sys/kernel/hostname; shift; exec "$@"`, "sh", host,
				os.Args[0], "collect", "--bus", url, "--data-dir", t.TempDir(), "--interval", "50ms"))
		}
		for url, server := range servers {
			c := collectors[url]
			testkit.Eventually(t, "samples of the host "+host+" by "+url, func() bool {
				return len(server.historyOf("load1{host="+strconv.Quote(label)+"}")) >= 3
			})
			c.stop()
			if strings.Contains(c.log.String(), "ERROR") {
				t.Errorf("%s by %s: %s", host, url, c.log)
			}
		}
	}
}
