package live

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/store"
	"stripchart/internal/wire"
)

// maxQueryBytes bounds a query.
const maxQueryBytes = 4096

// selector is a parsed query.
type selector struct {
	matchers  []*labels.Matcher
	canonical string // the same for every spelling; identifies the room
}

// parseSelector reads query; the error is a *wire.Error.
func parseSelector(query string) (selector, error) {
	if strings.TrimSpace(query) == "" {
		return selector{}, &wire.Error{Code: wire.CodeBadQuery, Message: `the query is empty; give a selector such as load1{host="web1"}`}
	}
	if len(query) > maxQueryBytes {
		return selector{}, &wire.Error{Code: wire.CodeBadQuery, Message: "the query is longer than 4,096 bytes; shorten it"}
	}
	ms, err := store.ParseSelector(query)
	switch {
	case store.IsUnsupported(err):
		return selector{}, &wire.Error{Code: wire.CodeUnsupportedQuery, Message: err.Error()}
	case err != nil:
		return selector{}, &wire.Error{Code: wire.CodeBadQuery, Message: err.Error()}
	}
	return newSelector(ms), nil
}

func newSelector(ms []*labels.Matcher) selector {
	forms := make([]string, len(ms))
	for i, m := range ms {
		forms[i] = m.String()
	}
	slices.Sort(forms)
	return selector{matchers: ms, canonical: "{" + strings.Join(slices.Compact(forms), ",") + "}"}
}

// roomID is "r-" and the first 64 bits of the SHA-256 of the canonical selector in
// hexadecimal: the same on every server, and nobody can make a query that takes
// another one's place.
func (s selector) roomID() string {
	sum := sha256.Sum256([]byte(s.canonical))
	return "r-" + hex.EncodeToString(sum[:8])
}
