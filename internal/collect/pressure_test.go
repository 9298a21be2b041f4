package collect

import (
	"maps"
	"testing"
	"time"
)

func TestPressureIsTheShareOfTheTimeThatPassed(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name     string
		elapsed  time.Duration
		was, now []stall
		want     map[string]float64
	}{
		{"first reading", s, nil, []stall{{"cpu", 5 * s}}, nil},
		{"2 decimals", 3 * s, []stall{{"cpu", 5 * s}, {"io", 0}}, []stall{{"cpu", 6 * s}, {"io", 0}}, map[string]float64{"cpu": 33.33, "io": 0}},
		{"clocks differ a little", s, []stall{{"io", 5 * s}}, []stall{{"io", 6*s + 1e6}}, map[string]float64{"io": 100}},
		{"counter went back", s, []stall{{"io", 5 * s}}, []stall{{"io", 1 * s}}, nil},
		{"no time has passed", 0, []stall{{"io", 5 * s}}, []stall{{"io", 5 * s}}, nil},
		{"another came", s, []stall{{"io", 5 * s}}, []stall{{"cpu", 5 * s}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPressure("h")
			began := time.Unix(1000, 0)
			_, none := emitted(t, "resource")
			p.measure(began, c.was, none)
			got, emit := emitted(t, "resource")
			p.measure(began.Add(c.elapsed), c.now, emit)
			want := make(map[string]float64)
			for resource, v := range c.want {
				want["pressure_some_percent "+resource] = v
			}
			if !maps.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestPressureThatComesBackHasNoShareAcrossItsAbsence(t *testing.T) {
	p := newPressure("h")
	got, emit := emitted(t, "resource")
	p.measure(time.Unix(1, 0), []stall{{"io", 0}}, emit)
	p.measure(time.Unix(2, 0), nil, emit)
	p.measure(time.Unix(3, 0), []stall{{"io", time.Second}}, emit)
	if len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestStallIsTheTotalOfTheLineSome(t *testing.T) {
	for _, c := range []struct {
		text string
		want time.Duration
		ok   bool
	}{
		{"some avg10=1.16 avg60=0.82 avg300=0.37 total=5294438\nfull avg10=0.90 avg60=0.57 avg300=0.28 total=4385039\n", 5294438 * time.Microsecond, true},
		{"full avg10=0.90 total=7\nsome avg10=0.00 total=3", 3 * time.Microsecond, true},
		{"full avg10=0.90 avg60=0.57 avg300=0.28 total=4385039\n", 0, false},
		{"some avg10=0.90\n", 0, false},
		{"some total=-1\n", 0, false},
		{"some total=9223372036854776\n", 0, false}, // more than a Duration holds
		{"", 0, false},
	} {
		if got, err := parseStall(c.text); got != c.want || (err == nil) != c.ok {
			t.Errorf("%q: %v, %v; want %v", c.text, got, err, c.want)
		}
	}
}

func FuzzParseStall(f *testing.F) {
	f.Add("some avg10=1.16 avg60=0.82 avg300=0.37 total=5294438\nfull avg10=0.90 avg60=0.57 avg300=0.28 total=4385039\n")
	f.Add("some total=18446744073709551615\n")
	f.Add("some \x00total=\n some total=1\nsome")
	f.Fuzz(func(t *testing.T, text string) {
		if total, err := parseStall(text); total < 0 || err != nil && total != 0 {
			t.Errorf("%v, %v", total, err)
		}
	})
}

func FuzzParseStat(f *testing.F) {
	f.Add("cpu  1 2 3\nintr 9\nprocs_running 2\nprocs_blocked 0\nsoftirq 1\n", "procs_running")
	f.Add("\nprocs_running ", "procs_running")
	f.Add("\n x", "")
	f.Fuzz(func(t *testing.T, text, name string) {
		if n, err := parseStat(text, name); err != nil && n != 0 {
			t.Errorf("%v, %v", n, err)
		}
	})
}
