package backfill

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"go.uber.org/goleak"

	"stripchart/internal/bus"
	"stripchart/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const hour = int64(time.Hour / time.Millisecond)

// now is when the tests' samples end, in whole hours.
var now = time.Now().Truncate(time.Hour).UnixMilli()

func openStore(t testing.TB, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(store.Options{Dir: dir, Retention: 10_000 * time.Hour, OutOfOrder: 24 * time.Hour, ReserveBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeStore(t testing.TB, s *store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// history reads everything that a data directory has.
func history(t testing.TB, dir string) map[string][]bus.Sample {
	t.Helper()
	s := openStore(t, dir)
	defer closeStore(t, s)
	all := map[string][]bus.Sample{}
	lost, err := s.Query(t.Context(), s.QueryReads(), func(ctx context.Context, db storage.Queryable) error {
		q, err := db.Querier(math.MinInt64, math.MaxInt64)
		if err != nil {
			return err
		}
		set := q.Select(ctx, true, nil, labels.MustNewMatcher(labels.MatchNotEqual, "__name__", ""))
		for set.Next() {
			x := set.At()
			it := x.Iterator(nil)
			for it.Next() != 0 {
				at, v := it.At()
				all[x.Labels().String()] = append(all[x.Labels().String()], bus.Sample{T: at, V: v})
			}
			if it.Err() != nil {
				return it.Err()
			}
		}
		return set.Err()
	})
	if err != nil || len(lost) > 0 {
		t.Fatal(err, lost)
	}
	return all
}

func same(t testing.TB, got, want map[string][]bus.Sample) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d series, want %d", len(got), len(want))
	}
	for ls, samples := range want {
		g := got[ls]
		if len(g) != len(samples) {
			t.Errorf("%s: %d samples, want %d", ls, len(g), len(samples))
			continue
		}
		for i, s := range samples {
			if g[i].T != s.T || math.Float64bits(g[i].V) != math.Float64bits(s.V) {
				t.Errorf("%s: %v, want %v", ls, g[i], s)
				break
			}
		}
	}
}

func open(t testing.TB, o Options) *Writer {
	t.Helper()
	w, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func add(t testing.TB, w *Writer, ls labels.Labels, samples ...bus.Sample) {
	t.Helper()
	if err := w.Add(ls, samples); err != nil {
		t.Fatal(err)
	}
}

func commit(t testing.TB, w *Writer) Result {
	t.Helper()
	r, err := w.Commit()
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func m(n int) labels.Labels {
	return labels.FromStrings("__name__", "m", "n", fmt.Sprint(n), "odd.label", "=\r\n\"")
}

// In whatever order samples come, and however often blocks are made of them in between, the
// store has each bit by bit.
func TestWhatIsAddedIsInTheHistoryBitByBit(t *testing.T) {
	odd := []float64{math.Inf(1), math.Copysign(0, -1), math.Float64frombits(value.StaleNaN), math.Float64frombits(value.NormalNaN), math.Float64frombits(0xfff8000000000001), math.SmallestNonzeroFloat64}
	want := map[string][]bus.Sample{}
	type one struct {
		of int
		s  bus.Sample
	}
	var bySeries []one
	for n := range 3 {
		for i := range int64(1000) {
			s := bus.Sample{T: now - 400*hour + i*hour*2/5 + int64(n), V: float64(i) / 3}
			if i%50 == 0 {
				s.V = odd[int(i/50)%len(odd)]
			}
			bySeries = append(bySeries, one{n, s})
			want[m(n).String()] = append(want[m(n).String()], s)
		}
	}
	for _, order := range []string{"by series", "by time", "any"} {
		for _, memory := range []int64{0, 20_000} {
			if order == "any" && memory > 0 {
				continue // each block would have a few samples: slow, and nothing new
			}
			dir := t.TempDir()
			w := open(t, Options{Dir: dir, Memory: memory})
			all := append([]one(nil), bySeries...)
			switch order {
			case "by time":
				all = all[:0]
				for i := range 1000 {
					for n := range 3 {
						all = append(all, bySeries[n*1000+i])
					}
				}
			case "any":
				rand.New(rand.NewPCG(1, 2)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			}
			for _, x := range all {
				add(t, w, m(x.of), x.s)
			}
			if r := commit(t, w); r.Samples != len(all) || r.Duplicate != 0 || r.From != now-400*hour || r.Blocks < 8 {
				t.Errorf("%s: %+v", order, r)
			}
			same(t, history(t, dir), want)
			if _, err := os.Stat(filepath.Join(dir, workDir)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s: %v", order, err)
			}
		}
	}
}

// What is there stays, whether it is in a block, in the log, or earlier in the input; and what
// the server writes afterwards is not in its way.
func TestTheFirstValueWins(t *testing.T) {
	dir := t.TempDir()
	w := open(t, Options{Dir: dir})
	add(t, w, m(1), bus.Sample{T: now - 100*hour, V: 1}, bus.Sample{T: now - 100*hour, V: 2})
	if r := commit(t, w); r.Samples != 1 || r.Duplicate != 1 {
		t.Errorf("%+v", r)
	}
	s := openStore(t, dir)
	if err := s.Append([]store.Row{{Labels: m(1), Samples: []bus.Sample{{T: now - hour, V: 3}, {T: now - hour/2, V: 4}}}}); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	w = open(t, Options{Dir: dir})
	add(t, w, m(1), bus.Sample{T: now - 100*hour, V: 9}, bus.Sample{T: now - 99*hour, V: 5}, bus.Sample{T: now - hour, V: 9}, bus.Sample{T: now - hour + 1, V: 6}, bus.Sample{T: now + hour, V: 9})
	if r := commit(t, w); r.Samples != 2 || r.Duplicate != 2 || r.Future != 1 {
		t.Errorf("%+v", r)
	}
	want := []bus.Sample{{T: now - 100*hour, V: 1}, {T: now - 99*hour, V: 5}, {T: now - hour, V: 3}, {T: now - hour + 1, V: 6}, {T: now - hour/2, V: 4}}
	same(t, history(t, dir), map[string][]bus.Sample{m(1).String(): want})
	s = openStore(t, dir)
	if err := s.Append([]store.Row{{Labels: m(1), Samples: []bus.Sample{{T: now - hour + 2, V: 7}, {T: now, V: 8}}}}); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	want = append(append(append([]bus.Sample{}, want[:4]...), bus.Sample{T: now - hour + 2, V: 7}), want[4], bus.Sample{T: now, V: 8})
	same(t, history(t, dir), map[string][]bus.Sample{m(1).String(): want})
}

func TestNothingIsAddedWithoutCommit(t *testing.T) {
	dir := t.TempDir()
	w := open(t, Options{Dir: dir, Memory: 1}) // makes a block of each call
	add(t, w, m(1), bus.Sample{T: now - 100*hour, V: 1})
	if err := w.Add(labels.FromStrings("a", "b"), []bus.Sample{{T: 1}}); err == nil {
		t.Error("a series without a name was taken")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := history(t, dir); len(got) > 0 {
		t.Errorf("%v", got)
	}
}

// A server that runs, or that was killed and may have to mend its logs, keeps its directory.
func TestADirectoryThatIsInUseIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	if err := s.SetAddress("http://127.0.0.1:5000"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: dir}); !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), "http://127.0.0.1:5000") {
		t.Errorf("%v", err)
	}
	closeStore(t, s)
	if err := os.WriteFile(filepath.Join(dir, "running.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "was killed") {
		t.Errorf("%v", err)
	}
	closeStore(t, openStore(t, dir))
	w := open(t, Options{Dir: dir})
	if _, err := store.Open(store.Options{Dir: dir}); !errors.Is(err, store.ErrLocked) {
		t.Errorf("%v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
