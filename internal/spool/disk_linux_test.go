package spool

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"stripchart/internal/bus"
	"stripchart/internal/testkit"
)

// limitFiles makes every write beyond size bytes of a file fail, by half where
// the limit lies within it, as a full disk does.
func limitFiles(t *testing.T, size uint64) (lift func()) {
	t.Helper()
	signal.Ignore(unix.SIGXFSZ)
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	set := func(cur uint64) {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: cur, Max: before.Max}); err != nil {
			t.Fatal(err)
		}
	}
	lift = func() { set(before.Cur) }
	t.Cleanup(lift)
	set(size)
	return lift
}

// disk is a small file system in memory that can be full.
type disk struct{ dir string }

// smallDisk returns nil, and says so, where this user may not mount.
func smallDisk(t *testing.T, size string) *disk {
	t.Helper()
	if os.Geteuid() != 0 {
		// TestWhateverHappensEveryBatchArrivesOrIsMissing has a limit that everybody may set.
		t.Log("not root: a small file system cannot be mounted, only the limit of files is tested")
		return nil
	}
	d := &disk{t.TempDir()}
	if err := unix.Mount("tmpfs", d.dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatalf("mount a small tmpfs: %v; run as a user who may mount, or not as root", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(d.dir, 0); err != nil {
			t.Error(err)
		}
	})
	return d
}

func (d *disk) spool() string { return filepath.Join(d.dir, "spool") }

// fill takes what room there is.
func (d *disk) fill(t *testing.T) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(d.dir, "filler"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, pageSize))
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
}

// free gives it back.
func (d *disk) free(t *testing.T) {
	t.Helper()
	if err := os.Remove(filepath.Join(d.dir, "filler")); err != nil {
		t.Fatal(err)
	}
}

// hold appends the next n batches, of which the disk is to take none.
func hold(t *testing.T, s *Spool, n int) {
	t.Helper()
	for range n {
		seq := s.NextSeq()
		if err := s.Append(t.Context(), batch(seq, float64(seq), 5000)); !errors.Is(err, ErrHeld) {
			t.Fatalf("batch %d: %v", seq, err)
		}
	}
}

// The promise for a full disk: live streaming goes on.
func TestAFullDiskDoesNotStopTheStream(t *testing.T) {
	d := smallDisk(t, "4m")
	if d == nil {
		return
	}
	var logged testkit.Log
	o := options(d.spool())
	o.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	registry := prometheus.NewRegistry()
	o.Registerer = registry
	s := open(t, o)
	v := newServer()
	stop := run(t, s, v.publish)
	put(t, s, 5, 5000)
	for round := range 3 {
		d.fill(t)
		for range 50 {
			hold(t, s, 1)
			caught(t, s)
		}
		v.check(t, 1, int(s.NextSeq()-1))
		if since := figure(t, registry, "stripchart_spool_held_since_seconds"); since < float64(base/1000) || since > float64(time.Now().Unix()+1) {
			t.Errorf("held since %v", since)
		}
		d.free(t)
		put(t, s, 20, 5000)
		caught(t, s)
		v.check(t, 1, 5+(round+1)*70)
	}
	// One line at the beginning and none at each of many batches; the episode is not
	// over before the disk has taken everything for a while.
	if n := strings.Count(logged.String(), "level=ERROR"); n != 1 || !strings.Contains(logged.String(), "Make room") {
		t.Errorf("%d errors logged:\n%s", n, &logged)
	}
	testkit.Eventually(t, "the log says that the spool can be written again", func() bool { return strings.Contains(logged.String(), "can be written again") })
	if n := figure(t, registry, "stripchart_spool_held_since_seconds"); n != 0 {
		t.Errorf("held since %v", n)
	}
	stop()
	// What begins now sends the last 10 s again, and declares nothing.
	shut(t, s)
	o.Registerer = nil
	s = open(t, o)
	put(t, s, 1, 10)
	send(t, s, v)
	v.check(t, 1, 5+3*70+1)
	shut(t, s)
}

func figure(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}

// The bus away as well: the memory is all there is, and it has a bound.
func TestWithoutDiskAndBusBatchesWaitInMemoryUpToABound(t *testing.T) {
	d := smallDisk(t, "4m")
	if d == nil {
		return
	}
	o := options(d.spool())
	registry := prometheus.NewRegistry()
	o.Registerer = registry
	s := open(t, o)
	put(t, s, 5, 5000)
	d.fill(t)
	var refused *bus.Batch
	for seq := s.NextSeq(); refused == nil; seq = s.NextSeq() {
		if seq > 10_000 {
			t.Fatal("there is no bound")
		}
		b := batch(seq, float64(seq), 5000)
		switch err := s.Append(t.Context(), b); {
		case errors.Is(err, ErrNotWritten):
			refused = b
		case !errors.Is(err, ErrHeld):
			t.Fatal(err)
		}
	}
	s.mu.Lock()
	if s.tail.bytes > maxTailBytes || s.tail.bytes < maxTailBytes*9/10 {
		t.Errorf("%d bytes are in memory", s.tail.bytes)
	}
	s.mu.Unlock()
	if n := figure(t, registry, "stripchart_spool_held_batches"); n != float64(refused.Seq-6) {
		t.Errorf("%v are held, up to %d", n, refused.Seq-1)
	}
	// The bus comes back: there is room in memory again, and nothing is missing but what
	// the caller has dropped.
	v := newServer()
	send(t, s, v)
	v.check(t, 1, int(refused.Seq-1))
	if err := s.Append(t.Context(), batch(refused.Seq+3, float64(refused.Seq+3), 10)); !errors.Is(err, ErrHeld) {
		t.Fatal(err)
	}
	send(t, s, v)
	equal(t, "missing", v.missing, numbers(int(refused.Seq), int(refused.Seq+2)))

	// The disk comes back while the bus is away: what is held is written, without an
	// Append, and survives a kill.
	hold(t, s, 30)
	d.free(t)
	testkit.Eventually(t, "the spool is empty", func() bool { return s.held() == 0 })
	last := int(s.NextSeq() - 1)
	killed := o
	killed.Dir, killed.Registerer = snapshot(t, o.Dir), nil
	shut(t, s)
	s = open(t, killed)
	if n := s.NextSeq(); n != uint64(last)+1 {
		t.Errorf("next is %d after %d", n, last)
	}
	send(t, s, v)
	equal(t, "missing", v.missing, numbers(int(refused.Seq), int(refused.Seq+2)))
	if v.seen != uint64(last) || len(v.broken) > 0 {
		t.Errorf("seen %d of %d, broken %q", v.seen, last, v.broken)
	}
	shut(t, s)
}

// What is only in memory ends with the process. Which of its numbers were used
// does not: the next life goes on right behind them.
func TestAKillWithAFullDiskUsesNoNumberTwiceAndDeclaresWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		name          string
		acknowledged  bool   // what is held, before the kill
		boot          string // of the next start
		next, missing int    // of 25 batches, of which 20 are held
	}{
		{"everything was sent", true, "boot 1", 26, 0},
		{"nothing was sent", false, "boot 1", 26, 20},
		{"everything was sent, power loss", true, "boot 2", 25 + reserveBlock + 1, reserveBlock},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := smallDisk(t, "4m")
			if d == nil {
				return
			}
			o := options(d.spool())
			o.bootID = func() string { return "boot 1" }
			s := open(t, o)
			put(t, s, 5, 5000)
			v := newServer()
			send(t, s, v)
			d.fill(t)
			hold(t, s, 20)
			if c.acknowledged {
				send(t, s, v)
			}
			killed := o
			killed.Dir = snapshot(t, o.Dir)
			d.free(t)
			shut(t, s)
			killed.bootID = func() string { return c.boot }
			s = open(t, killed)
			if n := s.NextSeq(); n != uint64(c.next) {
				t.Errorf("next is %d, want %d", n, c.next)
			}
			put(t, s, 1, 10)
			send(t, s, v)
			if len(v.broken) > 0 || len(v.missing) != c.missing {
				t.Errorf("broken %q, %d missing, want %d: %v", v.broken, len(v.missing), c.missing, v.missing)
			}
			shut(t, s)
		})
	}
}

// A file system that cannot write in place, or no spare: the caller waits.
func TestWithoutASpareAFullDiskRefusesBatches(t *testing.T) {
	d := smallDisk(t, "2m")
	if d == nil {
		return
	}
	o := options(d.spool())
	s := open(t, o)
	put(t, s, 3, 5000)
	if err := os.Remove(filepath.Join(o.Dir, spareName)); err != nil {
		t.Fatal(err)
	}
	d.fill(t)
	b := batch(4, 4, 5000)
	for range 3 {
		if err := s.Append(t.Context(), b); !errors.Is(err, ErrNotWritten) {
			t.Fatalf("error %v", err)
		}
	}
	v := newServer()
	send(t, s, v) // what was written can be sent from a full disk
	v.check(t, 1, 3)
	d.free(t)
	if err := s.Append(t.Context(), b); err != nil {
		t.Fatalf("there is room, but: %v", err)
	}
	send(t, s, v)
	v.check(t, 1, 4)
	shut(t, s)
}

// A start on a full disk sends what waits, and what is measured.
func TestAStartOnAFullDisk(t *testing.T) {
	for _, spare := range []bool{true, false} {
		d := smallDisk(t, "2m")
		if d == nil {
			return
		}
		o := options(d.spool())
		s := open(t, o)
		put(t, s, 7, 5000)
		shut(t, s)
		if !spare {
			if err := os.Remove(filepath.Join(o.Dir, spareName)); err != nil {
				t.Fatal(err)
			}
		}
		d.fill(t)
		var logged testkit.Log
		o.Logger = slog.New(slog.NewTextHandler(&logged, nil))
		s = open(t, o)
		v := newServer()
		send(t, s, v)
		v.check(t, 1, 7)
		b := batch(8, 8, 100_000)
		err := s.Append(t.Context(), b)
		if spare && !errors.Is(err, ErrHeld) || !spare && !errors.Is(err, ErrNotWritten) {
			t.Fatalf("spare %v: error %v", spare, err)
		}
		if n := strings.Count(strings.ToLower(logged.String()), "make room"); n != 1 {
			t.Errorf("logged: %s", &logged)
		}
		d.free(t)
		if !spare {
			if err := s.Append(t.Context(), b); err != nil {
				t.Fatalf("there is room, but: %v", err)
			}
		}
		put(t, s, 3, 10)
		send(t, s, v)
		v.check(t, 1, 11)
		shut(t, s)
	}
}

// Writes fail at any place: within a page, and over several.
func TestAWriteThatFailsHarmsNothing(t *testing.T) {
	for range 5 {
		for _, pad := range []int{3000 + rand.N(100), 80_000 + rand.N(1000)} {
			o := options(t.TempDir())
			s := open(t, o)
			v := newServer()
			stop := run(t, s, v.publish)
			put(t, s, 3, pad)
			for range 2 {
				lift := limitFiles(t, 300_000+rand.N(uint64(100_000)))
				for held := 0; held < 3; {
					seq := s.NextSeq()
					err := s.Append(t.Context(), batch(seq, float64(seq), pad))
					if errors.Is(err, ErrHeld) {
						held++
					} else if err != nil {
						t.Fatal(err)
					}
				}
				lift()
				caught(t, s)
				o := o
				o.Dir = snapshot(t, o.Dir)
				w := v.clone()
				put(t, s, 3, pad)
				again := open(t, o)
				next := int(again.NextSeq())
				put(t, again, 1, pad)
				send(t, again, w)
				w.check(t, 1, next)
				shut(t, again)
			}
			caught(t, s)
			stop()
			last := int(s.NextSeq() - 1)
			v.check(t, 1, last)
			// What is on the disk is as good as what is in memory.
			killed := snapshot(t, o.Dir)
			shut(t, s)
			o.Dir = killed
			s = open(t, o)
			if n := int(s.NextSeq()); n != last+1 {
				t.Fatalf("next is %d, want %d", n, last+1)
			}
			v = newServer()
			send(t, s, v)
			for n, value := range v.values {
				if float64(n) != value {
					t.Errorf("batch %d has the value %v", n, value)
				}
			}
			if len(v.broken) > 0 || v.seen != uint64(last) {
				t.Errorf("broken %q, seen %d of %d", v.broken, v.seen, last)
			}
			shut(t, s)
		}
	}
}

// A real process, ended with -9 and by a stop, on a disk that is full, gets full and
// has room again, with a bus that comes and goes.
func TestKilledWithAFullDiskNoNumberHasTwoContentsAndGapsAreHonest(t *testing.T) {
	d := smallDisk(t, "48m")
	if d == nil {
		return
	}
	f := newFates()
	full, begun := false, 0
	seen := func() bool { return len(f.held) > 0 && len(f.appended) > 0 }
	for n := 0; n < lives(t) || !seen() && n < 20*lives(t); n++ { // a busy machine does little before a kill
		stopped := make(chan struct{})
		f.live(t, d.spool(), func(p *os.Process) {
			defer close(stopped)
			for range rand.N(4) {
				if full = !full; full {
					d.fill(t)
				} else {
					d.free(t)
				}
				time.Sleep(rand.N(250 * time.Millisecond))
			}
			if rand.N(3) == 0 {
				p.Signal(unix.SIGTERM)
			} else {
				p.Kill()
			}
		})
		<-stopped
		if full {
			begun++ // the next one, on a full disk
		}
	}
	if full {
		d.free(t)
	}
	f.end(t, d.spool())
	lost := 0
	for n := range f.attempted {
		if _, ok := f.published[n]; !ok {
			lost++
		}
	}
	if !seen() {
		t.Errorf("%d held, %d appended: nothing was tested", len(f.held), len(f.appended))
	}
	t.Logf("%d attempted, %d appended, %d held; %d of those were nowhere but in memory, %d declared missing; %d ends with a full disk, %d stops without loss",
		len(f.attempted), len(f.appended), len(f.held), lost, len(f.jumped), begun, f.clean)
}
