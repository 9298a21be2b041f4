package export

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"stripchart/internal/bus"
)

type series struct {
	labels  labels.Labels
	samples []bus.Sample
}

// write encodes series as the export endpoint does.
func write(o Options, all []series) []byte {
	names := map[string]bool{}
	for _, s := range all {
		s.labels.Range(func(l labels.Label) { names[l.Name] = true })
	}
	for name := range names {
		o.Labels = append(o.Labels, name)
	}
	slices.Sort(o.Labels)
	e := NewEncoder(o)
	b := e.Begin(nil)
	for _, s := range all {
		for run := range slices.Chunk(s.samples, MaxRun) {
			var ok bool
			if b, ok = e.Run(b, s.labels, run); !ok {
				panic("a label has no column")
			}
		}
	}
	return e.End(b)
}

// read decodes a file; consecutive runs of a series are joined.
func read(f Format, r io.Reader) (all []series, err error) {
	d := NewDecoder(f, r)
	for {
		run, err := d.Next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		if len(run.Samples) == 0 {
			continue
		}
		if n := len(all); n == 0 || !labels.Equal(all[n-1].labels, run.Labels) {
			all = append(all, series{labels: run.Labels})
		}
		last := &all[len(all)-1]
		last.samples = append(last.samples, run.Samples...)
	}
}

func equal(t *testing.T, got, want []series, sameNaN bool) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d series, want %d", len(got), len(want))
	}
	for i, w := range want {
		if !labels.Equal(got[i].labels, w.labels) || len(got[i].samples) != len(w.samples) {
			t.Fatalf("series %d: %v with %d samples, want %v with %d", i, got[i].labels, len(got[i].samples), w.labels, len(w.samples))
		}
		for j, s := range w.samples {
			g, bits := got[i].samples[j], math.Float64bits(s.V)
			if s.V != s.V && !sameNaN && bits != value.StaleNaN {
				bits = value.NormalNaN
			}
			if g.T != s.T || math.Float64bits(g.V) != bits {
				t.Fatalf("%v: %v with bits %x, want %v with bits %x", w.labels, g, math.Float64bits(g.V), s, bits)
			}
		}
	}
}

// odd are texts that one of the formats could take for something else.
var odd = []string{
	"=cmd|' /C calc'!A0", "'=x", "''-1", "'", "'a", "+1", "-1", "@SUM(1)", "\t", "\r", "\n", "\r\n", "a\r\nb", "\"", "a\"b", ",", "a,b", " ", "\\", `\n`, `\"`,
	"}", "{", "=", "#", " # ", "ä", "日本", "\u2028", "\x00", "\x7f", "<&>", "time", "value", "\ufeff", "NaN", "12", "2026-01-01T00:00:00Z",
}

var values = []float64{
	0, math.Copysign(0, -1), 1, -1, 0.1, 21.700000000000003, 1e21, 1e22, 123456789012345678, math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64,
	1e-6, 1e-7, math.Pi, math.Inf(1), math.Inf(-1), math.Float64frombits(value.NormalNaN), math.Float64frombits(value.StaleNaN),
	math.Float64frombits(0x7ff8000000000000), math.Float64frombits(0xfff8000000000001), math.Float64frombits(0x7ff0000000000001),
}

func many() (all []series) {
	samples := func(n int, from int64) (out []bus.Sample) {
		for i := range n {
			out = append(out, bus.Sample{T: from + int64(i)*7, V: values[i%len(values)]})
		}
		return out
	}
	for i, o := range odd {
		all = append(all, series{labels.FromStrings("__name__", "m", "v", o), samples(3, int64(i))})
		all = append(all, series{labels.FromStrings("__name__", "n"+o, "l"+o, "x"), samples(2, -int64(i))})
		all = append(all, series{labels.FromStrings("__name__", "o", o, o), samples(1, 1767225600001)})
	}
	all = append(all,
		series{labels.FromStrings("__name__", "plain"), samples(2*MaxRun+1, 1767225600000)},
		series{labels.FromStrings("__name__", "plain", "a", strings.Repeat("long ", 60_000)), samples(1, 1767225600000)},
		series{labels.FromStrings("__name__", "times"), []bus.Sample{
			{T: math.MinInt64, V: 1}, {T: firstTime - 1, V: 2}, {T: firstTime, V: 3}, {T: -1, V: 4}, {T: 0, V: 5}, {T: 1, V: 6}, {T: lastTime, V: 7}, {T: lastTime + 1, V: 8}, {T: math.MaxInt64, V: 9},
		}},
	)
	return all
}

func TestWhatIsWrittenReadsBackBitByBit(t *testing.T) {
	all := many()
	for _, f := range Formats() {
		for _, times := range []Times{"", RFC3339, Unix} {
			b := write(Options{Format: f, Times: times}, all)
			readers := []io.Reader{bytes.NewReader(b), iotest.DataErrReader(bytes.NewReader(b))}
			if times == "" {
				readers = append(readers, iotest.OneByteReader(bytes.NewReader(b)))
			}
			for _, r := range readers {
				got, err := read(f, r)
				if err != nil {
					t.Fatalf("%s with times %q: %v", f, times, err)
				}
				equal(t, got, all, f != OpenMetrics)
			}
		}
	}
}

func TestTheFilesLookAsDocumented(t *testing.T) {
	one := []series{
		{labels.FromStrings("__name__", "room_celsius", "host", "web1"), []bus.Sample{{T: 1767225600000, V: 21.5}, {T: 1767225601000, V: math.Inf(1)}}},
		{labels.FromStrings("__name__", "x", "note", "=1+1", "q", `a "b"`), []bus.Sample{{T: 5, V: math.Float64frombits(value.StaleNaN)}}},
	}
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Format: CSV}, "time,value,__name__,host,note,q\r\n" +
			"2026-01-01T00:00:00.000Z,21.5,room_celsius,web1,,\r\n" +
			"2026-01-01T00:00:01.000Z,+Inf,room_celsius,web1,,\r\n" +
			"1970-01-01T00:00:00.005Z,NaN(0x7ff0000000000002),x,,'=1+1,\"a \"\"b\"\"\"\r\n"},
		{Options{Format: JSONLines}, `{"metric":{"__name__":"room_celsius","host":"web1"},"values":[21.5,"+Inf"],"timestamps":[1767225600000,1767225601000]}` + "\n" +
			`{"metric":{"__name__":"x","note":"=1+1","q":"a \"b\""},"values":["NaN(0x7ff0000000000002)"],"timestamps":[5]}` + "\n"},
		{Options{Format: OpenMetrics}, "room_celsius{host=\"web1\"} 21.5 1767225600.000\n" +
			"room_celsius{host=\"web1\"} +Inf 1767225601.000\n" +
			"x{note=\"=1+1\",q=\"a \\\"b\\\"\"} nan 0.005\n# EOF\n"},
	} {
		if got := string(write(c.o, one)); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.o.Format, got, c.want)
		}
	}
}

// A spreadsheet computes nothing from a file: no field that is no number begins like a formula.
func TestNoFieldOfACSVFileIsAFormula(t *testing.T) {
	d := newCSVDecoder(bytes.NewReader(write(Options{Format: CSV}, many())))
	for n := 0; ; n++ {
		err := d.read()
		if err == io.EOF {
			if n < 100 {
				t.Errorf("%d records", n)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range d.fields {
			if _, err := parseValue(f); i == 1 && err == nil {
				continue
			}
			if _, err := parseTime(f); i == 0 && err == nil {
				continue
			}
			if f != "" && strings.ContainsRune("=+-@\t\r\n", rune(f[0])) {
				t.Errorf("record %d has the field %q", n, f)
			}
		}
	}
}

// A file that was cut off, or is of something else, is an error with its line.
func TestAFileThatCannotBeReadAsAWholeIsAnError(t *testing.T) {
	for _, c := range []struct {
		f    Format
		text string
		says string
	}{
		{CSV, "", "empty"},
		{CSV, "a,b,c\r\n", "line 1: the header"},
		{CSV, "time,value\r\n", "line 1: the header"},
		{CSV, "time,value,a,a\r\n", "twice"},
		{CSV, "time,value,a\n1,2,3\n1,2\n", "line 3: it has 2 fields"},
		{CSV, "time,value,a\n1,2,\"x\ny\"\nsoon,2,z\n", `line 4: "soon"`},
		{CSV, "time,value,a\n1,2,\"x\ny\"\nsoon,2,\"x\ny\"\n", `line 4: "soon"`},
		{CSV, "time,value,a\n1,x,3\n", `line 2: "x" is not a number`},
		{CSV, "time,value,a\n1,0x10,3\n", "is not a number"},
		{CSV, "time,value,a\n1,2,3", "line 2: the file ends inside of the line"},
		{CSV, "time,value,a\n1,2,\"3", "line 2: the file ends inside of a quoted field"},
		{CSV, "time,value,a\n1,2,\"3\"4\n", "line 2: a quoted field"},
		{CSV, "time,value,a\n1,2,3\"4\n", "line 2: a quoted field"},
		{CSV, "time,value,a\n2026-01-01T00:00:00.0001Z,2,3\n", "whole milliseconds"},
		{JSONLines, "{}\n{", "line 2:"},
		{JSONLines, `{"metric":{"a":"b"},"values":[1,2],"timestamps":[1]}`, "line 1: it has 2 values and 1 timestamps"},
		{JSONLines, `{"values":[1],"timestamps":[1]}`, "line 1: it has no metric"},
		{JSONLines, `{"metric":{"a":1},"values":[1],"timestamps":[1]}`, "line 1: its metric"},
		{JSONLines, `{"metric":{"a":"b"},"values":["x"],"timestamps":[1]}`, `line 1: "x" is not a number`},
		{JSONLines, `{"metric":{"a":"b"},"values":[1],"timestamps":[1.5]}`, `"1.5" is not a time`},
		{OpenMetrics, "", "cut off"},
		{OpenMetrics, "a{} 1 1\n", "cut off"},
		{OpenMetrics, "a{} 1\n# EOF\n", "line 1: behind the series it has 1 fields"},
		{OpenMetrics, "a{b=\"c\" 1 1\n# EOF\n", "line 1: it is no sample"},
		{OpenMetrics, "a{b=\"c\",b=\"d\"} 1 1\n# EOF\n", "twice"},
		{OpenMetrics, "a{b=\"c} 1 1\n# EOF\n", "does not end"},
		{OpenMetrics, "a 1 1.0001\n# EOF\n", "whole milliseconds"},
		{OpenMetrics, "a x 1\n# EOF\n", `"x" is not a number`},
	} {
		if _, err := read(c.f, strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s %q: %v, want %q", c.f, c.text, err, c.says)
		}
	}
	broken := errors.New("broken pipe")
	for _, f := range Formats() {
		b := write(Options{Format: f}, many())
		if _, err := read(f, io.MultiReader(bytes.NewReader(b[:len(b)/2]), iotest.ErrReader(broken))); !errors.Is(err, broken) {
			t.Errorf("%s: %v", f, err)
		}
	}
}

// What other programs write is read too.
func TestFilesOfOtherProgramsAreRead(t *testing.T) {
	for _, c := range []struct {
		f    Format
		text string
		want string
	}{
		{CSV, "\ufefftime,value,__name__\n\n1767225600000,1e3,a\n\"2026-01-01T01:00:00+01:00\",\"2\",\"a\"\n", `{__name__="a"} [{1767225600000 1000} {1767225600000 2}]`},
		{JSONLines, `{"metric":{"__name__":"a","b":""},"values":[1,null],"timestamps":[1,2]}` + "\n\n", `{__name__="a"} [{1 1} {2 NaN}]`},
		{JSONLines, `{"metric":{"__name__":"a"},"values":["Infinity","-Infinity"],"timestamps":["1970-01-01T00:00:00Z",2]}`, `{__name__="a"} [{0 +Inf} {2 -Inf}]`},
		{OpenMetrics, "# HELP a_total x\n# TYPE a counter\na_total 1 1767225600.001 # {trace=\"x\"} 1\na_total{} 2.0 5\n# EOF\nwhatever", `{__name__="a_total"} [{1767225600001 1} {5000 2}]`},
		{OpenMetrics, "{\"a.b\",\"c d\"=\"\\n\"} NaN -0.5\n# EOF\n", `{__name__="a.b", "c d"="\n"} [{-500 NaN}]`},
		{OpenMetrics, "# EOF\n", ``},
	} {
		got, err := read(c.f, strings.NewReader(c.text))
		text := ""
		for _, s := range got {
			text += fmt.Sprintf("%s %v", s.labels, s.samples)
		}
		if err != nil || text != c.want {
			t.Errorf("%s %q: %s, %v, want %s", c.f, c.text, text, err, c.want)
		}
	}
}

func TestGapsAndWarningsAreTold(t *testing.T) {
	e := NewEncoder(Options{Format: JSONLines})
	d := NewDecoder(JSONLines, bytes.NewReader(append(e.Warning(nil, `a "b"`),
		`{"metric":{"__name__":"m"},"gap":{"from":1,"to":2,"reason":"log_lost"}}`+"\n"...)))
	if r, err := d.Next(); err != nil || r.Warning != `a "b"` {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := d.Next(); err != nil || r.Gap == nil || *r.Gap != (Gap{1, 2, "log_lost"}) || r.Labels.Get("__name__") != "m" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestALabelWithoutAColumnIsNotWrittenAsIfItWereNotThere(t *testing.T) {
	e := NewEncoder(Options{Format: CSV, Labels: []string{"__name__"}})
	b, ok := e.Run(nil, labels.FromStrings("__name__", "a", "new", "1"), []bus.Sample{{}})
	if ok || len(b) > 0 {
		t.Errorf("%q %v", b, ok)
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add("room_celsius", "host", "web1", int64(1767225600000), uint64(0x4035800000000000))
	for i, o := range odd {
		f.Add(o, o, o, int64(i), math.Float64bits(values[i%len(values)]))
	}
	f.Fuzz(func(t *testing.T, name, label, v string, at int64, bits uint64) {
		name, label, v = strings.ToValidUTF8(name, "?"), strings.ToValidUTF8(label, "?"), strings.ToValidUTF8(v, "?")
		if name == "" || label == "" || v == "" || label == "__name__" {
			return
		}
		one := []series{{labels.FromStrings("__name__", name, label, v), []bus.Sample{{T: at, V: math.Float64frombits(bits)}, {T: at, V: 1}}}}
		for _, format := range Formats() {
			got, err := read(format, bytes.NewReader(write(Options{Format: format}, one)))
			if err != nil {
				t.Fatalf("%s: %v", format, err)
			}
			equal(t, got, one, format != OpenMetrics)
		}
	})
}

// No file makes a Decoder panic, or go on for ever.
func FuzzDecoders(f *testing.F) {
	for _, format := range Formats() {
		f.Add(write(Options{Format: format}, many()[:9]))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, format := range Formats() {
			_, _ = read(format, bytes.NewReader(b))
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	var all []series
	for i := range 10 {
		s := series{labels: labels.FromStrings("__name__", "cpu_usage_percent", "cpu", fmt.Sprint(i), "host", "web1")}
		for j := range int64(10_000) {
			s.samples = append(s.samples, bus.Sample{T: 1767225600000 + j*1000, V: math.Round(r.Float64()*10000) / 100})
		}
		all = append(all, s)
	}
	for _, f := range Formats() {
		text := write(Options{Format: f}, all)
		b.Run(string(f), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := read(f, bytes.NewReader(text)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
