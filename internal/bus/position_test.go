package bus

import "testing"

func FuzzPosition(f *testing.F) {
	for _, s := range []string{"", "e-1-2", "3k9f-1544608800000-0", "-1-2", "e-1", "e--1-2", "e-1-18446744073709551615", "é-1-1", "e-01-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePosition(s)
		if err != nil {
			return
		}
		q, err := ParsePosition(p.String())
		if err != nil || q != p {
			t.Fatalf("%q parsed to %v, which became %v, %v", s, p, q, err)
		}
	})
}

func TestOffsetsCompare(t *testing.T) {
	for _, c := range []struct {
		a, b Offset
		want int
	}{
		{Offset{1, 9}, Offset{2, 0}, -1},
		{Offset{2, 1}, Offset{2, 0}, 1},
		{Offset{2, 1}, Offset{2, 1}, 0},
	} {
		if got := c.a.Compare(c.b); got != c.want {
			t.Errorf("%v to %v: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
