package bus

import (
	"strings"
	"testing"
)

func TestAnyHostHasACollectorWithAName(t *testing.T) {
	for host, want := range map[string]string{
		"web1": "collect-web1-", "büro": "collect-b_ro-", "a b": "collect-a_b-", "x\ny": "collect-x_y-", "bad\xff\xfe": "collect-bad__-",
		"": "collect-unknown-", `"quote"{}`: `collect-"quote"{}-`, strings.Repeat("ü", 255): "collect-" + strings.Repeat("_", 64) + "-",
	} {
		got := NewSource(host)
		if err := CheckSource(got); err != nil || !strings.HasPrefix(got, want) {
			t.Errorf("%q: %q, %v, want %q and something random", host, got, err, want)
		}
		if got == NewSource(host) {
			t.Errorf("%q: two collectors of this name are called alike", host)
		}
	}
	for _, name := range []string{"", "a b", "büro", "x\n", "\x7f", "\xff", strings.Repeat("x", MaxSource+1)} {
		if CheckSource(name) == nil {
			t.Errorf("%q is taken", name)
		}
	}
}
