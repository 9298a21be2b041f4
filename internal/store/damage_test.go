package store

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/testkit"
)

var (
	damages    = flag.Int("damages", 30, "how many damages TestDamage does")
	damageSeed = flag.Uint64("damages.seed", 1, "what they are chosen by")
	damageOnly = flag.String("damages.only", "", "only damages of files whose kind contains this")
)

// truth is what was acknowledged: the samples of each series by time.
type truth map[string]map[int64]float64

// damagedDir is a data directory with everything in it: two blocks of in-order samples and
// one of late ones, a checkpoint, segments of the WAL and the WBL, head chunks, notes.
type damagedDir struct {
	dir    string
	killed bool // a copy of an open directory, as a kill leaves it
	truth  truth
	labels map[string]labels.Labels
}

const damageSeries = 8

// makeDamagedDir writes six hours of samples, as they come from sources of different
// pace, one of which lags, and late ones.
func makeDamagedDir(t *testing.T, killed bool) damagedDir {
	t.Helper()
	live := t.TempDir()
	d := damagedDir{dir: live, killed: killed, truth: truth{}, labels: map[string]labels.Labels{}}
	s, err := Open(options(live))
	if err != nil {
		t.Fatal(err)
	}
	refs := map[string]*Ref{}
	put := func(rows []Row, n int, at int64) []Row {
		l := series("damage", "n", strconv.Itoa(n))
		key := l.String()
		if refs[key] == nil {
			refs[key], d.truth[key], d.labels[key] = new(Ref), map[int64]float64{}, l
		}
		if _, there := d.truth[key][at]; there {
			return rows
		}
		v := killValue(n, at)
		d.truth[key][at] = v
		return append(rows, Row{Ref: refs[key], Labels: l, Samples: []bus.Sample{{T: at, V: v}}})
	}
	const step, steps = 20_000, 6 * 3600 / 20
	for k := range int64(steps) {
		at := base + k*step
		var rows []Row
		for n := range damageSeries {
			switch {
			case n == 1 && k%9 != 0: // slow
			case n == 2: // lags
				rows = put(rows, n, at-300_000+7)
			case n == 3 && k > steps*3/4: // has ended
			case n == 4 && k < steps*4/5: // begins late
			case n == 5 && k < steps*11/12+5: // the newest: its reference is the next to be given
			default:
				rows = put(rows, n, at+int64(n))
			}
		}
		appendRows(t, s, rows...)
		if k%5 == 4 { // late
			rows := put(nil, int(k)%4, at-40*60_000-int64(100+k%4))
			if k > steps*11/12+9 {
				rows = put(rows, 5, at-30*60_000-105)
			}
			appendRows(t, s, rows...)
		}
		if k%(steps/12) == steps/12-1 {
			if err := s.eng.db.Compact(context.Background()); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if s, err = Open(options(live)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Keep(Progress, []byte(`{"version":1,"position":"a-1-0"}`)); err != nil {
		t.Fatal(err)
	}
	if err := s.Keep(Gaps, []byte(`[{"from":1,"to":2,"reason":"log_lost","series":[]}]`)); err != nil {
		t.Fatal(err)
	}
	s.eng.db.ForceHeadMMap()
	if killed {
		d.dir = t.TempDir()
		if err := os.CopyFS(d.dir, os.DirFS(live)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return d
}

// kindOf names what a file is.
func kindOf(rel string) string {
	parts := strings.Split(filepath.ToSlash(rel), "/")
	switch {
	case len(parts) == 1:
		return rel
	case parts[1] == walDir && strings.HasPrefix(parts[2], "checkpoint."):
		return "checkpoint"
	case parts[1] == walDir:
		return "WAL"
	case parts[1] == "wbl":
		return "WBL"
	case parts[1] == "chunks_head":
		return "chunks_head"
	}
	if _, err := ulid.ParseStrict(parts[1]); err == nil {
		if parts[2] == "chunks" {
			return "block: chunks"
		}
		return "block: " + parts[2]
	}
	return parts[1]
}

// harm does one damage to a file, or to the folder that it is in, and returns its name.
func harm(t *testing.T, r *rand.Rand, path string, whole bool) string {
	t.Helper()
	if whole {
		if err := os.RemoveAll(filepath.Dir(path)); err != nil {
			t.Fatal(err)
		}
		return "folder gone"
	}
	return testkit.Harm(t, r, path)
}

// outcome is what happened after one damage.
type outcome struct {
	refused string // to start
	missing int    // samples, all of them in declared gaps
}

// look compares what a store holds with what was acknowledged.
func (d damagedDir) look(t *testing.T, s *Store, want truth, excused bool) (missing int) {
	t.Helper()
	q, err := s.Snapshot(0, base+1e9)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer q.Close()
	got := read(t, q, 0, base+1e9)
	lost := append(s.Losses(), q.Missing()...)
	for key, samples := range got {
		for _, x := range samples {
			if v, there := want[key][x.T]; !there || v != x.V {
				t.Errorf("WRONG VALUE: %s at %d is %v, want %v", key, x.T-base, x.V, v)
				return 0
			}
		}
	}
	undeclared := map[string][]int64{}
	for key, samples := range want {
		there := map[int64]bool{}
		for _, x := range got[key] {
			there[x.T] = true
		}
		for at := range samples {
			if there[at] {
				continue
			}
			missing++
			if !slices.ContainsFunc(lost, func(l Loss) bool {
				return l.From < at && at < l.To && (l.Series == nil || slices.ContainsFunc(l.Series, func(x labels.Labels) bool { return x.String() == key }))
			}) {
				undeclared[key] = append(undeclared[key], at-base)
			}
		}
	}
	if len(undeclared) > 0 && !excused {
		for key, at := range undeclared {
			slices.Sort(at)
			t.Errorf("MISSING WITHOUT A GAP: %s lacks %d samples at %d ... %d", key, len(at), at[0], at[len(at)-1])
		}
		for _, l := range lost {
			t.Logf("declared: %d to %d, %d series, %s", l.From-base, l.To-base, len(l.Series), l.What)
		}
	}
	return missing
}

// judge starts twice on a damaged directory, and writes in between.
func (d damagedDir) judge(t *testing.T, dir string, excused bool) (o outcome) {
	t.Helper()
	want := truth{}
	for key, samples := range d.truth {
		want[key] = maps.Clone(samples)
	}
	var log logged
	opts := options(dir)
	opts.Logger = log.logger()
	for start := range 2 {
		s, err := Open(opts)
		if err != nil {
			o.refused = err.Error()
			return o
		}
		missing := d.look(t, s, want, excused)
		if start == 0 {
			o.missing = missing
		} else if missing != o.missing {
			t.Errorf("%d samples are missing at the second start, %d at the first", missing, o.missing)
		}
		// New series take the references of those that are lost.
		var rows []Row
		for n := range damageSeries + 4 {
			n += 100 * start * (n / damageSeries)
			l := series("damage", "n", strconv.Itoa(n))
			at := base + 7*3600_000 + int64(start)*1000
			if want[l.String()] == nil {
				want[l.String()] = map[int64]float64{}
			}
			want[l.String()][at] = killValue(n, at)
			rows = append(rows, row(l, bus.Sample{T: at, V: killValue(n, at)}))
		}
		slices.Reverse(rows)
		if err := s.Append(rows); err != nil {
			t.Errorf("append: %v", err)
		}
		if missing := d.look(t, s, want, excused); missing != o.missing {
			t.Errorf("%d samples are missing after an append, %d before", missing, o.missing)
		}
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if t.Failed() {
		t.Logf("log: %s", strings.Join(log.take(), ""))
	}
	return o
}

// TestDamage damages a file of a data directory, at random, and starts twice. Whatever it
// was: no value is wrong, what is missing lies in a declared gap, and the store starts.
func TestDamage(t *testing.T) {
	table := map[[2]string]*[4]int{} // cases, starts refused, cases with a loss, samples missing
	dirs := []damagedDir{makeDamagedDir(t, false), makeDamagedDir(t, true)}
	r := rand.New(rand.NewPCG(*damageSeed, 15))
	for i := range *damages {
		d := dirs[i%2]
		var byKind = map[string][]string{}
		err := filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
			rel, _ := filepath.Rel(d.dir, path)
			if err == nil && !e.IsDir() && rel != "LOCK" && strings.Contains(kindOf(rel), *damageOnly) {
				byKind[kindOf(rel)] = append(byKind[kindOf(rel)], rel)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		var kinds []string
		for _, k := range slices.Sorted(maps.Keys(byKind)) {
			kinds = append(kinds, k)
			if !strings.Contains(k, ".json") && k != versionName { // where samples are
				kinds = append(kinds, k, k)
			}
		}
		kind := kinds[r.IntN(len(kinds))]
		rel := byKind[kind][r.IntN(len(byKind[kind]))]
		seed := r.Uint64()
		t.Run(fmt.Sprintf("%d %s", i, rel), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(d.dir)); err != nil {
				t.Fatal(err)
			}
			whole := len(strings.Split(rel, string(filepath.Separator))) > 1 && r.IntN(15) == 0
			what := harm(t, r, filepath.Join(dir, rel), whole)
			// What a kill leaves of a write, and what another cuts off, look alike.
			excused := d.killed && (kind == "WAL" || kind == "WBL") && (what == "cut" || what == "file gone" || what == "folder gone")
			o := d.judge(t, dir, excused)
			if o.refused != "" && kind != versionName {
				t.Errorf("does not start: %s", o.refused)
			}
			if t.Failed() {
				t.Logf("%s: %s of %s, killed %v", what, kind, rel, d.killed)
			}
			cell := table[[2]string{kind, what}]
			if cell == nil {
				cell = new([4]int)
				table[[2]string{kind, what}] = cell
			}
			cell[0]++
			if o.refused != "" {
				cell[1]++
			}
			if o.missing > 0 {
				cell[2]++
			}
			cell[3] += o.missing
		})
	}
	var sum [4]int
	var text strings.Builder
	for _, k := range slices.SortedFunc(maps.Keys(table), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		c := table[k]
		for i := range sum {
			sum[i] += c[i]
		}
		fmt.Fprintf(&text, "| %s | %s | %d | %d | %d | %d |\n", k[0], k[1], c[0], c[1], c[2], c[3])
	}
	t.Logf("\n%s| **all** | | %d | %d | %d | %d |", text.String(), sum[0], sum[1], sum[2], sum[3])
}
