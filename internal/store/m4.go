package store

import (
	"fmt"
	"math"
)

// m4Values is how many values a column of an M4 history has: first, minimum,
// maximum and last of its samples. A line through them covers the same pixels
// as one through all samples, as long as a column is at most a pixel wide.
const m4Values = 4

// minPoints is the least that a history can be asked for: a range straddles a
// line of the grid wherever it lies, and so needs two columns.
const minPoints = 2 * m4Values

// maxMillis bounds the times a history can be asked for, so that arithmetic on
// them does not overflow: 285,000 years around 1970, JavaScript's exact integers.
const maxMillis = 1 << 53

// Grid divides time into columns of equal width: column i is
// [X0+i*Step, X0+(i+1)*Step), in Unix milliseconds. X0 is a multiple of Step,
// so two grids of the same step share their lines and their columns merge.
type Grid struct {
	X0, Step int64
	Columns  int
}

// GridFor returns the finest grid that covers from to to, both included, with
// at most points values (four a column) wherever the range lies: its step
// depends on to-from and points only. points is at least 8, and from <= to.
func GridFor(from, to int64, points int) (Grid, error) {
	if points < minPoints {
		return Grid{}, fmt.Errorf("points must be at least %d, not %d", minPoints, points)
	}
	if from > to || from < -maxMillis || to > maxMillis {
		return Grid{}, fmt.Errorf("bad range of time: from %d to %d", from, to)
	}
	span := to - from
	// A range of span milliseconds touches at most ceil(span/step)+1 columns.
	lines := int64(points/m4Values - 1)
	step := span / lines
	if span%lines != 0 {
		step++
	}
	step = max(step, 1)
	x0 := from - floorMod(from, step)
	return Grid{X0: x0, Step: step, Columns: int((to-x0)/step) + 1}, nil
}

// Empty returns the grid's columns without a sample: NaN throughout.
func (g Grid) Empty() []float64 {
	cols := make([]float64, g.Columns*m4Values)
	for i := range cols {
		cols[i] = math.NaN()
	}
	return cols
}

// M4 folds samples with ascending times, all inside the grid, into columns of
// first, minimum, maximum and last. Columns without a finite value are NaN
// four times: NaN and the infinities are drawn as a break, and must not hide
// the values beside them in their column.
func (g Grid) M4(t []int64, v []float64) []float64 {
	f := newFolder(g)
	for i := range t {
		f.add(t[i], v[i])
	}
	return f.cols
}

// MergeM4 folds the columns of later into those of earlier, which have the same
// grid, where all samples in later are newer than those in earlier. The result
// equals the M4 of all samples together.
func MergeM4(earlier, later []float64) {
	for i := 0; i+m4Values <= min(len(earlier), len(later)); i += m4Values {
		e, l := earlier[i:i+m4Values], later[i:i+m4Values]
		switch {
		case math.IsNaN(l[0]):
		case math.IsNaN(e[0]):
			copy(e, l)
		default:
			e[1] = min(e[1], l[1])
			e[2] = max(e[2], l[2])
			e[3] = l[3]
		}
	}
}

// folder is an M4 in the making. Samples come in ascending order, so it only
// divides when a column ends.
type folder struct {
	grid Grid
	cols []float64
	col  *[m4Values]float64 // the current column
	end  int64              // its end, exclusive
}

func newFolder(g Grid) *folder {
	return &folder{grid: g, cols: g.Empty(), end: math.MinInt64}
}

func (f *folder) add(t int64, v float64) {
	if t >= f.end {
		i := (t - f.grid.X0) / f.grid.Step
		f.end = f.grid.X0 + (i+1)*f.grid.Step
		f.col = (*[m4Values]float64)(f.cols[i*m4Values:])
	}
	if v-v != 0 { // NaN or an infinity
		return
	}
	c := f.col
	if c[0] != c[0] {
		*c = [m4Values]float64{v, v, v, v}
		return
	}
	if v < c[1] {
		c[1] = v
	}
	if v > c[2] {
		c[2] = v
	}
	c[3] = v
}

// floorMod is x modulo m in [0, m), also for times before 1970.
func floorMod(x, m int64) int64 {
	r := x % m
	if r < 0 {
		r += m
	}
	return r
}
