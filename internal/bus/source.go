package bus

import (
	"crypto/rand"
	"fmt"
	"strings"
)

// MaxSource bounds the bytes of a source's name.
const MaxSource = 128

// CheckSource refuses what is no name of a source: it is 1 to MaxSource bytes of
// visible ASCII, so that it can stand in a header, a log line and a file.
func CheckSource(name string) error {
	if name == "" || len(name) > MaxSource {
		return fmt.Errorf("the name of a source must have 1 to %d bytes, not %d", MaxSource, len(name))
	}
	for _, c := range []byte(name) {
		if c <= ' ' || c > '~' {
			return fmt.Errorf("the name of a source must be visible ASCII without spaces, and is %q", name)
		}
	}
	return nil
}

// NewSource returns a name for the collector of a host, whatever that is called:
// "collect-<host>-<12 random>", the host for people, the rest for certainty. What a
// name of a source cannot have is "_".
func NewSource(host string) string {
	const maxHost = 64 // Linux has no longer ones; macOS and Windows do
	safe := strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '_'
		}
		return r
	}, host)
	if safe == "" {
		safe = "unknown"
	}
	return "collect-" + safe[:min(len(safe), maxHost)] + "-" + strings.ToLower(rand.Text()[:12])
}
