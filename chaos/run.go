package chaos

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options say how long chaos is made, and where.
type Options struct {
	// Dir takes logs, journals and data; it is created.
	Dir string
	// Stripchart is the path of the binary that is tested.
	Stripchart string
	// SourceEnv makes this binary, started again with it, run Source.
	SourceEnv []string
	// Shape is of every rig.
	Shape Shape
	// Rigs is how many rigs are hurt side by side. Zero is one.
	Rigs int
	// Faults is how many are injected at least; each kind that fits the rig has its
	// turn before any has its next.
	Faults int
	// For, unless zero, is for how long faults are injected instead.
	For time.Duration
	// Only, unless empty, injects only the faults whose names contain it.
	Only string
	// Seed repeats the choices of an earlier run. What happens between processes
	// is not repeated by it.
	Seed uint64
	// Log is told of every fault. It may be nil.
	Log func(format string, args ...any)
}

// A rig is left for a new one before its viewers' windows are over, and before
// a source's strands are used again.
const (
	lifeOfRig   = window - 200*time.Second
	faultsOfRig = 60
)

// Run injects faults until there were enough and returns what came of each kind.
// The error is of the harness, or a broken promise that no figure shows: a
// process that ended by itself, a viewer that did not come back. The report is
// valid with an error too.
func Run(o Options) (*Report, error) {
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	k := &kit{dir: o.Dir, stripchart: o.Stripchart, source: o.SourceEnv, self: self}
	if k.shim, err = buildShim(o.Dir); err != nil {
		return nil, err
	}
	x := &run{o: o, kit: k, queueRand: rand.New(rand.NewPCG(o.Seed, 0)), report: &Report{Seed: o.Seed, began: time.Now(), counts: counts{}}}
	var workers sync.WaitGroup
	for n := range max(o.Rigs, 1) {
		workers.Go(func() { x.work(n, rand.New(rand.NewPCG(o.Seed, uint64(n)+1))) })
	}
	workers.Wait()
	x.report.Took = time.Since(x.report.began)
	return x.report, errors.Join(x.failures...)
}

// maxFailures is after how many rigs that failed a run gives up.
const maxFailures = 5

// run is what Run knows.
type run struct {
	o   Options
	kit *kit

	mu        sync.Mutex // guards what follows
	report    *Report
	failures  []error
	queue     []fault // still to come before each has its next turn
	queueRand *rand.Rand
	done      int
}

// work hurts one rig after the other until there were enough faults, or too many
// failures.
func (x *run) work(worker int, random *rand.Rand) {
	for n := 1; !x.over(); n++ {
		name := fmt.Sprintf("rig%d-%d", worker+1, n)
		faults, err := x.rig(name, random)
		if err == nil && faults == 0 && !x.over() {
			err = fmt.Errorf("no fault fits %+v and %q", x.o.Shape, x.o.Only)
		}
		x.mu.Lock()
		if err != nil {
			// What comes next is told by another rig.
			x.o.Log("%s: %v", name, err)
			x.failures = append(x.failures, fmt.Errorf("%s: %w", name, err))
		}
		healthy := err == nil && x.report.Broken() == ""
		x.mu.Unlock()
		if healthy {
			_ = os.RemoveAll(filepath.Join(x.o.Dir, name)) // it would only be in the way
		}
	}
}

// over reports whether there were enough faults, or too many failures.
func (x *run) over() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.failures) >= maxFailures {
		return true
	}
	if x.o.For > 0 {
		return time.Since(x.report.began) > x.o.For
	}
	return x.done >= x.o.Faults
}

// next returns the next fault that fits the rig and its number, or nil: there were
// enough, or none fits.
func (x *run) next(r *rig) (*fault, int) {
	if x.over() {
		return nil, 0
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	fits := func(f fault) bool {
		return (f.fits == nil || f.fits(r)) && strings.Contains(f.name, x.o.Only)
	}
	for range 2 {
		if i := slices.IndexFunc(x.queue, fits); i >= 0 {
			f := x.queue[i]
			x.queue = slices.Delete(x.queue, i, i+1)
			x.done++
			return &f, x.done
		}
		x.queue = faults()
		x.queueRand.Shuffle(len(x.queue), func(i, j int) { x.queue[i], x.queue[j] = x.queue[j], x.queue[i] })
	}
	return nil, 0
}

// rig builds a rig and hurts it for as long as it lives. It returns how many
// faults that were.
func (x *run) rig(name string, random *rand.Rand) (n int, err error) {
	shape := x.o.Shape
	shape.Crowd = shape.Sources > 0 && random.IntN(3) == 0
	r, err := x.kit.build(shape, name, random)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if _, err := r.recover(); err != nil {
		return 0, fmt.Errorf("before the first fault: %w", err)
	}
	from := time.Now().UnixMilli()
	var allowed []allowance // by the faults of this rig so far
	for ; n < faultsOfRig && time.Since(r.began) < lifeOfRig && !r.worn(); n++ {
		f, number := x.next(r)
		if f == nil {
			break
		}
		if from, err = x.one(r, f, number, from, &allowed); err != nil {
			return n, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return n, x.last(r, allowed)
}

// lagBefore is how long before a fault a gap may begin that it explains: servers
// save how far they have come every 5 s, may have been behind a little, and begin the
// gaps of writers without numbers earlier by as much as those were late before. reachAfter
// is how long behind it such a gap may end: samples may lie a minute ahead of the log. See
// rig.widened for clocks that were wrong.
const (
	lagBefore  = 8*time.Second + maxLag*time.Millisecond + 2*time.Minute
	reachAfter = 61 * time.Second
)

// settled is how old a sample is, in ms, when its source has published it for sure, or has
// at least said that it will: a busy one says so late.
const settled = maxLag + 4*lateBy

// one injects one fault and judges what was measured from from on. It returns
// up to when.
func (x *run) one(r *rig, f *fault, number int, from int64, allowed *[]allowance) (int64, error) {
	r.between(200*time.Millisecond, 1200*time.Millisecond)
	for _, v := range r.viewers {
		v.pause()
	}
	gaps := r.gaps()
	began := time.Now()
	if err := f.inject(r); err != nil {
		return from, err
	}
	took := time.Since(began)
	recovery, err := r.recover()
	longest := time.Duration(0)
	for _, v := range r.viewers {
		longest = max(longest, v.pause())
	}
	if err := errors.Join(err, r.failures()); err != nil {
		return from, err
	}
	to := time.Now().UnixMilli() - settled
	for _, reason := range f.allowed {
		*allowed = append(*allowed, allowance{reason: reason, from: began.Add(-lagBefore - f.before).UnixMilli(), to: time.Now().Add(reachAfter).UnixMilli()})
	}
	if f.loses {
		loss := allowance{reason: logLost, from: began.Add(-lagBefore).UnixMilli(), to: time.Now().Add(8*time.Second + reachAfter).UnixMilli()}
		r.losses = append(r.losses, loss)
		loss.plain = true
		*allowed = append(*allowed, loss)
	}
	if f.kills {
		*allowed = append(*allowed, r.losses...)
	}
	v, err := r.check(from, to, *allowed)
	if err != nil {
		return from, err
	}
	v.Gaps = r.gaps() - gaps
	x.mu.Lock()
	r.takeCounts(x.report.counts)
	x.report.add(f.name, v, recovery, longest)
	x.mu.Unlock()
	x.o.Log("%3d %s, for %v: viewers live %v later, without samples for at most %v; %v", number, f.name,
		took.Round(time.Millisecond), recovery.Round(time.Millisecond), longest.Round(time.Millisecond), &v)
	return to, r.failures()
}

// widened returns what is allowed by now, whenever the fault was: gaps begin earlier by as
// much as any source's clock went back, where a server does not know who wrote a series;
// and a log that was ahead of the clock took everything for late, and ends them later.
func (r *rig) widened(allowed []allowance) []allowance {
	out := slices.Clone(allowed)
	for i := range out {
		out[i].from -= (r.back + r.front + r.ahead).Milliseconds()
		out[i].to += r.ahead.Milliseconds()
	}
	return out
}

// last judges everything once more, also the samples of clocks that were wrong.
func (x *run) last(r *rig, allowed []allowance) error {
	const all = 26 * time.Hour // clocks that were wrong, too
	now := time.Now()
	v, err := r.check(now.Add(-all).UnixMilli(), now.UnixMilli()-settled, allowed)
	if err != nil {
		return fmt.Errorf("check at the end: %w", err)
	}
	v.Gaps = 0
	x.mu.Lock()
	x.report.addEnd(v)
	x.mu.Unlock()
	x.o.Log("    all of the rig, at its end: %v", &v)
	return nil
}

// worn reports whether a source has nearly used up its strands.
func (r *rig) worn() bool {
	return slices.ContainsFunc(r.sources, func(s *sourceProcess) bool { return s.lives() >= lives-4 })
}

// gaps counts the declared gaps that viewers know, those of all series of a source,
// which are declared together, as one.
func (r *rig) gaps() int {
	known := map[gap]bool{}
	for _, v := range r.everybody() {
		v.mu.Lock()
		for g := range v.held.gaps {
			known[gap{"", g.from, g.to, g.reason}] = true
		}
		v.mu.Unlock()
	}
	return len(known)
}
