package spool

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"stripchart/internal/bus"
)

// childEnv makes the test binary the collector that is going to be killed.
const childEnv = "STRIPCHART_SPOOL_KILL_TEST_DIR"

// runChild appends batches until it is killed, or told to stop, and prints what
// happens, a line and a write each, so that a kill leaves none in half:
//
//	t NUMBER VALUE        the batch is about to be appended
//	a NUMBER              the disk has it
//	h NUMBER              it is held in memory
//	b FIRST SEQ N V...    the bus takes a batch, with these values by number
//	c ERROR               the spool is closed
//
// The bus is away half of the time and fails at times.
func runChild(dir string) int {
	o := options(dir)
	o.MaxBytes = 64 << 20
	s, err := Open(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	base, _ := strconv.ParseInt(os.Getenv(childEnv+"_BASE"), 10, 64)
	go s.Run(context.Background(), func(_ context.Context, b *bus.Batch) error {
		if rand.N(10) == 0 || time.Now().UnixMilli()/200%2 == 0 {
			return errors.New("away")
		}
		line := fmt.Sprint("b ", b.First(), b.Seq)
		for _, series := range b.Series {
			for _, sample := range series.Samples {
				line += fmt.Sprint(" ", (sample.T-base)/step, " ", sample.V)
			}
		}
		fmt.Println(line)
		if rand.N(20) == 0 {
			return errors.New("the reply is lost")
		}
		return nil
	})
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	for stop.Err() == nil {
		seq, v := s.NextSeq(), rand.Float64()
		b := batch(seq, v, rand.N(20_000)*rand.N(4))
		b.Series[0].Samples[0].T = base + int64(seq)*step
		fmt.Println("t", seq, v)
		err := s.Append(context.Background(), b)
		for errors.Is(err, ErrNotWritten) && stop.Err() == nil {
			time.Sleep(time.Millisecond)
			err = s.Append(context.Background(), b)
		}
		switch {
		case err == nil:
			fmt.Println("a", seq)
		case errors.Is(err, ErrHeld):
			fmt.Println("h", seq)
		case !errors.Is(err, ErrNotWritten):
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		time.Sleep(rand.N(2 * time.Millisecond))
		if rand.N(20) == 0 { // what keep does, at more moments
			s.save(0, 0, false)
			s.logMu.Lock()
			_ = s.catchUp()
			s.prune(0)
			s.logMu.Unlock()
		}
	}
	fmt.Printf("c %q\n", fmt.Sprint(s.Close()))
	return 0
}

// fates is what happened to batches in all lives of a collector.
type fates struct {
	attempted, published map[uint64]float64
	appended, held       map[uint64]bool
	now                  []uint64 // held, in this life
	seen                 uint64   // what a server knows that has heard everything
	jumped               map[uint64]bool
	clean                int // stops at which nothing was lost
}

func newFates() *fates {
	return &fates{attempted: map[uint64]float64{}, published: map[uint64]float64{}, appended: map[uint64]bool{}, held: map[uint64]bool{}, jumped: map[uint64]bool{}}
}

// live starts a collector, and ends it at a random moment once it works, by end.
func (f *fates) live(t *testing.T, dir string, end func(p *os.Process)) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childEnv+"="+dir, childEnv+"_BASE="+strconv.FormatInt(base, 10))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait() // ended
	f.now = nil
	var death *time.Timer
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if death == nil { // it works
			death = time.AfterFunc(rand.N(300*time.Millisecond), func() { end(child.Process) })
		}
		f.line(t, lines.Text())
	}
	if death == nil {
		t.Fatal("the collector wrote nothing")
	}
	death.Stop()
}

func (f *fates) line(t *testing.T, line string) {
	t.Helper()
	words := strings.Fields(line)
	number := func(i int) uint64 {
		n, err := strconv.ParseUint(words[i], 10, 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		return n
	}
	value := func(i int) float64 {
		v, err := strconv.ParseFloat(words[i], 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		return v
	}
	switch words[0] {
	case "t":
		n := number(1)
		if f.appended[n] || f.held[n] {
			t.Fatalf("number %d was given twice", n)
		}
		if _, ok := f.published[n]; ok {
			t.Fatalf("number %d was given to another batch after it was published", n)
		}
		f.attempted[n] = value(2)
	case "a":
		f.appended[number(1)] = true
	case "h":
		f.held[number(1)] = true
		f.now = append(f.now, number(1))
	case "b":
		f.hears(t, number(1), number(2))
		for i := 3; i+1 < len(words); i += 2 {
			f.publishes(t, number(i), value(i+1))
		}
	case "c":
		if line == `c "<nil>"` {
			f.clean++
			for _, n := range f.now { // the disk has them, or the bus
				f.appended[n] = true
			}
		} else if !strings.Contains(line, "are lost") {
			t.Errorf("%s", line)
		}
	default:
		t.Fatalf("%q", line)
	}
}

func (f *fates) hears(t *testing.T, first, seq uint64) {
	if f.seen > 0 {
		for n := f.seen + 1; n < first; n++ {
			f.jumped[n] = true
		}
	}
	f.seen = max(f.seen, seq)
}

func (f *fates) publishes(t *testing.T, n uint64, v float64) {
	t.Helper()
	if old, ok := f.published[n]; ok && old != v {
		t.Errorf("number %d was published with %v and %v", n, old, v)
	}
	f.published[n] = v
}

// end opens the spool itself, sends the rest, and judges.
func (f *fates) end(t *testing.T, dir string) {
	t.Helper()
	o := options(dir)
	o.MaxBytes = 64 << 20
	s := open(t, o)
	last := s.NextSeq() - 1
	put(t, s, 1, 1) // so that a server hears of what is missing at the end
	v := newServer()
	send(t, s, v)
	for _, b := range v.broken {
		t.Error(b)
	}
	for _, b := range v.published {
		f.hears(t, b.First(), b.Seq)
	}
	for n, value := range v.values {
		if uint64(n) <= last {
			f.publishes(t, uint64(n), value)
		}
	}
	for n := range f.appended {
		if got, ok := f.published[n]; !ok || got != f.attempted[n] {
			t.Errorf("batch %d with %v was published as %v, %v", n, f.attempted[n], got, ok)
		}
	}
	for n := range f.published {
		if _, ok := f.attempted[n]; !ok {
			t.Errorf("number %d was published, and given to no batch", n)
		}
	}
	// No number is left out, and a gap has nothing in it that was published.
	for n := uint64(1); n <= last; n++ {
		_, attempted := f.attempted[n]
		_, published := f.published[n]
		if !attempted {
			t.Errorf("number %d was jumped over", n)
		}
		if published == f.jumped[n] {
			t.Errorf("batch %d: published %v, declared missing %v", n, published, f.jumped[n])
		}
	}
	if s.Dropped() > 0 {
		t.Errorf("dropped %d", s.Dropped())
	}
	shut(t, s)
}

func lives(t *testing.T) int {
	if testing.Short() {
		return 5
	}
	return 10
}

func kill(p *os.Process) { p.Kill() }

func TestKilledCollectorLosesNothingThatWasAppended(t *testing.T) {
	dir := t.TempDir()
	f := newFates()
	for n := 0; n < lives(t) || len(f.appended) < lives(t); n++ { // a busy machine appends little before a kill
		f.live(t, dir, kill)
	}
	f.end(t, dir)
	if len(f.held) > 0 || len(f.jumped) > 0 {
		t.Errorf("%d held, %d missing, with room on the disk", len(f.held), len(f.jumped))
	}
	t.Logf("%d batches appended, %d numbers", len(f.appended), len(f.attempted))
}
