package chaos

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	run := &run{o: o, kit: k, rand: rand.New(rand.NewPCG(o.Seed, 0)), report: &Report{Seed: o.Seed, began: time.Now()}}
	var errs []error
	for n := 1; !run.over() && len(errs) < maxFailures; n++ {
		name := fmt.Sprint("rig", n)
		before := run.done
		err := run.rig(name)
		switch {
		case err != nil:
			// What comes next is told by another rig.
			o.Log("%s: %v", name, err)
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		case run.done == before:
			return run.report, fmt.Errorf("no fault fits %+v and %q", o.Shape, o.Only)
		case run.report.Broken() == "":
			if err := os.RemoveAll(filepath.Join(o.Dir, name)); err != nil {
				return run.report, err
			}
		}
	}
	run.report.Took = time.Since(run.report.began)
	return run.report, errors.Join(errs...)
}

// maxFailures is after how many rigs that failed a run gives up.
const maxFailures = 5

// run is what Run knows.
type run struct {
	o      Options
	kit    *kit
	rand   *rand.Rand
	report *Report
	queue  []fault // still to come before each has its next turn
	done   int
}

// over reports whether there were enough faults.
func (x *run) over() bool {
	if x.o.For > 0 {
		return time.Since(x.report.began) > x.o.For
	}
	return x.done >= x.o.Faults
}

// next returns the next fault that fits the rig, or nil.
func (x *run) next(r *rig) *fault {
	fits := func(f fault) bool {
		return (f.fits == nil || f.fits(r)) && strings.Contains(f.name, x.o.Only)
	}
	for range 2 {
		if i := slices.IndexFunc(x.queue, fits); i >= 0 {
			f := x.queue[i]
			x.queue = slices.Delete(x.queue, i, i+1)
			return &f
		}
		x.queue = faults()
		x.rand.Shuffle(len(x.queue), func(i, j int) { x.queue[i], x.queue[j] = x.queue[j], x.queue[i] })
	}
	return nil
}

// rig builds a rig and hurts it for as long as it lives.
func (x *run) rig(name string) (err error) {
	r, err := x.kit.build(x.o.Shape, name, x.rand)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if _, err := r.recover(); err != nil {
		return fmt.Errorf("before the first fault: %w", err)
	}
	from := time.Now().UnixMilli()
	var allowed []allowance // by the faults of this rig so far
	for n := 0; n < faultsOfRig && !x.over() && time.Since(r.began) < lifeOfRig && !r.worn(); n++ {
		f := x.next(r)
		if f == nil {
			return nil
		}
		x.done++
		if from, err = x.one(r, f, from, &allowed); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return x.last(r, allowed)
}

// lagBefore is how long before a fault a gap may begin that it explains: servers
// may have been behind a little.
const lagBefore = 5 * time.Second

// one injects one fault and judges what was measured from from on. It returns
// up to when.
func (x *run) one(r *rig, f *fault, from int64, allowed *[]allowance) (int64, error) {
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
	to := time.Now().UnixMilli() - lateBy - tick
	for _, reason := range f.allowed {
		*allowed = append(*allowed, allowance{reason, began.Add(-lagBefore).UnixMilli(), time.Now().UnixMilli()})
	}
	v, err := r.check(from, to, *allowed)
	if err != nil {
		return from, err
	}
	v.Gaps = r.gaps() - gaps
	x.report.add(f.name, v, recovery, longest)
	x.o.Log("%3d %s, for %v: viewers live %v later, without samples for at most %v; %v", x.done, f.name,
		took.Round(time.Millisecond), recovery.Round(time.Millisecond), longest.Round(time.Millisecond), &v)
	return to, r.failures()
}

// last judges everything once more, also the samples of clocks that were wrong.
func (x *run) last(r *rig, allowed []allowance) error {
	const all = 26 * time.Hour // clocks that were wrong, too
	now := time.Now()
	v, err := r.check(now.Add(-all).UnixMilli(), now.UnixMilli()-lateBy-tick, allowed)
	if err != nil {
		return fmt.Errorf("check at the end: %w", err)
	}
	v.Gaps = 0
	x.report.addEnd(v)
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
	for _, v := range r.viewers {
		v.mu.Lock()
		for g := range v.held.gaps {
			known[gap{"", g.from, g.to, g.reason}] = true
		}
		v.mu.Unlock()
	}
	return len(known)
}
