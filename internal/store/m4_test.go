package store

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// bruteM4 is M4 from its definition: for each column, look at all samples.
func bruteM4(g Grid, t []int64, v []float64) []float64 {
	var cols []float64
	for i := range g.Columns {
		from := g.X0 + int64(i)*g.Step
		var in []float64
		for k := range t {
			if t[k] >= from && t[k] < from+g.Step && !math.IsNaN(v[k]) && !math.IsInf(v[k], 0) {
				in = append(in, v[k])
			}
		}
		if len(in) == 0 {
			nan := math.NaN()
			cols = append(cols, nan, nan, nan, nan)
			continue
		}
		cols = append(cols, in[0], slices.Min(in), slices.Max(in), in[len(in)-1])
	}
	return cols
}

// sameValues compares bit for bit, with every NaN alike and 0 like -0.
func sameValues(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return x == y || x != x && y != y })
}

// randomSamples are ascending inside [from, to], sparse or dense, some not finite.
func randomSamples(r *rand.Rand, from, to int64) (t []int64, v []float64) {
	step := 1 + r.Int64N(max(1, (to-from)/50))
	for at := from + r.Int64N(step); at <= to; at += 1 + r.Int64N(step) {
		x := r.NormFloat64()
		switch r.IntN(12) {
		case 0:
			x = math.NaN()
		case 1:
			x = math.Inf(1 - 2*r.IntN(2))
		}
		t, v = append(t, at), append(v, x)
	}
	return t, v
}

func TestM4IsFirstMinMaxLastOfEachColumn(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		from := r.Int64N(1e6) - 5e5
		to := from + r.Int64N(1e5)
		g, err := GridFor(from, to, 8+r.IntN(200))
		if err != nil {
			t.Fatal(err)
		}
		times, values := randomSamples(r, from, to)
		if got, want := g.M4(times, values), bruteM4(g, times, values); !sameValues(got, want) {
			t.Fatalf("%+v: %v\ngot  %v\nwant %v", g, times, got, want)
		}
	}
}

func TestM4OfPartsMergesToM4OfTheWhole(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		g, err := GridFor(base, base+r.Int64N(1e5), 8+r.IntN(200))
		if err != nil {
			t.Fatal(err)
		}
		times, values := randomSamples(r, g.X0, g.X0+int64(g.Columns)*g.Step-1)
		cut := 0
		if len(times) > 0 {
			cut = r.IntN(len(times) + 1)
		}
		got := g.M4(times[:cut], values[:cut])
		MergeM4(got, g.M4(times[cut:], values[cut:]))
		if want := g.M4(times, values); !sameValues(got, want) {
			t.Fatalf("cut at %d of %d:\ngot  %v\nwant %v", cut, len(times), got, want)
		}
	}
}

func TestGridKeepsThePointsWhereverTheRangeLies(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 5000 {
		span := r.Int64N(1 << r.IntN(45))
		points := 8 + r.IntN(5000)
		from := r.Int64N(1<<44) - 1<<43
		g, err := GridFor(from, from+span, points)
		if err != nil {
			t.Fatal(err)
		}
		if g.Columns*4 > points {
			t.Fatalf("%d columns for %d points (span %d)", g.Columns, points, span)
		}
		if floorMod(g.X0, g.Step) != 0 {
			t.Fatalf("X0 %d is not a multiple of the step %d", g.X0, g.Step)
		}
		if end := g.X0 + int64(g.Columns)*g.Step; g.X0 > from || end <= from+span || end-g.Step > from+span {
			t.Fatalf("%+v does not just cover %d to %d", g, from, from+span)
		}
		moved, err := GridFor(from+r.Int64N(1e9), 0, points)
		if err == nil && moved.Step < 1 {
			t.Fatalf("step %d", moved.Step)
		}
		if moved, err = GridFor(from+12345, from+12345+span, points); err != nil || moved.Step != g.Step {
			t.Fatalf("step %d after moving the range, %d before (%v)", moved.Step, g.Step, err)
		}
	}
}

func TestGridRefusesWhatHasNoGrid(t *testing.T) {
	for _, c := range []struct {
		from, to int64
		points   int
	}{
		{1, 0, 100}, {0, 10, 7}, {0, 10, 0}, {0, 10, -8},
		{math.MinInt64, math.MaxInt64, 100}, {math.MinInt64, 0, 100}, {0, math.MaxInt64, 100},
	} {
		if g, err := GridFor(c.from, c.to, c.points); err == nil {
			t.Errorf("%+v gave %+v", c, g)
		}
	}
}

// FuzzM4 reads samples as pairs of a distance in time and a value, and compares
// the folding with the definition.
func FuzzM4(f *testing.F) {
	f.Add(int64(0), uint16(8), []byte("0123456789abcdef0123"))
	f.Add(int64(-77), uint16(100), binary.LittleEndian.AppendUint64([]byte{1, 0}, math.Float64bits(math.NaN())))
	f.Fuzz(func(t *testing.T, from int64, points uint16, data []byte) {
		points %= 512 // brute force is quadratic
		from %= maxMillis / 2
		var times []int64
		var values []float64
		for at := from; len(data) >= 10; data = data[10:] {
			at += int64(binary.LittleEndian.Uint16(data))
			if n := len(times); n > 0 && times[n-1] == at {
				at++
			}
			times = append(times, at)
			values = append(values, math.Float64frombits(binary.LittleEndian.Uint64(data[2:])))
		}
		if len(times) == 0 {
			return
		}
		g, err := GridFor(from, times[len(times)-1], int(points))
		if err != nil {
			return
		}
		if got, want := g.M4(times, values), bruteM4(g, times, values); !sameValues(got, want) {
			t.Errorf("%+v: got %v, want %v", g, got, want)
		}
		half := len(times) / 2
		merged := g.M4(times[:half], values[:half])
		MergeM4(merged, g.M4(times[half:], values[half:]))
		if !sameValues(merged, g.M4(times, values)) {
			t.Errorf("%+v: halves merge to %v", g, merged)
		}
	})
}
