package bus

import (
	"crypto/rand"
	"fmt"
	"strings"
)

// MaxSource bounds the bytes of a source's name.
const MaxSource = 128

// CheckSource returns what is wrong with the name of a source. A name has 1 to MaxSource
// bytes of visible ASCII, so that it can be part of a header, a log line and a file.
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

// NewSource returns a source name for the collector of a host: "collect-<host>-<12 random>".
// The host helps people; the random part makes the name unique. Characters of the host that
// a source name cannot have become "_".
func NewSource(host string) string {
	const maxHost = 64 // the limit of Linux; macOS and Windows allow more
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
